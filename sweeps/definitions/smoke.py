"""The smallest sweep that goes all the way on a real scene, for continuous integration: seconds."""

from benchmark import SplitSpec
from sweeps.sweep import Control, Sweep

_BUDGET = {"steps": 5, "batch_size": 32}

SMOKE = Sweep(
    name="smoke",
    question="Does everything run?",
    method="mined_negatives",
    axes={"temperature": (0.1, 0.5)},
    params=_BUDGET,
    controls=(
        Control(method="nt_xent", params=_BUDGET),
        Control(method="oracle_negatives", params=_BUDGET),
        Control(method="raw_spectra", protocol="knn"),
    ),
    split_specs=(SplitSpec(rule="block", labels_per_class=10),),
)
