"""What the contrastive entrants share: components, views, encoder, training loop, dense embedding."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.methods.base import Fit, FitData, Method
from hsicl_core.checks import check_integer
from hsicl_core.encoder import Encoder, ProjectionHead, n_learnt
from hsicl_core.losses.base import ContrastiveLoss
from hsicl_core.miners.base import NegativeMiner
from hsicl_core.patches import PatchSource
from hsicl_core.preprocessing import principal_components, standardize
from hsicl_core.registries import VIEWS
from hsicl_core.training import Objective, Training, pretrain


@dataclass(frozen=True, kw_only=True)
class ContrastiveMethod(Method):
    """An encoder pretrained on two views of every pixel's patch.

    Attributes:
        patch_size: side in pixels, odd.
        n_components: principal components that the encoder sees.
        width: channels of the first two convolutions; the embedding has twice as many.
        projection_dim: dimension of the space of the loss.
        views: registered names of the views, applied in order.
        steps: optimiser steps.
        batch_size: pixels per step.
        learning_rate: peak of the schedule.
        weight_decay: AdamW's.
        precision: ``"float32"`` or ``"bfloat16"``.
    """

    patch_size: int = 9
    n_components: int = 24
    width: int = 64
    projection_dim: int = 64
    views: tuple[str, ...] = ("flip_rotate", "channel_dropout")
    steps: int = 400
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    precision: str = "float32"

    def __post_init__(self) -> None:
        # JSON knows no tuples.
        object.__setattr__(self, "views", tuple(self.views))
        check_integer("patch_size", self.patch_size, minimum=1, odd=True)
        check_integer("n_components", self.n_components, minimum=1)
        check_integer("width", self.width, minimum=1)
        check_integer("projection_dim", self.projection_dim, minimum=1)
        # Building the parts checks their parameters.
        self._objective()
        self._training()

    @property
    def receptive_field(self) -> int:
        """Side in pixels of the encoder's patch."""
        return self.patch_size

    @abstractmethod
    def make_miner(self) -> NegativeMiner:
        """Return the miner that chooses the negatives."""

    @abstractmethod
    def make_loss(self) -> ContrastiveLoss:
        """Return the loss over the miner's mask."""

    @abstractmethod
    def pseudo_labels(self, data: FitData, image: Tensor) -> Tensor:
        """Return (n,) int64 pseudolabels of ``data.pixels``, -1 = unassigned.

        Args:
            data: what the fit may see.
            image: (height, width, bands) float32, standardised.
        """

    def fit(self, data: FitData) -> Fit:
        """Pretrain and return the dense embedding."""
        # float32 in another order of operations is another number, so all draws come from one generator of the seed.
        generator = torch.Generator(data.device).manual_seed(data.seed)
        image = data.memo.get("standardized", lambda: standardize(data.cube, data.pixels))
        components = data.memo.get(
            ("components", self.n_components), lambda: principal_components(image, data.pixels, self.n_components)
        )
        pseudo_labels = self.pseudo_labels(data, image)
        data.observer.saw_pseudo_labels(data.pixels, pseudo_labels)
        encoder, head = self._seeded_networks(data.seed, data.device)
        curves = pretrain(
            encoder, head, PatchSource(components, self.patch_size), data.pixels, pseudo_labels,
            objective=self._objective(), training=self._training(), generator=generator, observer=data.observer,
        )  # fmt: skip
        return Fit(
            embed=lambda: encoder.embed_scene(components).flatten(0, 1),
            n_parameters=n_learnt(encoder),
            curves=curves,
        )

    def _seeded_networks(self, seed: int, device: torch.device) -> tuple[Encoder, ProjectionHead]:
        # Weights are drawn from torch's global stream, which is put back: the caller's draws are not disturbed. They
        # are drawn on the host, so that every device starts from the same ones.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder = Encoder(self.n_components, self.patch_size, (self.width, self.width, 2 * self.width))
            head = ProjectionHead(encoder.dim, self.projection_dim)
        return encoder.to(device), head.to(device)

    def _objective(self) -> Objective:
        views = [VIEWS.get(name)() for name in self.views]
        return Objective(views=views, miner=self.make_miner(), loss=self.make_loss())

    def _training(self) -> Training:
        return Training(
            steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate,
            weight_decay=self.weight_decay, precision=self.precision,
        )  # fmt: skip
