"""The contract of a protocol: choose on validation, then predict. It never holds a test label."""

from __future__ import annotations

import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
# What a protocol prepared for some pixels: rows (n, dim) of an embedding or of class scores, or pixels (n,) themselves.
Inputs = NDArray[Any]
# Embeddings may be larger than memory; of so many rows at once statistics are taken.
_CHUNK = 2**16


class Prepared(typing.Protocol):
    """What a protocol prepared for every pixel of the scene. An array is one."""

    def __getitem__(self, pixels: Labels) -> Inputs:
        """Return what belongs to the pixels (n,), flat indices."""


@dataclass(frozen=True)
class Chosen:
    """A classifier and what was chosen for it on validation.

    Attributes:
        predict: maps what was prepared for n pixels to (n,) class indices.
        parameters: the chosen hyperparameters.
        confidence: maps the same to (n,) float32 in 0..1, how sure the predicted class is; each protocol says
            in what sense, and none is calibrated. None where the protocol has no such number.
    """

    predict: Callable[[Inputs], Labels]
    parameters: dict[str, Any]
    confidence: Callable[[Inputs], Floats] | None = None


@dataclass(frozen=True)
class Network:
    """A fitted network that can be trained on.

    Attributes:
        n_pixels: pixels of the scene.
        fine_tune: maps labelled pixels (m,), flat indices, their classes (m,), a number of steps and a learning rate to
            the class scores (n_pixels, n_classes) of a copy of the network trained on them.
    """

    n_pixels: int
    fine_tune: Callable[[Labels, Labels, int, float], Floats]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a trial has to choose from.

    Attributes:
        train_x: what was prepared for the n_train training pixels.
        train_y: (n_train,) class indices.
        val_x: what was prepared for the n_val validation pixels.
        val_y: (n_val,) class indices.
    """

    train_x: Inputs
    train_y: Labels
    val_x: Inputs
    val_y: Labels


@dataclass(frozen=True, kw_only=True)
class Protocol(ABC):
    """A way to score an embedding. Its dataclass fields are its parameters.

    An instance scores one embedding: ``prepare`` comes first, then ``choose``.

    Attributes:
        reads: ``"embedding"``; or what stands in its place: ``"scores"``, the class scores of a method that classifies,
            or ``"network"``, of a method that can be trained on (``Network``).
        solves_together: whether ``choose_together`` takes less time than ``choose`` after ``choose``. The runner then
            gives it all trials of a fit at once; of others it gives one after the other, as each is recorded.
    """

    reads: ClassVar[str] = "embedding"
    solves_together: ClassVar[bool] = False

    def prepare(self, read: Any, pixels: Labels) -> Prepared:
        """Return what ``choose`` and its classifier will be given of every pixel; here what was read itself.

        Args:
            read: what the protocol reads: embedding (n, dim) or scores (n, n_classes) of all pixels of the scene, or
                the network.
            pixels: (m,) int64, those that statistics may be taken over.
        """
        prepared: Prepared = read
        return prepared

    @abstractmethod
    def choose(self, train_x: Inputs, train_y: Labels, val_x: Inputs, val_y: Labels) -> Chosen:
        """Return the classifier, fitted on train, that is the best on validation.

        Args:
            train_x: what was prepared for the n_train training pixels.
            train_y: (n_train,) class indices.
            val_x: what was prepared for the n_val validation pixels.
            val_y: (n_val,) class indices.
        """

    def choose_together(self, problems: Sequence[Problem]) -> list[Chosen | Exception]:
        """Return what ``choose`` would of each problem, in order, or what it failed with; here by ``choose`` itself.

        A result must not depend on the other problems, bit for bit, nor on their order.

        Args:
            problems: of one embedding, prepared by this instance.
        """
        found: list[Chosen | Exception] = []
        for each in problems:
            try:
                found.append(self.choose(each.train_x, each.train_y, each.val_x, each.val_y))
            except Exception as error:
                found.append(error)
        return found


class Standardized:
    """An embedding with every dimension at mean 0 and standard deviation 1 over some of its pixels, as it is read.

    Not over the training pixels: with one or two of a class, a dimension that hardly varies among them would be blown
    up. A constant dimension becomes 0.

    Args:
        embedding: (n, dim).
        pixels: (m,) those that the statistics are taken over, m >= 1.
    """

    def __init__(self, embedding: Floats, pixels: Labels) -> None:
        chunks = [pixels[start : start + _CHUNK] for start in range(0, len(pixels), _CHUNK)]
        self._embedding = embedding
        self._mean = sum(embedding[chunk].sum(axis=0, dtype=np.float64) for chunk in chunks) / len(pixels)
        squares = sum(np.square(embedding[chunk] - self._mean).sum(axis=0) for chunk in chunks)
        deviation = np.sqrt(squares / len(pixels))
        self._scale = np.where(deviation > 0, deviation, np.inf)

    def __getitem__(self, pixels: Labels) -> Floats:
        """Return the standardised rows (n, dim) of the pixels."""
        rows: Floats = ((self._embedding[pixels] - self._mean) / self._scale).astype(np.float32)
        return rows


def best_on_validation(candidates: Iterable[Chosen], val_x: Inputs, val_y: Labels) -> Chosen:
    """Return the candidate with the most validation pixels right; the earlier one on a tie."""
    best, best_right = None, -1
    for candidate in candidates:
        right = int((candidate.predict(val_x) == val_y).sum())
        if right > best_right:
            best, best_right = candidate, right
    if best is None:
        raise ValueError("a protocol must offer at least one candidate")
    return best


def largest(share: Callable[[Inputs], NDArray[np.floating]]) -> Callable[[Inputs], Floats]:
    """Return the confidence that is the largest of the classes' shares (n, n_classes) of a pixel."""
    return lambda x: share(x).max(axis=1).astype(np.float32)


MEMBER: Any = Protocol
