"""What the study's sweeps share: budget, splits, seeds, and the references that every one of them is read against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark import SplitSpec
from sweeps.sweep import Control, Sweep

BUDGET: dict[str, Any] = {"steps": 150, "batch_size": 256}
TEMPERATURE = 0.1
N_CLUSTERS = 64
# What entrants without a mixture of negatives share.
PLAIN: dict[str, Any] = {**BUDGET, "temperature": TEMPERATURE}
# Everything that elimination leaves is a negative: no mixture.
ALL: dict[str, Any] = {**PLAIN, "n_negatives": None}
MIXTURE: dict[str, Any] = {**PLAIN, "n_clusters": N_CLUSTERS, "n_negatives": 128}

REFERENCES = (
    Control(method="nt_xent", params=PLAIN),
    Control(method="oracle_negatives", params=PLAIN),
)


def study(
    name: str,
    question: str,
    axes: Mapping[str, tuple[Any, ...]],
    params: Mapping[str, Any],
    controls: tuple[Control, ...] = REFERENCES,
    method: str = "mined_negatives",
    n_seeds: int = 5,
    n_splits: int = 10,
    split_specs: tuple[SplitSpec, ...] = (SplitSpec(rule="block", labels_per_class=10),),
    scenes: tuple[str, ...] = ("indian_pines",),
) -> Sweep:
    """Return a sweep of ``method`` over ``axes`` under the study's splits and seeds."""
    return Sweep(
        name=name, question=question, method=method, axes=axes, params=params, controls=controls,
        split_specs=split_specs, scenes=scenes, n_seeds=n_seeds, n_splits=n_splits,
    )  # fmt: skip
