"""What the networks trained from scratch on the labelled pixels share: input, training loop, dense scores."""

from __future__ import annotations

import functools
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from benchmark.methods._contrastive import labelled_pixels
from benchmark.methods.base import Fit, FitData, Method
from hsicl_core.checks import check_integer
from hsicl_core.encoder import n_learnt
from hsicl_core.fine_tuning import class_scores, fine_tune
from hsicl_core.networks.base import PatchNetwork, embed_pixels
from hsicl_core.patches import PatchSource
from hsicl_core.preprocessing import principal_components, standardize
from hsicl_core.registries import VIEWS
from hsicl_core.rows import whole
from hsicl_core.training import Training


@dataclass(frozen=True, kw_only=True)
class SupervisedPixelMethod(Method):
    """A network of single pixels that learns from the training labels alone; its classifier is its own.

    All networks have one optimiser (AdamW) and one schedule, so that they differ in architecture, input and length of
    training only. Statistics of the input, and principal components where there are any, are those of all ``pixels``.

    Attributes:
        n_components: principal components that the network sees; None for all bands, standardised.
        whiten: whether every component has unit variance; else the first one has, and all keep their proportions.
        views: registered names of the augmentations of every training batch, applied in order.
        steps: optimiser steps.
        batch_size: labelled patches per step; all of them where there are fewer.
        learning_rate: peak of the schedule.
        weight_decay: AdamW's.
        precision: ``"float32"`` or ``"bfloat16"``.
    """

    n_components: int | None = 30
    whiten: bool = False
    views: tuple[str, ...] = ()
    steps: int = 300
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    precision: str = "float32"

    kind: ClassVar[str] = "supervised"
    protocols: ClassVar[tuple[str, ...]] = ("own_classifier",)
    sees_labels: ClassVar[str] = "train"
    classifies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        # JSON knows no tuples.
        object.__setattr__(self, "views", tuple(self.views))
        if self.n_components is not None:
            check_integer("n_components", self.n_components, minimum=1)
        for name in self.views:
            VIEWS.get(name)
        self.make_training()

    @abstractmethod
    def make_network(self, n_channels: int) -> PatchNetwork:
        """Return the network with fresh weights from torch's global stream, on the host.

        Args:
            n_channels: bands or components of a patch.

        Raises:
            InvalidValueError: the patch has too few bands or pixels for the architecture.
        """

    def make_training(self) -> Training:
        """Return the training."""
        return Training(
            steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate,
            weight_decay=self.weight_decay, precision=self.precision,
        )  # fmt: skip

    def fit(self, data: FitData) -> Fit:
        """Train on the labelled pixels and return features and class scores of all pixels."""
        image = self._input(data)
        pixels, labels = labelled_pixels(data)
        # Weights and dropout are drawn from torch's global streams, which are put back.
        devices = [data.device] if data.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(data.seed)
            network = self.make_network(image.shape[2]).to(data.device)
            classifier = nn.Linear(network.dim, int(labels.max()) + 1).to(data.device)
            source = PatchSource(image, self.receptive_field)
            curves = fine_tune(
                network, classifier, source, pixels, labels, views=[VIEWS.get(name)() for name in self.views],
                training=self.make_training(), generator=torch.Generator(data.device).manual_seed(data.seed),
            )  # fmt: skip
        return Fit(
            embed=lambda: embed_pixels(network, source),
            classify=functools.partial(class_scores, classifier),
            n_parameters=n_learnt(network, classifier),
            curves=[("cross_entropy", step, value) for _, step, value in curves],
        )

    def _input(self, data: FitData) -> Tensor:
        """Return (height, width, channels) float32 what patches are cut from."""
        image = data.memo.get("standardized", lambda: standardize(data.cube, data.pixels))
        if self.n_components is None:
            return whole(image)
        n_components = self.n_components
        # Others share what is not whitened under the shorter key.
        key = ("components", n_components, "whitened") if self.whiten else ("components", n_components)
        components: Tensor = data.memo.get(
            key, lambda: principal_components(image, data.pixels, n_components, whiten=self.whiten)
        )
        return components


@dataclass(frozen=True, kw_only=True)
class SupervisedMethod(SupervisedPixelMethod):
    """A network of patches that learns from the training labels alone; its classifier is its own.

    Attributes:
        patch_size: side in pixels, odd.
        smallest_patch: what the architecture needs.
    """

    patch_size: int = 9
    views: tuple[str, ...] = ("flip_rotate",)

    smallest_patch: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("patch_size", self.patch_size, minimum=self.smallest_patch, odd=True)

    @property
    def receptive_field(self) -> int:
        """Side in pixels of the network's patch."""
        return self.patch_size
