"""Pseudolabels from a mixture of Gaussians, fitted by expectation-maximisation.

**Source:** Dempster, Laird and Rubin 1977, doi 10.1111/j.2517-6161.1977.tb01600.x; by scikit-learn.
**Differs:** features are divided by one common standard deviation, so that the floor of the variances is relative.
**Cost:** per iteration O(n * K * dim) time for diagonal covariances, O(n * K * dim^2) for full ones; O(n * K) memory.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import Tensor

from hsicl_core.checks import check_choice, check_integer, check_number
from hsicl_core.pseudolabels._clustering import as_vectors, count_found, using_scikit_learn
from hsicl_core.pseudolabels.base import PseudoLabeler

_log = logging.getLogger(__name__)

_COVARIANCES = {"diagonal": "diag", "full": "full"}


class GaussianMixturePseudoLabeler(PseudoLabeler):
    """The component with the highest posterior for each feature vector.

    Args:
        n_clusters: components K, >= 1 and at most the number of vectors.
        seed: seed of the starts.
        covariance: ``"diagonal"`` or ``"full"``, one per component.
        variance_floor: added to every variance, as a share of the features' overall variance, > 0.
        n_init: starts from k-means, of which the one with the highest likelihood is kept, >= 1.
        max_iter: iterations per start, >= 1.

    Attributes:
        labels_: (n,) int64 in 0..K-1.
        confidence_: (n,) float32, the posterior of the chosen component.
        n_clusters_: components that were chosen at least once; fewer than asked are logged.
        converged_: whether the iterations ended before ``max_iter``; if not, it is logged.
    """

    n_clusters_: int
    converged_: bool

    def __init__(
        self, *, n_clusters: int, seed: int = 0, covariance: str = "diagonal", variance_floor: float = 1e-4,
        n_init: int = 1, max_iter: int = 100,
    ) -> None:  # fmt: skip
        check_integer("n_clusters", n_clusters, minimum=1)
        check_integer("seed", seed, minimum=0)
        check_choice("covariance", covariance, _COVARIANCES)
        check_number("variance_floor", variance_floor, above=0)
        check_integer("n_init", n_init, minimum=1)
        check_integer("max_iter", max_iter, minimum=1)
        self.n_clusters = n_clusters
        self.seed = seed
        self.covariance = covariance
        self.variance_floor = variance_floor
        self.n_init = n_init
        self.max_iter = max_iter

    def fit(self, features: Tensor) -> GaussianMixturePseudoLabeler:
        """Cluster ``features`` (n, dim) and return self.

        Raises:
            InvalidValueError: fewer vectors than components.
            MissingPackageError: scikit-learn is not installed.
        """
        vectors = as_vectors(features, self.n_clusters).astype(np.float64)
        vectors -= vectors.mean(axis=0)
        vectors /= vectors.std() or 1.0
        posterior, self.converged_ = self._posterior(vectors)
        if not self.converged_:
            _log.warning("the Gaussian mixture did not converge in %d iterations", self.max_iter)
        labels = posterior.argmax(axis=1)
        self.n_clusters_ = count_found(labels, self.n_clusters, "the Gaussian mixture")
        self.labels_ = torch.from_numpy(labels.astype(np.int64))
        self.confidence_ = torch.from_numpy(posterior.max(axis=1).clip(0, 1).astype(np.float32))
        return self

    def _posterior(self, vectors: np.ndarray) -> tuple[np.ndarray, bool]:
        if self.n_clusters == 1:
            # scikit-learn refuses a single vector.
            return np.ones((len(vectors), 1)), True
        with using_scikit_learn("the Gaussian mixture"):
            from sklearn.mixture import GaussianMixture

            model = GaussianMixture(
                n_components=self.n_clusters, covariance_type=_COVARIANCES[self.covariance],
                reg_covar=self.variance_floor, n_init=self.n_init, max_iter=self.max_iter,
                random_state=self.seed % 2**32,
            )  # fmt: skip
            return model.fit(vectors).predict_proba(vectors), bool(model.converged_)
