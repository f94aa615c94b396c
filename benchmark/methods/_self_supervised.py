"""What self-supervised entrants without a mask of negatives share: the objective, its weights and the training loop."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from benchmark.methods._pretrained import PretrainedMethod
from benchmark.methods.base import Fit, FitData
from hsicl_core.encoder import Encoder
from hsicl_core.patches import PatchSource
from hsicl_core.self_supervised.base import SelfSupervisedObjective
from hsicl_core.self_supervised.training import pretrain_objective


@dataclass(frozen=True, kw_only=True)
class SelfSupervisedMethod(PretrainedMethod):
    """An encoder pretrained on two views of every pixel's patch by an objective that knows no negatives' mask."""

    kind: ClassVar[str] = "self_supervised"

    def __post_init__(self) -> None:
        super().__post_init__()
        # Building it checks its parameters.
        self._seeded_objective(seed=0)

    @abstractmethod
    def make_objective(self, encoder: Encoder) -> SelfSupervisedObjective:
        """Return the objective around ``encoder``, with fresh weights from torch's global stream, on the host.

        Raises:
            InvalidValueError: a parameter outside its range.
        """

    def fit(self, data: FitData) -> Fit:
        """Pretrain and return the dense embedding."""
        _, components = self.inputs(data)
        source = PatchSource(components, self.patch_size)
        objective = self._seeded_objective(seed=data.seed).to(data.device)
        curves = pretrain_objective(
            objective, source, data.pixels, views=self.make_views(), training=self.make_training(self.steps),
            # All draws of a fit come from one generator of its seed.
            generator=torch.Generator(data.device).manual_seed(data.seed),
        )  # fmt: skip
        return self.fitted(data, objective.encoder, source, curves)

    def _seeded_objective(self, *, seed: int) -> SelfSupervisedObjective:
        # See ContrastiveMethod: drawn on the host, and torch's global stream is put back.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.make_objective(self.make_encoder())
