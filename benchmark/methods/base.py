"""The contract of a method: fit on what it may see, then embed every pixel of the scene."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from benchmark.memo import ScopedMemo
from hsicl_core.observing import Observer
from hsicl_core.rows import Rows

# What a method is to the comparison, in the order in which a reader meets them.
KINDS = ("trivial", "classical", "supervised", "self_supervised", "ours", "bound", "other")
# The remark that records of a method without ``bounded_view`` carry.
BEYOND_PATCH = "embedding depends on more than the patch that the split guards, leakage does not count it"


@dataclass(frozen=True, kw_only=True)
class FitData:
    """All that a method's fit is given. Labels it may not see are not in it.

    Attributes:
        cube: (height, width, bands) float32 on ``device``, shared with other fits: not to be changed. A tensor; of a
            scene larger than memory (``hsicl_core.rows.resident_limit``) an image that gives tensors of ``cube[rows]``.
        pixels: (n,) int64 flat indices of the pixels whose patches may be drawn, and which statistics are taken over.
        labels: (height * width,) int64, -1 everywhere except where the method's ``sees_labels`` allows.
        seed: seed of every random draw of the fit.
        device: where to compute.
        observer: told what happens during training; it measures with labels that the method cannot see.
        memo: keeps what other fits of the same pixels of the same scene can use too.
    """

    cube: Rows
    pixels: Tensor
    labels: Tensor
    seed: int
    device: torch.device
    observer: Observer
    memo: ScopedMemo


@dataclass(kw_only=True)
class Fit:
    """What a fit gives back.

    Attributes:
        embed: maps nothing to the embedding of all pixels, (height * width, dim) float32 on any device; made in
            ``hsicl_core.rows.empty``, it may be larger than memory.
        classify: maps that embedding to class scores, (height * width, n_classes); None if the method has none.
        fine_tune: maps labelled pixels (m,) int64, their classes (m,) int64, a number of steps and a learning rate to
            the class scores of all pixels, (height * width, n_classes) float32, of a copy of the network trained on
            them; None if there is no network. The same arguments give the same scores.
        n_parameters: learnt parameters of the encoder, and of the classifier of methods that classify.
        curves: points (name, step, value) watched during training.
    """

    embed: Callable[[], Tensor]
    classify: Callable[[Tensor], Tensor] | None = None
    fine_tune: Callable[[Tensor, Tensor, int, float], Tensor] | None = None
    n_parameters: int = 0
    curves: list[tuple[str, int, float]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A competitor. Its dataclass fields are its parameters; ``__post_init__`` checks them.

    Attributes:
        sees_labels: the labels its fit may see: ``"none"``, ``"train"``, or ``"all"`` (a bound, set apart in tables).
        classifies: whether its fit gives class scores of its own beside the embedding.
        fine_tunes: whether its fit gives a network that can be trained on with labels.
        bounded_view: whether a pixel's embedding depends on the fit and its window of ``receptive_field`` alone, and
            the fit is not another one for each neighbourhood. If False, the parts of a split have more in common than
            its guard and ``leakage`` know of; records and the leaderboard say so (``BEYOND_PATCH``).
        kind: one of ``KINDS``; a bound is what sees all labels, and nothing else.
        protocols: registered names of the protocols that score it on the leaderboard.
        search_space: parameter -> the values that tuning may choose from, the same on every scene. The defaults are
            always tried, whether they are among them or not.
        gains_from_gpu: whether its fit is faster on a GPU; if not, it runs on a CPU beside those that are.
        transductive: whether its fit may see the spectra of test pixels. If not, it is given no pixel whose patch
            holds a test or validation pixel.
    """

    kind: ClassVar[str] = "other"
    protocols: ClassVar[tuple[str, ...]] = ("linear",)
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    sees_labels: ClassVar[str] = "none"
    classifies: ClassVar[bool] = False
    fine_tunes: ClassVar[bool] = False
    bounded_view: ClassVar[bool] = True
    gains_from_gpu: ClassVar[bool] = True

    transductive: bool = True

    @property
    def uses_split(self) -> bool:
        """Whether the fit depends on the split, so that trials of different splits share none."""
        return self.sees_labels == "train" or not self.transductive

    @property
    def receptive_field(self) -> int:
        """Side in pixels, odd, of the window that one pixel's embedding depends on."""
        return 1

    @property
    def fusion(self) -> Hashable | None:
        """What fits must have in common to be trained as one (``fit_together``); None where each is alone."""
        return None

    @abstractmethod
    def fit(self, data: FitData) -> Fit:
        """Fit to ``data``; the same data and parameters give the same embedding, bit for bit, on one machine.

        Raises:
            hsicl_core.NonFiniteLossError: training diverged.
        """

    @staticmethod
    def fit_together(methods: Sequence[Method], data: Sequence[FitData]) -> list[Fit | Exception]:
        """Fit several at once, as one training where their method can; here one after the other.

        Which others are fitted beside it changes a fit by no more than sums in another order do; one that fails leaves
        the others as they are.

        Args:
            methods: their ``fusion`` is equal and not None.
            data: of each, of one scene on one device.

        Returns:
            The fits in order, or what one of them failed with.
        """
        fits: list[Fit | Exception] = []
        for method, of_method in zip(methods, data, strict=True):
            try:
                fits.append(method.fit(of_method))
            except Exception as error:
                # The runner makes a record of it, as of one that fails alone.
                fits.append(error)
        return fits


MEMBER: Any = Method
