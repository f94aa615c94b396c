"""What the contrastive entrants share: components, views, encoder, training loop, dense embedding."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchmark.methods.base import Fit, FitData, Method
from hsicl_core.checks import check_integer, check_options
from hsicl_core.encoder import Encoder, ProjectionHead, n_learnt
from hsicl_core.errors import InvalidValueError
from hsicl_core.fine_tuning import class_scores, fine_tune
from hsicl_core.losses.base import ContrastiveLoss
from hsicl_core.miners.base import NegativeMiner
from hsicl_core.objective import Labelling, Objective, Supervision
from hsicl_core.patches import PatchSource
from hsicl_core.preprocessing import principal_components, standardize
from hsicl_core.pretraining import pretrain
from hsicl_core.registries import VIEWS
from hsicl_core.rows import Rows
from hsicl_core.training import Training
from hsicl_core.views.base import View


@dataclass(kw_only=True)
class Networks:
    """What a fit trains, and what it trains on.

    Attributes:
        encoder: from patches to embeddings.
        head: from embeddings to the space of the loss.
        classifier: from embeddings to class scores, None where no label is learnt from.
        source: patches of the components.
        generator: source of every draw of the fit.
    """

    encoder: Encoder
    head: nn.Module
    classifier: nn.Module | None
    source: PatchSource
    generator: torch.Generator


@dataclass(frozen=True, kw_only=True)
class ContrastiveMethod(Method):
    """An encoder pretrained on two views of every pixel's patch.

    Attributes:
        patch_size: side in pixels, odd.
        n_components: principal components that the encoder sees.
        width: channels of the first two convolutions; the embedding has twice as many.
        projection_dim: dimension of the space of the loss.
        views: registered names of the views, applied in order.
        view_options: parameters of a view that differ from its defaults, by the view's name.
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
    view_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    steps: int = 400
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    precision: str = "float32"

    fine_tunes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        # JSON knows no tuples.
        object.__setattr__(self, "views", tuple(self.views))
        check_integer("patch_size", self.patch_size, minimum=1, odd=True)
        check_integer("n_components", self.n_components, minimum=1)
        check_integer("width", self.width, minimum=1)
        check_integer("projection_dim", self.projection_dim, minimum=1)
        # Building the parts checks their parameters.
        self.make_objective()
        self.make_training(self.steps)

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

    def make_objective(self) -> Objective:
        """Return views, miner and loss; what compares vectors of the pixels is not given them yet."""
        return Objective(views=self.make_views(), miner=self.make_miner(), loss=self.make_loss())

    def label(self, data: FitData, image: Rows) -> Labelling:
        """Return the pseudolabels of ``data.pixels``; here none is assigned.

        Args:
            data: what the fit may see.
            image: (height, width, bands) float32, standardised.
        """
        return Labelling(labels=torch.full_like(data.pixels, -1))

    def complete(self, objective: Objective, data: FitData, image: Rows) -> Objective:
        """Return ``objective`` with the vectors that it compares, if it does. See ``label`` for the arguments."""
        return objective

    def supervise(self, data: FitData, networks: Networks) -> Supervision | None:
        """Return the labelled pixels to learn from during pretraining; here none."""
        return None

    def fit(self, data: FitData) -> Fit:
        """Pretrain and return the dense embedding."""
        image = data.memo.get("standardized", lambda: standardize(data.cube, data.pixels))
        components = data.memo.get(
            ("components", self.n_components), lambda: principal_components(image, data.pixels, self.n_components)
        )
        labelling = self.label(data, image)
        networks = self._seeded_networks(data, components)
        encoder, classifier = networks.encoder, networks.classifier
        curves = pretrain(
            encoder, networks.head, networks.source, data.pixels, labelling,
            objective=self.complete(self.make_objective(), data, image), training=self.make_training(self.steps),
            generator=networks.generator, observer=data.observer, supervision=self.supervise(data, networks),
        )  # fmt: skip

        return Fit(
            embed=lambda: encoder.embed_scene(components).flatten(0, 1),
            classify=None if classifier is None else functools.partial(class_scores, classifier),
            fine_tune=lambda *given: self._fine_tuned(networks, data.seed, *given),
            n_parameters=n_learnt(encoder) + (n_learnt(classifier) if classifier is not None else 0),
            curves=curves,
        )

    def _fine_tuned(
        self, networks: Networks, seed: int, pixels: Tensor, labels: Tensor, steps: int, learning_rate: float
    ) -> Tensor:
        """Return what ``Fit.fine_tune`` promises; the views are those of the pretraining."""
        encoder, source = copy.deepcopy(networks.encoder), networks.source
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            classifier = nn.Linear(encoder.dim, int(labels.max()) + 1).to(pixels.device)
        fine_tune(
            encoder, classifier, source, pixels, labels, views=self.make_views(),
            training=dataclasses.replace(self.make_training(steps), learning_rate=learning_rate),
            generator=torch.Generator(pixels.device).manual_seed(seed),
        )  # fmt: skip
        return class_scores(classifier, encoder.embed_scene(source.image).flatten(0, 1))

    def make_views(self) -> list[View]:
        """Return the views, with their options.

        Raises:
            UnknownNameError: no such view, or it has no such parameter.
            InvalidValueError: options of a view that is not among ``views``, or a value outside its range.
        """
        for name in self.view_options:
            if name not in self.views:
                raise InvalidValueError(
                    f"view_options names {name!r}, which is not among views={list(self.views)}: add it there, or "
                    "leave its options out"
                )
        return [_make_view(name, self.view_options.get(name, {})) for name in self.views]

    def make_training(self, steps: int) -> Training:
        """Return the training of so many steps."""
        return Training(
            steps=steps, batch_size=self.batch_size, learning_rate=self.learning_rate,
            weight_decay=self.weight_decay, precision=self.precision,
        )  # fmt: skip

    def _seeded_networks(self, data: FitData, components: Tensor) -> Networks:
        # Weights are drawn from torch's global stream, which is put back: the caller's draws are not disturbed. They
        # are drawn on the host, so that every device starts from the same ones.
        n_classes = int(data.labels.max()) + 1 if self.classifies else 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(data.seed)
            encoder = Encoder(self.n_components, self.patch_size, (self.width, self.width, 2 * self.width))
            head = ProjectionHead(encoder.dim, self.projection_dim)
            classifier = nn.Linear(encoder.dim, n_classes) if n_classes else None
        return Networks(
            encoder=encoder.to(data.device), head=head.to(data.device),
            classifier=None if classifier is None else classifier.to(data.device),
            source=PatchSource(components, self.patch_size),
            # All draws of a fit come from one generator of its seed.
            generator=torch.Generator(data.device).manual_seed(data.seed),
        )  # fmt: skip


def labelled_pixels(data: FitData) -> tuple[Tensor, Tensor]:
    """Return those of ``data.pixels`` (m,) whose labels the fit may see, and these (m,).

    Raises:
        InvalidValueError: there are none.
    """
    pixels = data.pixels[data.labels[data.pixels] >= 0]
    if len(pixels) == 0:
        raise InvalidValueError("no label may be seen, supervision needs at least one: use a method that sees labels")
    return pixels, data.labels[pixels]


def _make_view(name: str, options: Mapping[str, Any]) -> View:
    member: Callable[..., View] = VIEWS.get(name)
    check_options(f"view {name!r}", options, inspect.signature(member).parameters)
    return member(**options)
