"""The bound: true labels as pseudolabels, of all pixels, test pixels too. Not an entrant.

It eliminates every false negative between labelled pixels; unlabelled pixels are unassigned and stay.
Source: the control of FNC (Huynh et al. 2022, arXiv 2011.11765) carried to our miner.
Differs: from ``mined_negatives`` in the pseudolabels, and without a budget no easy or hard ones are chosen.
Cost: that of ours without the clustering.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._mined import MiningMethod
from benchmark.methods.base import FitData
from hsicl_core.objective import Labelling
from hsicl_core.rows import Rows


@dataclass(frozen=True, kw_only=True)
class OracleNegatives(MiningMethod):
    """Mining by the true labels; all remaining candidates are negatives unless a budget is given."""

    n_negatives: int | None = None

    kind: ClassVar[str] = "bound"
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "temperature": (0.05, 0.1, 0.2, 0.5),
        "learning_rate": (1e-3, 3e-3),
    }
    sees_labels: ClassVar[str] = "all"

    def label(self, data: FitData, image: Rows) -> Labelling:
        """Return the true labels."""
        return Labelling(labels=data.labels[data.pixels])
