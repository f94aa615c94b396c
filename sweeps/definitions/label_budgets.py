"""From one label to many: per class under guarded blocks, in per cent under the field's random draw."""

from benchmark import SplitSpec
from sweeps.definitions._study import ALL, PLAIN, study
from sweeps.sweep import Control

_PER_CLASS = tuple(SplitSpec(rule="block", labels_per_class=n) for n in (1, 3, 5, 10, 20, 30))
# In per cent, rare classes have too few pixels for a block with a guard.
_PERCENT = tuple(SplitSpec(rule="random", labels_percent=share) for share in (1.0, 5.0, 10.0))

LABEL_BUDGETS = study(
    "label_budgets",
    "How many labels does mining save?",
    axes={},
    params=ALL,
    controls=(
        Control(method="nt_xent", params=PLAIN),
        Control(method="oracle_negatives", params=PLAIN),
        Control(method="raw_spectra", protocol="svm"),
    ),
    split_specs=(*_PER_CLASS, *_PERCENT),
    n_splits=5,
)
