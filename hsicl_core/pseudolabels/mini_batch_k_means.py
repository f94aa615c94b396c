"""Pseudolabels from mini-batch k-means, for scenes on which k-means takes too long.

**Source:** Sculley 2010, Web-scale k-means clustering, WWW 2010, doi 10.1145/1772690.1772862; by scikit-learn.
**Differs:** starts are k-means++, and centres that few vectors chose are drawn anew, as scikit-learn does it.
**Cost:** O(batch_size * K * dim) time per iteration, O(n * K * dim) once for the labels. Of more than 2**22 vectors so
many are drawn to find the centres on; all are labelled.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from hsicl_core.checks import check_integer
from hsicl_core.pseudolabels._clustering import (
    as_vectors,
    count_found,
    fitted_on,
    nearest_centres,
    using_scikit_learn,
)
from hsicl_core.pseudolabels.base import PseudoLabeler


class MiniBatchKMeansPseudoLabeler(PseudoLabeler):
    """The cluster of each feature vector, its centre moved by batches.

    Args:
        n_clusters: K, >= 1 and at most the number of vectors.
        seed: seed of starts and batches.
        n_init: starts, of which the one with the least inertia on a batch is kept, >= 1.
        max_iter: passes over the vectors at most, >= 1.
        batch_size: vectors per iteration, >= 1.

    Attributes:
        labels_: (n,) int64 in 0..K-1.
        confidence_: as that of k-means, 1 - (distance to the nearest centre) / (distance to the second nearest).
        n_clusters_: clusters found; fewer than asked, with a log message, where vectors coincide.
    """

    streams: ClassVar[bool] = True

    n_clusters_: int

    def __init__(
        self, *, n_clusters: int, seed: int = 0, n_init: int = 3, max_iter: int = 100, batch_size: int = 1024
    ) -> None:
        check_integer("n_clusters", n_clusters, minimum=1)
        check_integer("seed", seed, minimum=0)
        check_integer("n_init", n_init, minimum=1)
        check_integer("max_iter", max_iter, minimum=1)
        check_integer("batch_size", batch_size, minimum=1)
        self.n_clusters = n_clusters
        self.seed = seed
        self.n_init = n_init
        self.max_iter = max_iter
        self.batch_size = batch_size

    def fit(self, features: Tensor) -> MiniBatchKMeansPseudoLabeler:
        """Cluster ``features`` (n, dim) and return self.

        Raises:
            InvalidValueError: fewer vectors than clusters.
            MissingPackageError: scikit-learn is not installed.
        """
        vectors = as_vectors(features, self.n_clusters)
        with using_scikit_learn("mini-batch k-means"):
            from sklearn.cluster import MiniBatchKMeans

            model = MiniBatchKMeans(
                n_clusters=self.n_clusters, n_init=self.n_init, max_iter=self.max_iter,
                batch_size=self.batch_size, random_state=self.seed % 2**32,
            )  # fmt: skip
            model.fit(fitted_on(vectors, self.seed))
        self.labels_, self.confidence_ = nearest_centres(model, vectors)
        self.n_clusters_ = count_found(self.labels_, self.n_clusters, "mini-batch k-means")
        return self
