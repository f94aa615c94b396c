"""Pseudolabels from k-means (Lloyd 1982), by scikit-learn."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hsicl_core.checks import check_integer
from hsicl_core.pseudolabels._clustering import as_vectors, count_found, margin_to_nearest, using_scikit_learn
from hsicl_core.pseudolabels.base import PseudoLabeler


class KMeansPseudoLabeler(PseudoLabeler):
    """The cluster of each feature vector under k-means with k-means++ starts.

    Args:
        n_clusters: K, >= 1 and at most the number of vectors.
        seed: seed of the starts.
        n_init: starts, of which the one with the least inertia is kept, >= 1.
        max_iter: Lloyd iterations per start, >= 1.

    Attributes:
        labels_: (n,) int64 in 0..K-1.
        confidence_: (n,) float32, 1 - (distance to the nearest centre) / (distance to the second nearest): 1 on a
            centre, 0 half way between two. All 1 for K = 1.
        n_clusters_: clusters found; fewer than asked, with a log message, where vectors coincide.

    Cost: O(n * K * dim) time per iteration. On CUDA the features make a trip to the host.
    """

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
            InvalidValueError: fewer vectors than clusters.
            MissingPackageError: scikit-learn is not installed.
        """
        vectors = as_vectors(features, self.n_clusters)
        with using_scikit_learn("k-means"):
            from sklearn.cluster import KMeans

            model = KMeans(
                n_clusters=self.n_clusters, n_init=self.n_init, max_iter=self.max_iter, random_state=self.seed % 2**32
            )
            labels = model.fit_predict(vectors)
        self.n_clusters_ = count_found(labels, self.n_clusters, "k-means")
        self.labels_ = torch.from_numpy(labels.astype(np.int64))
        self.confidence_ = margin_to_nearest(model.transform(vectors))
        return self
