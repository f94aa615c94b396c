"""The mixture ratio, from only easy to only hard negatives."""

from sweeps.definitions._study import MIXTURE, study

MIXTURE_RATIO = study(
    "mixture_ratio",
    "How hard should the negatives be that are left after elimination?",
    axes={"hard_fraction": (0.0, 0.25, 0.5, 0.75, 1.0)},
    params=MIXTURE,
)
