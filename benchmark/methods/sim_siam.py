"""SimSiam: an encoder predicts its own projection of the other view, through which no gradient flows.

**Source:** Chen and He 2021, "Exploring simple Siamese representation learning", arXiv 2011.10566, eq. 4 and sec. 3.
**Differs:** encoder, views, optimiser and batch are those of ``nt_xent``, so that only the objective differs; the
projection has the embedding's 128 dimensions and the bottleneck a quarter of them, there 2048 and a quarter; the
predictor's learning rate falls with all others.
**Cost:** that of ``nt_xent`` less the similarities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._self_supervised import SelfSupervisedMethod
from hsicl_core.encoder import Encoder
from hsicl_core.self_supervised.sim_siam import SimSiamObjective


@dataclass(frozen=True, kw_only=True)
class SimSiam(SelfSupervisedMethod):
    """Siamese pretraining with a stopped gradient.

    Attributes:
        bottleneck_dim: dimension between the predictor's layers; None for a quarter of ``projection_dim``.
    """

    projection_dim: int = 128
    bottleneck_dim: int | None = None

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "projection_dim": (64, 128),
        "learning_rate": (3e-4, 1e-3, 3e-3),
    }

    def make_objective(self, encoder: Encoder) -> SimSiamObjective:
        """Return SimSiam's objective."""
        return SimSiamObjective(
            encoder=encoder, projection_dim=self.projection_dim, bottleneck_dim=self.bottleneck_dim
        )  # fmt: skip
