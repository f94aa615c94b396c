"""The contract of a pseudolabel source, after scikit-learn's estimators.

``fit(features)`` returns the labeler itself, which then holds ``labels_`` (n,) int64, a group's number >= 0 or -1 for
unassigned, and ``confidence_`` (n,) float32 in 0..1. A source that needs more than features says so in its class, and
``fit`` takes it by keyword.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor


class PseudoLabeler(ABC):
    """A source of pseudolabels. The constructor stores and checks keywords; work starts in ``fit``.

    Attributes:
        sees_labels: the true labels it is fitted on: ``"none"``, ``"train"``, or ``"all"`` (a bound). Unless none,
            ``fit`` takes ``labels`` (n,) int64, -1 = unknown.
        streams: whether it can label features in a scratch file that are larger than memory.
        needs_positions: whether ``fit`` takes ``positions`` (n, 2) int64, row and column of each vector's pixel.
        labels_: (n,) int64, -1 = unassigned; set by ``fit``.
        confidence_: (n,) float32 in 0..1; set by ``fit``.
    """

    sees_labels: ClassVar[str] = "none"
    streams: ClassVar[bool] = False
    needs_positions: ClassVar[bool] = False

    labels_: Tensor
    confidence_: Tensor

    @abstractmethod
    def fit(self, features: Tensor) -> PseudoLabeler:
        """Label ``features`` (n, dim) float and return self."""


MEMBER: Any = PseudoLabeler
