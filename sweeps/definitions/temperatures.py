"""The temperature, for ours and for the references alike."""

from sweeps.definitions._study import BUDGET, N_CLUSTERS, study
from sweeps.sweep import Control

_AXIS = {"temperature": (0.05, 0.1, 0.2, 0.5, 1.0)}

TEMPERATURES = study(
    "temperatures",
    "Does elimination help at every temperature, or does it only repair a badly chosen one?",
    axes=_AXIS,
    params={**BUDGET, "n_clusters": N_CLUSTERS, "n_negatives": None},
    controls=(
        Control(method="nt_xent", axes=_AXIS, params=BUDGET),
        Control(method="oracle_negatives", axes=_AXIS, params=BUDGET),
    ),
)
