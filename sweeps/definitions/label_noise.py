"""Noise in the pseudolabels, from none to nothing but noise."""

from sweeps.definitions._study import BUDGET, N_CLUSTERS, TEMPERATURE, study

LABEL_NOISE = study(
    "label_noise",
    "How wrong may pseudolabels be before eliminating by them stops helping?",
    axes={"label_noise": (0.0, 0.25, 0.5, 0.75, 1.0)},
    params={**BUDGET, "temperature": TEMPERATURE, "n_clusters": N_CLUSTERS, "n_negatives": None},
)
