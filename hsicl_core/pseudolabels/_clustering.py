"""What the sources that cluster share: features as an array, confidence from distances, clusters that are missing."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hsicl_core.errors import InvalidValueError, MissingPackageError

_log = logging.getLogger(__name__)

Floats = NDArray[np.floating[Any]]

# Scenes for which memory is enough have fewer pixels than that; of larger ones, centres are found on so many.
MOST_FITTED = 2**22
_CHUNK = 2**18


def as_vectors(features: Tensor, n_clusters: int) -> NDArray[np.float32]:
    """Return ``features`` (n, dim) as a contiguous float32 array on the host.

    Raises:
        InvalidValueError: fewer vectors than clusters.
    """
    vectors = np.ascontiguousarray(torch.as_tensor(features).detach().cpu().numpy(), dtype=np.float32)
    check_enough(len(vectors), n_clusters)
    return vectors


def as_device_vectors(features: Tensor, n_clusters: int) -> Tensor:
    """Return ``features`` (n, dim) as a contiguous float32 tensor on the device where they are.

    Raises:
        InvalidValueError: fewer vectors than clusters, or not all finite.
    """
    check_enough(len(features), n_clusters)
    vectors = features.detach().float().contiguous()
    # scikit-learn looks for itself; unfound, one such value would spoil every centre.
    if not bool(vectors.isfinite().all()):
        raise InvalidValueError("the features to cluster hold NaN or infinity, they must be finite: repair the scene")
    return vectors


def check_enough(n: int, n_clusters: int) -> None:
    """Raise InvalidValueError if there are fewer vectors than clusters."""
    if n < n_clusters:
        raise InvalidValueError(f"n_clusters={n_clusters} exceeds the {n} pixels to cluster: use fewer clusters")


@contextmanager
def using_scikit_learn(purpose: str) -> Iterator[None]:
    """Import and run scikit-learn inside; its convergence warnings are silenced, the sources record what they mean.

    Raises:
        MissingPackageError: what is imported inside is not there.
    """
    try:
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            yield
    except ImportError as error:
        raise MissingPackageError("scikit-learn", purpose) from error


def count_found(labels: NDArray[np.integer[Any]] | Tensor, n_clusters: int, source: str) -> int:
    """Return the number of different labels; fewer than asked are logged."""
    found = len(labels.unique() if isinstance(labels, Tensor) else np.unique(labels))
    if found < n_clusters:
        _log.warning("%s found %d of %d clusters: vectors coincide", source, found, n_clusters)
    return found


def fitted_on(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Return the vectors that centres are found on: all, or of more than ``MOST_FITTED`` so many, drawn by the seed."""
    if len(vectors) <= MOST_FITTED:
        return vectors
    drawn = np.random.default_rng(seed).choice(len(vectors), MOST_FITTED, replace=False, shuffle=False)
    return vectors[np.sort(drawn)]


def nearest_centres(model: Any, vectors: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """Return the label (n,) int64 of the centre nearest to each vector, and its margin (n,) float32, chunk by chunk.

    Args:
        model: a fitted k-means of scikit-learn.
        vectors: (n, dim).
    """
    chunks = [vectors[start : start + _CHUNK] for start in range(0, len(vectors), _CHUNK)]
    # Those that it was fitted on have their labels.
    known = len(model.labels_) == len(vectors)
    labels = model.labels_ if known else np.concatenate([model.predict(chunk) for chunk in chunks])
    margins = [margin_to_nearest(model.transform(chunk)) for chunk in chunks]
    return torch.from_numpy(labels.astype(np.int64)), torch.cat(margins)


def margin_to_nearest(distances: Floats) -> Tensor:
    """Return 1 - nearest / second nearest of the distances (n, K) to all centres, (n,) float32; all 1 for K = 1."""
    if distances.shape[1] == 1:
        return torch.ones(len(distances))
    nearest = np.partition(distances, 1, axis=1)[:, :2]
    ratio = np.divide(nearest[:, 0], nearest[:, 1], out=np.ones(len(nearest), np.float32), where=nearest[:, 1] > 0)
    return torch.from_numpy((1.0 - ratio).astype(np.float32))


def margin_of_two(nearest: Tensor, second: Tensor) -> Tensor:
    """Return what ``margin_to_nearest`` does, (n,) float32, of the two least distances (n,) where they are.

    The second is infinite for K = 1, where all are 1.
    """
    return (1.0 - torch.where(second > 0, nearest / second, 1.0)).float()
