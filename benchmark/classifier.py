"""What a fit gives to the trials that share it, and the classifiers that they make of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.planning import split_of
from benchmark.protocols.base import Chosen, Network, Prepared, Problem
from benchmark.registries import PROTOCOLS
from benchmark.scene import Scene
from benchmark.split import Split
from benchmark.trial import Trial
from hsicl_core.errors import InvalidValueError

# Pixels that are classified at once: what was prepared for all of them may be larger than memory.
_CHUNK = 2**16


@dataclass(frozen=True, kw_only=True)
class FittedScene:
    """What the trials of a group share.

    Attributes:
        embedding: (height * width, dim) float32.
        scores: (height * width, n_classes) float32, None where the method does not classify.
        network: what can be trained on, None where the method has no such network.
        pixels: (n,) int64 flat indices of the pixels that the fit was given.
        columns: the record's columns that the fit decides.
    """

    embedding: NDArray[np.float32]
    scores: NDArray[np.float32] | None
    network: Network | None
    pixels: NDArray[np.int64]
    columns: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A trial's classifier, chosen on validation, and all that it needs.

    Attributes:
        split: the trial's split.
        rows: what the protocol prepared for every pixel: of an embedding, of class scores, or the pixels themselves.
        chosen: predicts such rows.
    """

    split: Split
    rows: Prepared
    chosen: Chosen

    def predict(self, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (n,) class indices of the pixels, flat indices."""
        chunks = (self.rows[pixels[start : start + _CHUNK]] for start in range(0, len(pixels), _CHUNK))
        return np.concatenate([np.empty(0, dtype=np.int64), *map(self.chosen.predict, chunks)])


def choose_classifier(trial: Trial, scene: Scene, fitted: FittedScene) -> Classifier:
    """Return the classifier that the trial's protocol chooses on validation."""
    ((found, _),) = choose_classifiers([trial], scene, fitted)
    if isinstance(found, Exception):
        raise found
    return found


def choose_classifiers(
    trials: Sequence[Trial], scene: Scene, fitted: FittedScene
) -> Iterator[tuple[Classifier | Exception, float]]:
    """Choose the classifier of every trial; one that fails leaves the others.

    Trials whose protocol ``solves_together`` are chosen for when the first of them is asked for, all others one by one.

    Args:
        trials: they share the fit.
        scene: the scene they name.
        fitted: what the fit gave.

    Yields:
        A classifier, or what choosing it failed with, and the seconds it took: an equal share of those together.
    """
    waiting: dict[int, tuple[Classifier | Exception, float]] = {}
    for place, trial in enumerate(trials):
        if place not in waiting:
            places = [place]
            if PROTOCOLS.get(trial.protocol).solves_together:
                kind = (trial.protocol, trial.protocol_params)
                places = [p for p, each in enumerate(trials) if (each.protocol, each.protocol_params) == kind]
            clock = time.perf_counter()
            found = _chosen([trials[p] for p in places], scene, fitted)
            share_s = (time.perf_counter() - clock) / len(places)
            waiting.update((p, (each, share_s)) for p, each in zip(places, found, strict=True))
        yield waiting.pop(place)


def _chosen(trials: Sequence[Trial], scene: Scene, fitted: FittedScene) -> list[Classifier | Exception]:
    """Return the classifiers of trials of one protocol with one set of parameters, or what they failed with."""
    found: dict[int, Classifier | Exception] = {}
    splits: dict[int, Split] = {}
    for place, trial in enumerate(trials):
        try:
            splits[place] = split_of(scene, trial.split)
        except Exception as error:
            found[place] = error
    try:
        protocol = PROTOCOLS.get(trials[0].protocol)(**trials[0].protocol_parameters())
        read = getattr(fitted, protocol.reads)
        if read is None:
            raise InvalidValueError(f"method {trials[0].method!r} gave no {protocol.reads}: choose another protocol")
        rows, labels = protocol.prepare(read, fitted.pixels), scene.labels.reshape(-1)
        problems = [
            Problem(
                train_x=rows[split.train], train_y=labels[split.train], val_x=rows[split.val], val_y=labels[split.val]
            )
            for split in splits.values()
        ]  # fmt: skip
        chosen = protocol.choose_together(problems) if problems else []
    except Exception as error:
        chosen = [error] * len(splits)
    for (place, split), each in zip(splits.items(), chosen, strict=True):
        found[place] = each if isinstance(each, Exception) else Classifier(split=split, rows=rows, chosen=each)
    return [found[place] for place in range(len(trials))]
