"""Pseudolabels that know nothing, the control of elimination: groups of equal size, drawn at random.

**Source:** ours. With pseudolabels independent of the truth the false-negative rate stays, in expectation, that of all
pairs, the sum of the squared class shares, however much is eliminated.
**Cost:** O(n).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from hsicl_core.checks import check_integer
from hsicl_core.pseudolabels._clustering import check_enough
from hsicl_core.pseudolabels.base import PseudoLabeler


class RandomPseudoLabeler(PseudoLabeler):
    """Groups whose sizes differ by at most one, whatever the features.

    Args:
        n_clusters: groups K, >= 1 and at most the number of vectors.
        seed: seed of the draw.

    Attributes:
        labels_: (n,) int64 in 0..K-1.
        confidence_: (n,) float32, all 1, so that a miner that weighs by confidence treats them as it treats the best.
    """

    streams: ClassVar[bool] = True

    def __init__(self, *, n_clusters: int, seed: int = 0) -> None:
        check_integer("n_clusters", n_clusters, minimum=1)
        check_integer("seed", seed, minimum=0)
        self.n_clusters = n_clusters
        self.seed = seed

    def fit(self, features: Tensor) -> RandomPseudoLabeler:
        """Draw a group for each of ``features`` (n, dim) and return self.

        Raises:
            InvalidValueError: fewer vectors than groups.
        """
        check_enough(len(features), self.n_clusters)
        generator = torch.Generator().manual_seed(self.seed)
        self.labels_ = torch.randperm(len(features), generator=generator) % self.n_clusters
        self.confidence_ = torch.ones(len(features))
        return self
