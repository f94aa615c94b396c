"""VICReg: no negatives; two views agree, every dimension keeps its spread, and no two dimensions vary together.

**Source:** Bardes et al. 2022, arXiv 2105.04906; weights as in the paper and in the authors' repository
facebookresearch/vicreg.
**Differs:** encoder, views, optimiser and batch are those of NT-Xent, so that only the objective and its expander
differ: AdamW in place of LARS. The expander's three layers are 256 wide, there 8192; batches hold 256 pixels, there
2048 images. See ``hsicl_core/self_supervised/vicreg.py``.
**Cost:** that of NT-Xent, with O(batch * projection_dim^2) covariances in place of O(batch^2) similarities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._self_supervised import SelfSupervisedMethod
from hsicl_core.encoder import Encoder
from hsicl_core.self_supervised.vicreg import VICRegObjective


@dataclass(frozen=True, kw_only=True)
class VICReg(SelfSupervisedMethod):
    """Pretraining by variance, invariance and covariance.

    Attributes:
        invariance_weight: of the squared distance between the views, >= 0.
        variance_weight: of what a standard deviation is short of 1, >= 0.
        covariance_weight: of the squared covariances between dimensions, >= 0.
    """

    projection_dim: int = 256
    invariance_weight: float = 25.0
    variance_weight: float = 25.0
    covariance_weight: float = 1.0

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "invariance_weight": (5.0, 25.0),
        "projection_dim": (256, 512),
        "learning_rate": (1e-3, 3e-3),
    }

    def make_objective(self, encoder: Encoder) -> VICRegObjective:
        """Return the objective. See the base class."""
        return VICRegObjective(
            encoder=encoder, projection_dim=self.projection_dim, invariance_weight=self.invariance_weight,
            variance_weight=self.variance_weight, covariance_weight=self.covariance_weight,
        )  # fmt: skip
