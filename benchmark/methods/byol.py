"""BYOL: an encoder predicts what a slowly following copy of it makes of the other view; there are no negatives.

**Source:** Grill et al. 2020, "Bootstrap your own latent", arXiv 2006.07733, eq. 1, 2 and sec. 3.2.
**Differs:** encoder, views, optimiser and batch are those of ``nt_xent``, so that only the objective differs; projector
and predictor are as wide for the small encoder as theirs, relative to it, but for the projection. ``momentum`` starts
at 0.97 (the copy is some 33 steps behind), the preset of the authors' code for their shortest training, 40 epochs;
their 0.996 is for 1000 epochs, and a copy that is 250 steps behind would hardly move in a training of hundreds.
**Cost:** that of ``nt_xent`` plus one forward pass of 2 * batch patches per step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._self_supervised import SelfSupervisedMethod
from hsicl_core.encoder import Encoder
from hsicl_core.self_supervised.byol import BYOLObjective


@dataclass(frozen=True, kw_only=True)
class BYOL(SelfSupervisedMethod):
    """Bootstrapped pretraining.

    Attributes:
        hidden_dim: dimension between the two layers of projector and predictor.
        momentum: of the copy at the start; it rises along half a cosine to 1 at the end.
    """

    hidden_dim: int = 256
    momentum: float = 0.97

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "momentum": (0.9, 0.97, 0.99),
        "learning_rate": (1e-3, 3e-3),
    }

    def make_objective(self, encoder: Encoder) -> BYOLObjective:
        """Return BYOL's objective."""
        return BYOLObjective(
            encoder=encoder, projection_dim=self.projection_dim, hidden_dim=self.hidden_dim, momentum=self.momentum
        )
