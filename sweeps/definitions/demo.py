"""The demo: mixture ratio, temperature and cluster count on Indian Pines, small enough for a laptop."""

from benchmark import SplitSpec
from sweeps.sweep import Control, Sweep

_BUDGET = {"steps": 150, "batch_size": 256}
_TEMPERATURES = (0.1, 0.5)

DEMO = Sweep(
    name="demo",
    question="Which negatives help when pseudolabels from clusters say what to leave out?",
    method="mined_negatives",
    axes={"hard_fraction": (0.0, 0.5, 1.0), "temperature": _TEMPERATURES, "n_clusters": (16, 64)},
    params=_BUDGET,
    controls=(
        Control(method="nt_xent", axes={"temperature": _TEMPERATURES}, params=_BUDGET),
        Control(method="oracle_negatives", axes={"temperature": _TEMPERATURES}, params=_BUDGET),
        Control(method="sup_con_clusters", axes={"temperature": _TEMPERATURES}, params=_BUDGET),
        Control(method="raw_spectra", protocol="svm"),
    ),
    split_specs=(SplitSpec(rule="block", labels_per_class=10),),
    n_seeds=2,
    n_splits=5,
)
