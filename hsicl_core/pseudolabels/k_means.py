"""Pseudolabels from k-means (Lloyd 1982), by scikit-learn; on CUDA by torch, so that the features stay there."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from hsicl_core.checks import check_integer
from hsicl_core.pseudolabels._clustering import (
    as_device_vectors,
    as_vectors,
    count_found,
    fitted_on,
    margin_of_two,
    nearest_centres,
    using_scikit_learn,
)
from hsicl_core.pseudolabels._lloyd import k_means
from hsicl_core.pseudolabels.base import PseudoLabeler

# Devices whose features are clustered where they are.
_BY_TORCH = frozenset({"cuda"})


class KMeansPseudoLabeler(PseudoLabeler):
    """The cluster of each feature vector under k-means with k-means++ starts.

    Args:
        n_clusters: K, >= 1 and at most the number of vectors.
        seed: seed of the starts.
        n_init: starts, of which the one with the least inertia is kept, >= 1.
        max_iter: Lloyd iterations per start, >= 1.

    Attributes:
        labels_: (n,) int64 in 0..K-1; on CUDA if the features are, like the confidence.
        confidence_: (n,) float32, 1 - (distance to the nearest centre) / (distance to the second nearest): 1 on a
            centre, 0 half way between two. All 1 for K = 1.
        n_clusters_: clusters found; fewer than asked, with a log message, where vectors coincide.

    Cost: O(n * K * dim) time per iteration. CPU and CUDA draw different starts from the same seed. On the CPU, of more
    than 2**22 vectors so many are drawn to find the centres on; all are labelled.
    """

    streams: ClassVar[bool] = True

    n_clusters_: int

    def __init__(self, *, n_clusters: int, seed: int = 0, n_init: int = 1, max_iter: int = 100) -> None:
        check_integer("n_clusters", n_clusters, minimum=1)
        check_integer("seed", seed, minimum=0)
        check_integer("n_init", n_init, minimum=1)
        check_integer("max_iter", max_iter, minimum=1)
        self.n_clusters = n_clusters
        self.seed = seed
        self.n_init = n_init
        self.max_iter = max_iter

    def fit(self, features: Tensor) -> KMeansPseudoLabeler:
        """Cluster ``features`` (n, dim) and return self.

        Raises:
            InvalidValueError: fewer vectors than clusters; on CUDA also features that are not finite.
            MissingPackageError: scikit-learn is not installed; on CUDA it is not needed.
        """
        features = torch.as_tensor(features)
        if features.device.type in _BY_TORCH:
            return self._fit_by_torch(features)
        vectors = as_vectors(features, self.n_clusters)
        with using_scikit_learn("k-means"):
            from sklearn.cluster import KMeans

            model = KMeans(
                n_clusters=self.n_clusters, n_init=self.n_init, max_iter=self.max_iter, random_state=self.seed % 2**32
            )
            model.fit(fitted_on(vectors, self.seed))
        self.labels_, self.confidence_ = nearest_centres(model, vectors)
        self.n_clusters_ = count_found(self.labels_, self.n_clusters, "k-means")
        return self

    def _fit_by_torch(self, features: Tensor) -> KMeansPseudoLabeler:
        vectors = as_device_vectors(features, self.n_clusters)
        found = k_means(vectors, self.n_clusters, seed=self.seed, n_init=self.n_init, max_iter=self.max_iter)
        self.n_clusters_ = count_found(found.labels, self.n_clusters, "k-means")
        self.labels_ = found.labels
        self.confidence_ = margin_of_two(found.nearest, found.second)
        return self
