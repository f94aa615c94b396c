"""Scores of many confusion matrices at once, as a table of the store holds them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from results.metrics import SCORES

Floats = NDArray[np.float64]

# The columns with matrices, and what the names of the scores derived from them begin with.
PREFIXES = {"confusion_test": "", "confusion_val": "val_"}


def scores_of_rows(matrices: pa.Array) -> dict[str, Floats]:
    """Return the scores of ``results.metrics.SCORES`` of every matrix, NaN where there is none.

    Args:
        matrices: (n,) lists of lists of int64, null where a row has none; of any number of classes each.

    Returns:
        Score name to (n,) fractions, bit for bit what the functions of one matrix give.
    """
    scores = {name: np.full(len(matrices), np.nan) for name in SCORES}
    n_classes = matrices.value_lengths().fill_null(0).to_numpy()
    inner = matrices.values
    starts, lengths = matrices.offsets.to_numpy(), inner.value_lengths().fill_null(-1).to_numpy()
    counts = inner.values.to_numpy(zero_copy_only=False)
    first = inner.offsets.to_numpy()
    for size in np.unique(n_classes[n_classes > 0]):
        places = np.flatnonzero(n_classes == size)
        is_square = (lengths[starts[places, None] + np.arange(size)] == size).all(axis=1)
        square = np.take(counts, first[starts[places[is_square]]][:, None] + np.arange(size * size, dtype=np.int32))
        for name, values in _scores(square.reshape(-1, size, size).astype(np.float64)).items():
            scores[name][places[is_square]] = values
        for place in places[~is_square]:
            # Let the functions of one matrix say what is wrong with it.
            for name, score in SCORES.items():
                scores[name][place] = score(matrices[int(place)].as_py())
    return scores


def _scores(matrices: Floats) -> dict[str, Floats]:
    """Return the scores of (n, classes, classes)."""
    diagonal = np.diagonal(matrices, axis1=1, axis2=2)
    # Whole numbers: in any order the sums are the same. A product with ones takes a fraction of a sum's time.
    ones = np.ones(matrices.shape[1])
    rows, columns = matrices @ ones, ones @ matrices
    total = rows.sum(axis=1)
    # What is divided by 0 is no number, as it is for one matrix.
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.where(total > 0, diagonal.sum(axis=1) / total, np.nan)
        expected = np.where(total > 0, np.einsum("nc,nc->n", rows, columns) / total**2, np.nan)
        recall = np.where(rows > 0, diagonal / rows, 0.0)
        average = np.where(total > 0, recall.sum(axis=1) / (rows > 0).sum(axis=1), np.nan)
        kappa = np.where(expected == 1.0, 1.0, (observed - expected) / (1.0 - expected))
    return {"OA": observed, "AA": average, "kappa": kappa}
