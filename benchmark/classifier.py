"""What a fit gives to the trials that share it, and the classifier that a trial makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.planning import split_of
from benchmark.protocols.base import Chosen, Network, Prepared
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
    split = split_of(scene, trial.split)
    protocol = PROTOCOLS.get(trial.protocol)(**trial.protocol_parameters())
    labels = scene.labels.reshape(-1)
    read = getattr(fitted, protocol.reads)
    if read is None:
        raise InvalidValueError(f"method {trial.method!r} gave no {protocol.reads}: choose another protocol")
    x = protocol.prepare(read, fitted.pixels)
    chosen = protocol.choose(x[split.train], labels[split.train], x[split.val], labels[split.val])
    return Classifier(split=split, rows=x, chosen=chosen)
