"""Pseudolabels from clustering the mean features of superpixels, so that neighbours share theirs.

**Source:** SLIC, Achanta et al. 2012, doi 10.1109/TPAMI.2012.120, by scikit-image; Ward 1963,
doi 10.1080/01621459.1963.10500845, by scikit-learn.
**Differs:** SLIC runs on the given features, scaled by their common range, instead of on CIELAB colours.
**Cost:** O(n * dim) time per SLIC iteration, O(n_superpixels^2) time and memory for Ward.

A pixel's pseudolabel depends on its superpixel, which may reach about 2 * sqrt(n / n_superpixels) pixels away from it.
"""

from __future__ import annotations

import logging
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from hsicl_core.checks import check_integer, check_number
from hsicl_core.errors import InvalidValueError, MissingPackageError
from hsicl_core.pseudolabels._clustering import as_vectors, using_scikit_learn
from hsicl_core.pseudolabels.base import PseudoLabeler

_log = logging.getLogger(__name__)


class SuperPixelPseudoLabeler(PseudoLabeler):
    """The cluster of each pixel's superpixel under Ward's agglomeration of the superpixels' means.

    Nothing is drawn, so there is no seed.

    Args:
        n_clusters: K, >= 1 and at most the number of pixels.
        n_superpixels: superpixels wanted, >= n_clusters; SLIC finds about as many.
        compactness: weight of nearness against similarity, > 0; the features are scaled by their common range.

    Attributes:
        labels_: (n,) int64 in 0..K-1.
        confidence_: (n,) float32, 1 - (distance of the pixel to its cluster's mean) / (distance to the nearest other),
            0 where another is nearer. All 1 for one cluster.
        superpixels_: (n,) int64, the superpixel of each pixel.
        n_clusters_: clusters found; fewer than asked, with a log message, where there are fewer superpixels.
    """

    needs_positions: ClassVar[bool] = True

    superpixels_: Tensor
    n_clusters_: int

    def __init__(self, *, n_clusters: int, n_superpixels: int = 1000, compactness: float = 0.3) -> None:
        check_integer("n_clusters", n_clusters, minimum=1)
        check_integer("n_superpixels", n_superpixels, minimum=n_clusters)
        check_number("compactness", compactness, above=0)
        self.n_clusters = n_clusters
        self.n_superpixels = n_superpixels
        self.compactness = compactness

    def fit(self, features: Tensor, *, positions: Tensor | None = None) -> SuperPixelPseudoLabeler:
        """Cluster ``features`` (n, dim) of the pixels at ``positions`` (n, 2), row and column, and return self.

        Pixels of the image that are not among them belong to no superpixel.

        Raises:
            InvalidValueError: fewer pixels than clusters, no positions, or not one for each vector.
            MissingPackageError: scikit-image or scikit-learn is not installed.
        """
        vectors = as_vectors(features, self.n_clusters)
        where = _checked(positions, len(vectors))
        _, superpixels = np.unique(self._segment(vectors, where), return_inverse=True)
        means = _means(vectors, superpixels)
        cluster_of_superpixel = self._agglomerate(means)
        labels = cluster_of_superpixel[superpixels]
        self.n_clusters_ = int(labels.max()) + 1
        if self.n_clusters_ < self.n_clusters:
            _log.warning("%d superpixels cannot give %d clusters: raise n_superpixels", len(means), self.n_clusters)
        self.superpixels_ = torch.from_numpy(superpixels.astype(np.int64))
        self.labels_ = torch.from_numpy(labels.astype(np.int64))
        self.confidence_ = _margin_to_own(vectors, labels)
        return self

    def _segment(self, vectors: np.ndarray, where: np.ndarray) -> np.ndarray:
        """Return the superpixel (n,) of each vector."""
        try:
            from skimage.segmentation import slic
        except ImportError as error:
            raise MissingPackageError("scikit-image", "clustering superpixels") from error
        rows, columns = where.T
        shape = (rows.max() + 1, columns.max() + 1)
        image = np.zeros((*shape, vectors.shape[1]))
        image[rows, columns] = vectors
        is_there = np.zeros(shape, dtype=bool)
        is_there[rows, columns] = True
        segments = slic(
            image, n_segments=min(self.n_superpixels, len(vectors)), compactness=self.compactness,
            convert2lab=False, channel_axis=-1, mask=None if is_there.all() else is_there,
        )  # fmt: skip
        return segments[rows, columns]

    def _agglomerate(self, means: np.ndarray) -> np.ndarray:
        """Return the cluster of each superpixel; each its own where there are too few."""
        if len(means) <= self.n_clusters:
            return np.arange(len(means))
        with using_scikit_learn("clustering superpixels"):
            from sklearn.cluster import AgglomerativeClustering

            return AgglomerativeClustering(n_clusters=self.n_clusters).fit_predict(means)


def _checked(positions: Tensor | None, n: int) -> np.ndarray:
    if positions is None:
        raise InvalidValueError(
            "pseudolabel source 'super_pixels' needs positions, got positions=None: pass fit(positions=...)"
        )
    if positions.shape != (n, 2):
        raise InvalidValueError(
            f"positions have shape {tuple(positions.shape)}, they must be ({n}, 2), row and column of each vector"
        )
    where: np.ndarray = positions.detach().cpu().numpy()
    if where.min() < 0 or len(np.unique(where, axis=0)) < n:
        raise InvalidValueError("positions must be >= 0 and name every pixel once, got negative or repeated ones")
    return where


def _means(vectors: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the mean vector (n_groups, dim) of groups numbered without gaps."""
    sums = np.zeros((groups.max() + 1, vectors.shape[1]))
    np.add.at(sums, groups, vectors)
    return sums / np.bincount(groups)[:, None]


def _margin_to_own(vectors: np.ndarray, labels: np.ndarray) -> Tensor:
    distances = torch.cdist(torch.from_numpy(vectors).double(), torch.from_numpy(_means(vectors, labels)))
    if distances.shape[1] == 1:
        return torch.ones(len(vectors))
    own_column = torch.from_numpy(labels)[:, None]
    own = distances.gather(1, own_column)[:, 0]
    other = distances.scatter(1, own_column, torch.inf).min(dim=1).values
    return torch.where(other > 0, 1 - own / other.clamp(min=1e-30), 0.0).clamp(0, 1).float()
