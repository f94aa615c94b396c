"""Scores from confusion matrices: overall and average accuracy, kappa, recall and F1 per class.

Matrices have true classes in rows and predictions in columns. Classes without a true pixel have no recall (NaN) and
do not enter the average accuracy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def confusion_matrix(true: ArrayLike, predicted: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Return counts (n_classes, n_classes), rows true, columns predicted.

    Args:
        true: (n,) class indices in 0..n_classes-1.
        predicted: (n,) class indices in 0..n_classes-1.
        n_classes: number of classes.

    Raises:
        ValueError: a class index outside 0..n_classes-1, which would count as another pair of classes.
    """
    rows, columns = np.asarray(true, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    for indices in (rows, columns):
        if indices.size and not 0 <= indices.min() <= indices.max() < n_classes:
            raise ValueError(
                f"class indices run from {indices.min()} to {indices.max()}, they must lie in 0..{n_classes - 1}"
            )
    flat = rows * n_classes + columns
    return np.bincount(flat, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def overall_accuracy(confusion: ArrayLike) -> float:
    """Return the share of pixels on the diagonal: OA = trace(C) / N. NaN for an empty matrix."""
    matrix = np.asarray(confusion, dtype=np.float64)
    total = matrix.sum()
    return float(np.trace(matrix) / total) if total else float("nan")


def recall_per_class(confusion: ArrayLike) -> NDArray[np.float64]:
    """Return (n_classes,) recall, NaN where a class has no true pixel."""
    matrix = np.asarray(confusion, dtype=np.float64)
    support = matrix.sum(axis=1)
    return np.divide(np.diag(matrix), support, out=np.full(len(matrix), np.nan), where=support > 0)


def average_accuracy(confusion: ArrayLike) -> float:
    """Return AA, the mean recall over the classes that have true pixels. NaN for an empty matrix."""
    recall = recall_per_class(confusion)
    return float(np.nanmean(recall)) if np.isfinite(recall).any() else float("nan")


def kappa(confusion: ArrayLike) -> float:
    """Return Cohen's kappa = (po - pe) / (1 - pe), pe = sum_c row_c col_c / N^2.

    NaN for an empty matrix; 1.0 when all pixels are of one class and predicted so (pe = 1, 0/0 by the formula).
    """
    matrix = np.asarray(confusion, dtype=np.float64)
    total = matrix.sum()
    if not total:
        return float("nan")
    observed = np.trace(matrix) / total
    expected = float(matrix.sum(axis=1) @ matrix.sum(axis=0)) / total**2
    return 1.0 if expected == 1.0 else float((observed - expected) / (1.0 - expected))


def f1_per_class(confusion: ArrayLike) -> NDArray[np.float64]:
    """Return (n_classes,) F1 = 2 TP / (true + predicted), NaN where a class is neither true nor predicted."""
    matrix = np.asarray(confusion, dtype=np.float64)
    denominator = matrix.sum(axis=1) + matrix.sum(axis=0)
    return np.divide(2 * np.diag(matrix), denominator, out=np.full(len(matrix), np.nan), where=denominator > 0)


# The scores a table may show, by the name of its column.
SCORES = {"OA": overall_accuracy, "AA": average_accuracy, "kappa": kappa}
