"""MoCo v2: InfoNCE against a queue of keys, which a slowly following copy of the encoder made.

**Source:** He et al. 2020, "Momentum Contrast", arXiv 1911.05722, eq. 1 and 2; Chen et al. 2020, arXiv 2003.04297.
**Differs:** encoder, views, optimiser and batch are those of ``nt_xent``, so that only the objective differs.
``momentum`` is 0.99 instead of 0.999, because a training here has hundreds of steps and a copy that is 1000 steps
behind would keep its random weights. Both views are queries; the queue starts empty and holds 4096 keys, 8 steps of
256 pixels, instead of 65536, because scenes are small; no shuffled batch normalisation, as there is only one device.
**Cost:** that of ``nt_xent`` plus one forward pass of 2 * batch patches and batch * queue_size similarities per step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._self_supervised import SelfSupervisedMethod
from hsicl_core.encoder import Encoder
from hsicl_core.self_supervised.moco_v2 import MoCoV2Objective


@dataclass(frozen=True, kw_only=True)
class MoCoV2(SelfSupervisedMethod):
    """Pretraining by momentum contrast.

    Attributes:
        temperature: of the loss.
        momentum: of the copy that makes the keys.
        queue_size: keys of past steps that are negatives.
    """

    temperature: float = 0.2
    momentum: float = 0.99
    queue_size: int = 4096

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "temperature": (0.1, 0.2, 0.5),
        "momentum": (0.9, 0.99),
        "learning_rate": (1e-3, 3e-3),
    }

    def make_objective(self, encoder: Encoder) -> MoCoV2Objective:
        """Return MoCo v2's objective."""
        return MoCoV2Objective(
            encoder=encoder, projection_dim=self.projection_dim, temperature=self.temperature,
            momentum=self.momentum, queue_size=self.queue_size,
        )  # fmt: skip
