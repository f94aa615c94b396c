"""The contract of a pseudolabel source, after scikit-learn's estimators.

``fit(features)`` returns the labeler itself, which then holds ``labels_`` (n,) int64 in 0..K-1 or -1 for unassigned,
and ``confidence_`` (n,) float32 in 0..1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor


class PseudoLabeler(ABC):
    """A source of pseudolabels. The constructor stores and checks keywords; work starts in ``fit``.

    Attributes:
        labels_: (n,) int64, -1 = unassigned; set by ``fit``.
        confidence_: (n,) float32 in 0..1; set by ``fit``.
    """

    labels_: Tensor
    confidence_: Tensor

    @abstractmethod
    def fit(self, features: Tensor) -> PseudoLabeler:
        """Label ``features`` (n, dim) float and return self."""


MEMBER: Any = PseudoLabeler
