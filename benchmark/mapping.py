"""Classification maps: one trial's prediction for every pixel of its scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.classifier import choose_classifier
from benchmark.computing import reproducibly, resolve_device
from benchmark.fitting import fit_scene
from benchmark.scene import Scene
from benchmark.trial import Trial


@dataclass(frozen=True)
class ClassificationMap:
    """What a trial's classifier says of every pixel, labelled or not.

    Attributes:
        classes: (height, width) class indices.
        confidence: (height, width) in 0..1, in the sense of the trial's protocol; None where it gives none.
    """

    classes: NDArray[np.int64]
    confidence: NDArray[np.float32] | None


def classification_map(trial: Trial, scene: Scene, *, device: str = "auto") -> ClassificationMap:
    """Return the map of a scene.

    Args:
        trial: what to fit and how to classify.
        scene: the scene that the trial names.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """
    target = resolve_device(device)
    with reproducibly():
        fitted = fit_scene(trial, scene, target)
        classifier = choose_classifier(trial, scene, fitted)
        shape = scene.labels.shape
        classes = classifier.predict(np.arange(scene.labels.size)).reshape(shape)
        measure = classifier.chosen.confidence
        if measure is None:
            return ClassificationMap(classes, None)
        # Row by row of the scene, because the whole may be larger than memory.
        rows = np.arange(scene.labels.size).reshape(shape)
        return ClassificationMap(classes, np.stack([measure(classifier.rows[row]) for row in rows]))
