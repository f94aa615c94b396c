"""Barlow Twins: no negatives; two views agree in every dimension, and no two dimensions say the same.

**Source:** Zbontar et al. 2021, arXiv 2103.03230; the authors' repository is facebookresearch/barlowtwins.
**Differs:** encoder, views, optimiser and batch are those of NT-Xent, so that only the objective and its projector
differ: AdamW in place of LARS, and the same distribution for both views. The projector's three layers are 256 wide,
there 8192; batches hold 256 pixels, there 2048 images. The off-diagonal's weight is 0.1, there 0.0051: with a
thirty-second of the dimensions there are as many fewer such terms for one on the diagonal (0.16 would be the same
balance). See ``hsicl_core/self_supervised/barlow_twins.py``.
**Cost:** that of NT-Xent, with O(batch * projection_dim^2) correlations in place of O(batch^2) similarities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._self_supervised import SelfSupervisedMethod
from hsicl_core.encoder import Encoder
from hsicl_core.self_supervised.barlow_twins import BarlowTwinsObjective


@dataclass(frozen=True, kw_only=True)
class BarlowTwins(SelfSupervisedMethod):
    """Pretraining by redundancy reduction.

    Attributes:
        off_diagonal_weight: lambda, of the correlations between different dimensions, >= 0.
    """

    projection_dim: int = 256
    off_diagonal_weight: float = 0.1

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "off_diagonal_weight": (0.0051, 0.02, 0.1),
        "projection_dim": (256, 512),
        "learning_rate": (1e-3, 3e-3),
    }

    def make_objective(self, encoder: Encoder) -> BarlowTwinsObjective:
        """Return the objective. See the base class."""
        return BarlowTwinsObjective(
            encoder=encoder, projection_dim=self.projection_dim, off_diagonal_weight=self.off_diagonal_weight
        )
