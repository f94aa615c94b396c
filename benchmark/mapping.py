"""Classification maps: one trial's prediction for every pixel of its scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.computing import reproducibly, resolve_device
from benchmark.runner import choose_classifier, fit_scene
from benchmark.scene import Scene
from benchmark.trial import Trial


def classification_map(trial: Trial, scene: Scene, *, device: str = "auto") -> NDArray[np.int64]:
    """Return (height, width) class indices predicted for every pixel, labelled or not.

    Args:
        trial: what to fit and how to classify.
        scene: the scene that the trial names.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """
    target = resolve_device(device)
    with reproducibly():
        fitted = fit_scene(trial, scene, target)
        classifier = choose_classifier(trial, scene, fitted)
        return classifier.predict(slice(None)).reshape(scene.labels.shape)
