"""What the methods that label before they mine share: the features, the pseudolabel source, refreshes, the noise."""

from __future__ import annotations

import functools
import hashlib
import inspect
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.methods._mined import MiningMethod
from benchmark.methods.base import FitData
from benchmark.node_cache import digest_of_files
from benchmark.trial import canonical_json, derived_seed
from hsicl_core.checks import check_choice, check_integer, check_number, check_options
from hsicl_core.errors import InvalidValueError
from hsicl_core.label_noise import replace_labels
from hsicl_core.objective import Labelling
from hsicl_core.preprocessing import principal_components, window_mean
from hsicl_core.pseudolabels.base import PseudoLabeler
from hsicl_core.registries import PSEUDO_LABELERS
from hsicl_core.rows import Rows, chosen, resident_limit

# From the standardised image, the pixels to fit on and a number of components to the image of features.
FEATURES: dict[str, Callable[[Rows, Tensor, int], Rows]] = {
    "spectra": lambda image, pixels, n_components: image,
    "pca": principal_components,
    "whitened_pca": lambda *given: principal_components(*given, whiten=True),
}
# The features that are there only once something has been learnt.
LEARNED = "embeddings"

# What a source or a method may see, from nothing to everything.
_SIGHT = ("none", "train", "all")


@dataclass(frozen=True, kw_only=True)
class LabellingMethod(MiningMethod):
    """Contrastive pretraining with negatives mined by pseudolabels from a registered source.

    Attributes:
        pseudolabels: registered name of the pseudolabel source; it may see no more labels than the method.
        n_clusters: K of the source, if it has one.
        pseudolabel_options: further parameters of the source that differ from its defaults.
        features: what the source is given before training: ``"spectra"``, ``"pca"`` or ``"whitened_pca"``; with
            ``"embeddings"`` nothing is labelled until the first refresh.
        cluster_window: side in pixels of the window over which the features are averaged before labelling, odd, at
            most ``patch_size``, so that no pixel is judged by more than its own patch.
        refresh_epochs: epochs between refreshes, > 0, in which the source labels the learned embeddings; None for
            never.
        label_noise: share of the pseudolabels that are replaced by uniformly drawn ones, 0..1.
    """

    pseudolabels: str
    n_clusters: int = 16
    pseudolabel_options: Mapping[str, Any] = field(default_factory=dict)
    features: str = "whitened_pca"
    cluster_window: int = 9
    refresh_epochs: float | None = None
    label_noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._source(seed=0)
        check_choice("features", self.features, [*FEATURES, LEARNED])
        check_number("label_noise", self.label_noise, minimum=0, maximum=1)
        check_integer("cluster_window", self.cluster_window, minimum=1, odd=True)
        if self.cluster_window > self.patch_size:
            raise InvalidValueError(
                f"cluster_window={self.cluster_window} exceeds patch_size={self.patch_size}: the clustering would see "
                f"beyond the patch that the split guards; use at most {self.patch_size}"
            )
        if self.refresh_epochs is not None:
            check_number("refresh_epochs", self.refresh_epochs, above=0)
        elif self.features == LEARNED:
            raise InvalidValueError(
                f"features={LEARNED!r} are there only once something has been learnt, got refresh_epochs=None: "
                "give the epochs between refreshes"
            )

    def label(self, data: FitData, image: Rows) -> Labelling:
        """Return the source's label of every pixel's window, with noise if asked for, and how to refresh it.

        Raises:
            InvalidValueError: training ends before anything is labelled.
        """
        relabel = self._relabeller(data) if self.refresh_epochs is not None else None
        if self.features == LEARNED:
            self._check_refreshed(len(data.pixels))
            labels, confidence = torch.full_like(data.pixels, -1), torch.zeros(len(data.pixels), device=data.device)
        else:
            labels, confidence = self._label_features(data, image)
        return Labelling(
            labels=labels, confidence=confidence, relabel=relabel, refresh_epochs=self.refresh_epochs
        )  # fmt: skip

    def features_of(self, data: FitData, image: Rows) -> Tensor:
        """Return (height * width, dim) what is clustered before training; see ``features`` and ``cluster_window``."""
        if self.features == LEARNED:
            return super().features_of(data, image)
        features = FEATURES[self.features](image, data.pixels, self.n_components)
        return window_mean(features, self.cluster_window).flatten(0, 1)

    def _check_refreshed(self, n_pixels: int) -> None:
        due = self.make_training(self.steps).steps_of(self.refresh_epochs or 1.0, n_pixels)
        if due >= self.steps:
            raise InvalidValueError(
                f"refresh_epochs={self.refresh_epochs} is every {due} steps for {n_pixels} pixels, training has "
                f"{self.steps}: no pixel would ever be labelled; lower it, or train for more steps"
            )

    def _label_features(self, data: FitData, image: Rows) -> tuple[Tensor, Tensor]:
        source = self._source(seed=data.seed)
        key = (
            "pseudolabels", self.pseudolabels, canonical_json(dict(self.pseudolabel_options)), self.features,
            self.n_components, self.cluster_window, self.n_clusters, data.seed, _digest_of_seen(source, data),
            _digest_of_code(type(source)),
        )  # fmt: skip
        labels, confidence = data.memo.get_on_node(
            key, lambda: make_labels(source, chosen(self.features_of(data, image), data.pixels), data), data.device
        )
        return self._with_noise(labels, data), confidence

    def _relabeller(self, data: FitData) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        def relabel(embedding: Tensor) -> tuple[Tensor, Tensor]:
            labels, confidence = make_labels(self._source(seed=data.seed), embedding, data)
            return self._with_noise(labels, data), confidence

        return relabel

    def _with_noise(self, labels: Tensor, data: FitData) -> Tensor:
        return replace_labels(labels, self.label_noise, seed=derived_seed("label_noise", data.seed))

    def _source(self, *, seed: int) -> PseudoLabeler:
        source = make_source(
            self.pseudolabels, n_clusters=self.n_clusters, seed=seed, options=self.pseudolabel_options
        )  # fmt: skip
        if _SIGHT.index(source.sees_labels) > _SIGHT.index(self.sees_labels):
            raise InvalidValueError(
                f"pseudolabels={self.pseudolabels!r} sees labels ({source.sees_labels}), this method may see "
                f"{self.sees_labels}: use a method whose sees_labels is {source.sees_labels!r}, or another source"
            )
        return source


def make_source(name: str, *, n_clusters: int, seed: int, options: Mapping[str, Any]) -> PseudoLabeler:
    """Return the pseudolabel source called ``name``, not yet fitted.

    Args:
        name: registered name.
        n_clusters: passed if the source takes it.
        seed: passed if the source takes it.
        options: further parameters of the source, all of which it must take.

    Raises:
        UnknownNameError: no such source, or it has no such parameter.
        InvalidValueError: a parameter outside its range.
    """
    member: Callable[..., PseudoLabeler] = PSEUDO_LABELERS.get(name)
    known = inspect.signature(member).parameters
    usual = {"n_clusters": n_clusters, "seed": seed}
    check_options(f"pseudolabel source {name!r}", options, known.keys() - usual)
    return member(**{key: value for key, value in usual.items() if key in known}, **options)


def make_labels(source: PseudoLabeler, vectors: Tensor, data: FitData) -> tuple[Tensor, Tensor]:
    """Return the source's pseudolabels (n,) int64 of ``data.pixels`` and their confidences (n,) float32.

    Args:
        source: is given what it declares to need: positions, and the labels that are in ``data``.
        vectors: (n, dim) float, features of ``data.pixels``.
        data: what the fit may see; the results are on its device.

    Raises:
        InvalidValueError: the source cannot label these vectors, or not so many of them.
    """
    if 4 * vectors.numel() > resident_limit() and not source.streams:
        able = ", ".join(name for name in PSEUDO_LABELERS.names() if PSEUDO_LABELERS.get(name).streams)
        raise InvalidValueError(
            f"{type(source).__name__} needs all {len(vectors)} x {vectors.shape[1]} features in memory, more than the "
            f"limit of {resident_limit() // 2**20} MiB: raise HSICL_RESIDENT_MIB, or use one of: {able}"
        )
    given: dict[str, Tensor] = {}
    if source.needs_positions:
        width = data.cube.shape[1]
        given["positions"] = torch.stack([data.pixels // width, data.pixels % width], dim=1)
    if _uses_labels(source):
        given["labels"] = data.labels[data.pixels]
    fitted = source.fit(vectors, **given)
    return fitted.labels_.to(data.device), fitted.confidence_.to(data.device)


def _uses_labels(source: PseudoLabeler) -> bool:
    return _SIGHT.index(source.sees_labels) > 0


def _digest_of_seen(source: PseudoLabeler, data: FitData) -> str:
    """Return what tells apart the labels that the source sees; one text for all where it sees none."""
    if not _uses_labels(source):
        return ""
    return hashlib.sha256(data.labels[data.pixels].cpu().numpy().tobytes()).hexdigest()


@functools.cache
def _digest_of_code(source: type[PseudoLabeler]) -> str:
    """Return what tells apart the states of the source's file, which may be of another package than ours."""
    try:
        return digest_of_files([Path(inspect.getfile(source))])
    except (TypeError, OSError):
        # Written in a notebook, say: no other process can know that it has the same.
        return uuid.uuid4().hex
