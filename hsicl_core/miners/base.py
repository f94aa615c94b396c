"""The contract between miners and losses: a miner looks at similarities and pseudolabels and gives a Mask.

Rows and columns are the 2 * batch embeddings of a step, view 0 of every sample first, then view 1: row a of sample
a mod batch, whose positive is row (a + batch) mod (2 * batch). A loss takes the mask and never sees a pseudolabel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mask:
    """Which candidates are negatives of which anchor.

    Attributes:
        negatives: (rows, rows) bool; never an anchor itself nor its positive.
        eliminated: (rows, rows) bool, candidates removed because of their pseudolabel.
        hard: (rows, rows) bool, those of ``negatives`` that were taken as hard; None where no mixture was drawn.
        weights: (rows, rows) float in 0..1 by which a loss multiplies its terms of ``negatives``; None for all 1.
            A weight of 0 is no negative to a loss, though ``n_negatives`` counts it.
        positives: (rows, rows) bool, candidates that are attracted beside the anchor's own positive; never an anchor
            itself, its positive or a negative. None for none.
    """

    negatives: Tensor
    eliminated: Tensor
    hard: Tensor | None = None
    weights: Tensor | None = None
    positives: Tensor | None = None

    @property
    def n_negatives(self) -> Tensor:
        """(rows,) int64, negatives of each anchor."""
        return self.negatives.sum(dim=1)

    @property
    def n_skipped(self) -> int:
        """Number of anchors without a negative, which no loss counts."""
        return int((~self.negatives.any(dim=1)).sum())


def others(rows: int, device: torch.device) -> Tensor:
    """Return (rows, rows) bool: True where the candidate is neither the anchor nor its positive."""
    keep = torch.ones(rows, rows, dtype=torch.bool, device=device)
    index = torch.arange(rows, device=device)
    keep[index, index] = False
    keep[index, (index + rows // 2) % rows] = False
    return keep


class NegativeMiner(ABC):
    """Chooses the negatives of every anchor of a step.

    Attributes:
        obeys_pseudo_labels: whether, with default options, no negative shares the anchor's pseudolabel. A control, or
            a miner that goes by similarity alone, says False.
    """

    obeys_pseudo_labels: ClassVar[bool] = True

    @abstractmethod
    def mine(self, similarity: Tensor, pseudo_labels: Tensor, generator: torch.Generator | None = None) -> Mask:
        """Return the mask of a step.

        Args:
            similarity: (2 * batch, 2 * batch) cosine similarities; gradients are not followed.
            pseudo_labels: (batch,) int64, -1 = unassigned: never eliminated, eliminates nobody.
            generator: source of random draws, on the device of ``similarity``.
        """


MEMBER: Any = NegativeMiner
