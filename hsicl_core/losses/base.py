"""The contract of a loss: similarities and a mask in, a scalar out. A loss never sees pseudolabels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from hsicl_core.miners.base import Mask


class ContrastiveLoss(ABC):
    """A loss over the 2 * batch embeddings of a step."""

    @abstractmethod
    def __call__(self, similarity: Tensor, mask: Mask) -> Tensor:
        """Return the mean loss over the anchors that have a negative; 0 with zero gradient where none has.

        Args:
            similarity: (2 * batch, 2 * batch) cosine similarities, rows as in ``hsicl_core.miners.base``.
            mask: which of them are negatives.
        """


MEMBER: Any = ContrastiveLoss
