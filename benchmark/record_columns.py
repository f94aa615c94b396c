"""The record's columns that a trial and its split decide, whoever made the predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.scene import Scene
from benchmark.split import Split, leakage
from benchmark.trial import BENCHMARK_VERSION, Trial
from results.metrics import confusion_matrix


def trial_columns(trial: Trial, *, sees_labels: str, kind: str) -> dict[str, Any]:
    """Return the columns that the trial decides, and what its method is and sees.

    Args:
        trial: the trial.
        sees_labels: labels that the method's fit may see: ``"none"``, ``"train"`` or ``"all"``.
        kind: one of ``benchmark.methods.base.KINDS``.
    """
    return {
        "benchmark_version": BENCHMARK_VERSION,
        "trial_id": trial.trial_id,
        "config_id": trial.config_id,
        "purpose": trial.purpose,
        "scene": trial.scene,
        "scene_hash": trial.scene_hash,
        "split_rule": trial.split.rule,
        "labels_per_class": trial.split.labels_per_class,
        "labels_percent": trial.split.labels_percent,
        "masks": trial.split.masks,
        "val_per_class": trial.split.val_per_class,
        "patch_size": trial.split.patch_size,
        "split_index": trial.split.index,
        "method": trial.method,
        "params_json": trial.params,
        "protocol": trial.protocol,
        "protocol_params_json": trial.protocol_params,
        "seed": trial.seed,
        "sees_labels": sees_labels,
        "kind": kind,
    }


def split_columns(scene: Scene, split: Split, remark: str | None = None) -> dict[str, Any]:
    """Return the columns that the split decides, among what it notes a remark on all its test pixels, if any."""
    shape = scene.labels.shape
    noted = split.noted if remark is None else {**split.noted, remark: len(split.test)}
    return {
        "class_names": list(scene.class_names),
        "n_train": len(split.train),
        "n_val": len(split.val),
        "n_test": len(split.test),
        "dropped": split.dropped,
        "noted": noted,
        "unsupported_classes": [scene.class_names[index] for index in sorted(split.unsupported)],
        "unvalidated_classes": [scene.class_names[index] for index in sorted(split.unvalidated)],
        "leakage": leakage(split, shape),
        "leakage_val": leakage(split, shape, part="val"),
    }


def confusion(
    scene: Scene, pixels: NDArray[np.int64], predict: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> list[list[int]]:
    """Return the confusion matrix of what is predicted for some pixels, flat indices."""
    truth = scene.labels.reshape(-1)[pixels]
    matrix: list[list[int]] = confusion_matrix(truth, predict(pixels), scene.n_classes).tolist()
    return matrix
