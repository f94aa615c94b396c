"""No pseudolabels: every pixel is unassigned, nothing is eliminated. The mixture alone remains.

**Source:** ours, the control "mixture without elimination".
**Cost:** none.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from hsicl_core.pseudolabels.base import PseudoLabeler


class NoPseudoLabeler(PseudoLabeler):
    """-1 for every vector, with confidence 0."""

    streams: ClassVar[bool] = True

    def fit(self, features: Tensor) -> NoPseudoLabeler:
        """Leave each of ``features`` (n, dim) unassigned and return self."""
        self.labels_ = torch.full((len(features),), -1)
        self.confidence_ = torch.zeros(len(features))
        return self
