"""What the pretrained entrants share whatever they are taught: components, encoder, views, training, fine-tuning."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchmark.methods.base import Fit, FitData, Method
from hsicl_core.checks import check_integer, check_options
from hsicl_core.encoder import Encoder, n_learnt
from hsicl_core.errors import InvalidValueError
from hsicl_core.fine_tuning import class_scores, fine_tune
from hsicl_core.patches import PatchSource
from hsicl_core.preprocessing import principal_components, standardize
from hsicl_core.registries import VIEWS
from hsicl_core.rows import Rows
from hsicl_core.training import Training
from hsicl_core.views.base import View


@dataclass(frozen=True, kw_only=True)
class PretrainedMethod(Method):
    """An encoder of patches of principal components that is pretrained, then embeds the scene or is fine-tuned.

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
        self.make_views()
        self.make_training(self.steps)

    @property
    def receptive_field(self) -> int:
        """Side in pixels of the encoder's patch."""
        return self.patch_size

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

    def make_encoder(self) -> Encoder:
        """Return the encoder with fresh weights from torch's global stream, on the host."""
        return Encoder(self.n_components, self.patch_size, (self.width, self.width, 2 * self.width))

    def inputs(self, data: FitData) -> tuple[Rows, Tensor]:
        """Return the standardised image (height, width, bands), and its components (height, width, n_components)."""
        image = data.memo.get("standardized", lambda: standardize(data.cube, data.pixels))
        components = data.memo.get(
            ("components", self.n_components), lambda: principal_components(image, data.pixels, self.n_components)
        )
        return image, components

    def fitted(
        self, data: FitData, encoder: Encoder, source: PatchSource, curves: list[tuple[str, int, float]],
        classifier: nn.Module | None = None,
    ) -> Fit:  # fmt: skip
        """Return the fit of a trained encoder.

        Args:
            data: what the fit was given.
            encoder: trained, in evaluation mode.
            source: patches of the components.
            curves: points watched during training.
            classifier: from embeddings to class scores, None if no label was learnt from.
        """
        return Fit(
            embed=lambda: encoder.embed_scene(source.image).flatten(0, 1),
            classify=None if classifier is None else functools.partial(class_scores, classifier),
            fine_tune=lambda *given: self._fine_tuned(encoder, source, data.seed, *given),
            n_parameters=n_learnt(encoder) + (n_learnt(classifier) if classifier is not None else 0),
            curves=curves,
        )

    def _fine_tuned(
        self, encoder: Encoder, source: PatchSource, seed: int, pixels: Tensor, labels: Tensor, steps: int,
        learning_rate: float,
    ) -> Tensor:  # fmt: skip
        """Return what ``Fit.fine_tune`` promises; the views are those of the pretraining."""
        encoder = copy.deepcopy(encoder)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            classifier = nn.Linear(encoder.dim, int(labels.max()) + 1).to(pixels.device)
        fine_tune(
            encoder, classifier, source, pixels, labels, views=self.make_views(),
            training=dataclasses.replace(self.make_training(steps), learning_rate=learning_rate),
            generator=torch.Generator(pixels.device).manual_seed(seed),
        )  # fmt: skip
        return class_scores(classifier, encoder.embed_scene(source.image).flatten(0, 1))


def _make_view(name: str, options: Mapping[str, Any]) -> View:
    member: Callable[..., View] = VIEWS.get(name)
    check_options(f"view {name!r}", options, inspect.signature(member).parameters)
    return member(**options)
