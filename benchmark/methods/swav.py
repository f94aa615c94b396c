"""SwAV: no negatives; each view predicts to which learnt prototypes the other view is assigned.

**Source:** Caron et al. 2020, arXiv 2006.09882; temperature, entropy weight and Sinkhorn iterations as in the authors'
repository facebookresearch/swav.
**Differs:** encoder, projection head, views, optimiser and batch are those of NT-Xent, so that only the objective
differs: AdamW in place of LARS, no batch normalisation in the head, two views and no multi-crop. 64 prototypes, there
3000 for 1000 classes; no queue; the prototypes rest for the first tenth of the training, the learning rate's warm-up.
See ``hsicl_core/self_supervised/swav.py``.
**Cost:** that of NT-Xent, with O(batch * n_prototypes) scores in place of O(batch^2) similarities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._self_supervised import SelfSupervisedMethod
from hsicl_core.encoder import Encoder
from hsicl_core.self_supervised.swav import SwAVObjective


@dataclass(frozen=True, kw_only=True)
class SwAV(SelfSupervisedMethod):
    """Pretraining by swapped prediction of cluster assignments.

    Attributes:
        n_prototypes: >= 2.
        temperature: of the predictions, > 0.
        epsilon: weight of the assignments' entropy, > 0.
        sinkhorn_iterations: >= 1.
        frozen_share: share of the training, 0..1, at whose beginning the prototypes rest.
    """

    n_prototypes: int = 64
    temperature: float = 0.1
    epsilon: float = 0.05
    sinkhorn_iterations: int = 3
    frozen_share: float = 0.1

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "n_prototypes": (16, 32, 64),
        "temperature": (0.1, 0.2),
        "learning_rate": (1e-3, 3e-3),
    }

    def make_objective(self, encoder: Encoder) -> SwAVObjective:
        """Return the objective. See the base class."""
        return SwAVObjective(
            encoder=encoder, projection_dim=self.projection_dim, n_prototypes=self.n_prototypes,
            temperature=self.temperature, epsilon=self.epsilon, sinkhorn_iterations=self.sinkhorn_iterations,
            frozen_share=self.frozen_share,
        )  # fmt: skip
