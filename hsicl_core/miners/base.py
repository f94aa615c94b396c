"""The contract between miners and losses: a miner looks at the candidates of a step and gives a Mask.

Rows are the anchors, the 2 * batch embeddings of a step, view 0 of every sample first, then view 1: the positive of row
a is row (a + batch) mod (2 * batch). Columns are the candidates: the same embeddings in the same order, then what a
memory bank holds, if there is one. A loss takes the mask and never sees a pseudolabel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from hsicl_core.errors import InvalidValueError
from hsicl_core.miners._ranks import differ


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """All that a miner may look at in one step. Gradients are not followed.

    Attributes:
        similarity: (rows, columns) cosine similarities, columns >= rows.
        samples: (columns,) int64, equal where two embeddings are of one sample.
        pseudo_labels: (columns,) int64, -1 = unassigned: never eliminated, eliminates nobody.
        confidence: (columns,) float in 0..1, how sure the pseudolabels are.
        hardness: (rows, columns) float: of two candidates the harder has the larger value.
        progress: share of the training that is done, 0 at the first step, just below 1 at the last.
    """

    similarity: Tensor
    samples: Tensor
    pseudo_labels: Tensor
    confidence: Tensor
    hardness: Tensor
    progress: float = 0.0

    @classmethod
    def of_batch(
        cls, similarity: Tensor, pseudo_labels: Tensor, *, confidence: Tensor | None = None,
        hardness: Tensor | None = None, progress: float = 0.0,
    ) -> Candidates:  # fmt: skip
        """Return the candidates of a step without a memory bank.

        Args:
            similarity: (2 * batch, 2 * batch).
            pseudo_labels: (batch,) int64, -1 = unassigned.
            confidence: (batch,) float in 0..1; None for all 1.
            hardness: (2 * batch, 2 * batch); None for the similarities themselves.
            progress: 0..1.

        Raises:
            InvalidValueError: shapes that do not fit.
        """
        batch = len(pseudo_labels)
        if similarity.shape != (2 * batch, 2 * batch):
            raise InvalidValueError(
                f"similarity has shape {tuple(similarity.shape)}, with {batch} pseudolabels it must be "
                f"({2 * batch}, {2 * batch}), rows and columns of both views"
            )
        similarity = similarity.detach()
        if confidence is None:
            confidence = torch.ones(batch, device=similarity.device)
        return cls(
            similarity=similarity,
            samples=torch.arange(batch, device=similarity.device).repeat(2),
            pseudo_labels=pseudo_labels.repeat(2),
            confidence=confidence.repeat(2),
            hardness=similarity if hardness is None else hardness.detach(),
            progress=progress,
        )

    @property
    def n_anchors(self) -> int:
        """Number of rows."""
        return len(self.similarity)

    def of_others(self) -> Tensor:
        """Return (rows, columns) bool: True where the candidate is of another sample than the anchor."""
        return differ(self.samples, self.n_anchors)

    def sharing(self) -> Tensor:
        """Return (rows, columns) bool: True where another sample's candidate has the anchor's pseudolabel."""
        labels = self.pseudo_labels
        # What is unassigned shares with nobody: each has a name of its own, below all others.
        names = torch.where(labels >= 0, labels, -1 - torch.arange(len(labels), device=labels.device))
        return self.of_others() & ~differ(names, self.n_anchors)


@dataclass(frozen=True)
class Mask:
    """Which candidates are negatives of which anchor.

    Attributes:
        negatives: (rows, columns) bool; never of the anchor's own sample.
        eliminated: (rows, columns) bool, candidates removed because of their pseudolabel.
        hard: (rows, columns) bool, those of ``negatives`` that were taken as hard; None where no mixture was drawn.
        weights: (rows, columns) float in 0..1 by which a loss multiplies its terms of ``negatives``; None for all 1.
            A weight of 0 is no negative to a loss, though ``n_negatives`` counts it.
        positives: (rows, columns) bool, candidates that are attracted beside the anchor's own positive; never of the
            anchor's own sample, never a negative. None for none.
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


class NegativeMiner(ABC):
    """Chooses the negatives of every anchor of a step.

    Attributes:
        obeys_pseudo_labels: whether, with default options, no negative shares the anchor's pseudolabel. A control, or
            a miner that goes by similarity alone, says False.
    """

    obeys_pseudo_labels: ClassVar[bool] = True

    @abstractmethod
    def mine(self, candidates: Candidates, generator: torch.Generator | None = None) -> Mask:
        """Return the mask of a step.

        Args:
            candidates: similarities, pseudolabels and all else that may be looked at.
            generator: source of random draws, on the device of the candidates.
        """


MEMBER: Any = NegativeMiner
