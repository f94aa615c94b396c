"""The bound: true labels as pseudolabels, of all pixels, test pixels too. Not an entrant.

It eliminates every false negative between labelled pixels; unlabelled pixels are unassigned and stay.
Source: the control of FNC (Huynh et al. 2022, arXiv 2011.11765) carried to our miner.
Cost: that of ours without the clustering.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmark.methods._mined import MiningMethod
from benchmark.methods.base import FitData
from hsicl_core.objective import Labelling
from hsicl_core.rows import Rows


@dataclass(frozen=True, kw_only=True)
class OracleNegatives(MiningMethod):
    """Mining by the true labels; all remaining candidates are negatives unless a budget is given."""

    n_negatives: int | None = None

    sees_labels: ClassVar[str] = "all"

    def label(self, data: FitData, image: Rows) -> Labelling:
        """Return the true labels."""
        return Labelling(labels=data.labels[data.pixels])
