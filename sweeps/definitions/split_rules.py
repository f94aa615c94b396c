"""What the way of splitting does to the numbers: the field lacks this table."""

from benchmark import SplitSpec
from sweeps.definitions._study import ALL, PLAIN, study
from sweeps.sweep import Control

SPLIT_RULES = study(
    "split_rules",
    "How much higher are scores where test patches overlap training patches, and does the order of methods change?",
    axes={},
    params=ALL,
    controls=(Control(method="nt_xent", params=PLAIN), Control(method="raw_spectra", protocol="svm")),
    scenes=("indian_pines", "jasper_ridge", "pavia_university_roi", "salinas_a"),
    split_specs=tuple(SplitSpec(rule=rule, labels_per_class=10) for rule in ("random", "buffered_random", "block")),
)
