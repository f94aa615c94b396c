"""The true labels as pseudolabels: the bound of every other source.

**Source:** the control of FNC (Huynh et al. 2022, arXiv 2011.11765).
**Cost:** one copy of the labels.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from hsicl_core.pseudolabels._labelled import known_labels
from hsicl_core.pseudolabels.base import PseudoLabeler


class OraclePseudoLabeler(PseudoLabeler):
    """The true label of every vector that has one.

    Attributes:
        labels_: (n,) int64, the class, or -1 where it is unknown.
        confidence_: (n,) float32, 1 where the label is known, else 0.
    """

    sees_labels: ClassVar[str] = "all"
    streams: ClassVar[bool] = True

    def fit(self, features: Tensor, *, labels: Tensor | None = None) -> OraclePseudoLabeler:
        """Take over ``labels`` (n,) int64 of ``features`` (n, dim), -1 = unknown, and return self.

        Raises:
            InvalidValueError: no labels, or not one for each vector.
        """
        self.labels_ = known_labels(labels, len(features), "oracle").clone()
        self.confidence_ = (self.labels_ >= 0).to(torch.float32)
        return self
