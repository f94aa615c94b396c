"""k-means clusters of the embedding, named after the training pixels that lie in them.

Source: unsupervised clustering accuracy as in Xie et al. 2016, arXiv 1511.06335: as many clusters as classes,
matched one to one by the Hungarian method.
Differs: that measure matches on the very pixels that it scores; here the few training pixels name the clusters, since a
protocol never holds a test label. So on the same clusters that accuracy is an upper bound of this one's OA with
``multiples=(1,)``. More clusters than classes may be chosen on validation; each is then named by majority.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from benchmark.protocols.base import Chosen, Floats, Labels, Protocol, Standardized, best_on_validation
from hsicl_core.checks import check_integer


@dataclass(frozen=True, kw_only=True)
class Clustering(Protocol):
    """k-means of the standardised embedding of the pixels that the fit was given, labelled or not.

    Its confidence is the share of a cluster's training pixels that are of the class it was named after; 0 where it
    holds none. The same seed each time: the clusters depend on the embedding alone.

    Attributes:
        multiples: numbers of clusters to choose from, as multiples of the number of classes among the training
            labels, in order of preference on a tie. 1 is matched one to one, more by majority.
        n_starts: starts of k-means, of which that with the smallest sum of squares is kept.
        n_pixels: clusters are found on at most so many pixels, drawn evenly.
    """

    multiples: tuple[int, ...] = (1, 2, 4)
    n_starts: int = 3
    n_pixels: int = 10_000

    def __post_init__(self) -> None:
        for multiple in self.multiples:
            check_integer("multiples", multiple, minimum=1)
        check_integer("n_starts", self.n_starts, minimum=1)
        check_integer("n_pixels", self.n_pixels, minimum=1)

    def prepare(self, read: Floats, pixels: Labels) -> Standardized:
        """Return the standardised embedding, and remember the rows to cluster until the number of classes is known."""
        prepared = Standardized(read, pixels)
        if len(pixels) > self.n_pixels:
            pixels = np.random.default_rng(0).choice(pixels, self.n_pixels, replace=False)
        # No field: fields are parameters, and part of a trial's identity.
        self.__dict__["_rows"] = prepared[pixels]
        return prepared

    def choose(self, train_x: Floats, train_y: Labels, val_x: Floats, val_y: Labels) -> Chosen:
        """Return the best number of clusters. See the base class.

        Raises:
            ValueError: ``prepare`` was not called before.
        """
        if "_rows" not in self.__dict__:
            raise ValueError("the clustering protocol clusters the pixels given to prepare: call it before choose")
        rows = self.__dict__["_rows"]
        classes, train = np.unique(train_y, return_inverse=True)
        distinct = len(np.unique(rows, axis=0))

        def candidates() -> Iterator[Chosen]:
            for multiple in self.multiples:
                # Several threads would add in any order, and so not always to the same clusters.
                with threadpool_limits(1):
                    n_clusters = min(multiple * len(classes), distinct)
                    model = KMeans(n_clusters, n_init=self.n_starts, random_state=0).fit(rows)
                centres = model.cluster_centers_
                counts = np.zeros((n_clusters, len(classes)), dtype=np.int64)
                np.add.at(counts, (model.predict(train_x), train), 1)
                means = np.stack([train_x[train == index].mean(axis=0) for index in range(len(classes))])
                name = one_to_one if multiple == 1 else by_majority
                named = name(counts, cdist(centres, means))
                yield _classifier(model, multiple, classes[named], _purity(counts, named))

        return best_on_validation(candidates(), val_x, val_y)


def one_to_one(counts: NDArray[np.int64], distances: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (n_clusters,) class indices, every class once: most training pixels right, then least total distance.

    Args:
        counts: (n_clusters, n_classes) training pixels per cluster and class; not more clusters than classes.
        distances: (n_clusters, n_classes) from the clusters' centres to the classes' means, >= 0.
    """
    # All distances together weigh less than one pixel, so that they only tell apart what counts leave equal.
    weight = 0.5 / max(len(counts) * distances.max(), np.finfo(np.float64).tiny)
    return linear_sum_assignment(counts - weight * distances, maximize=True)[1]


def by_majority(counts: NDArray[np.int64], distances: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (n_clusters,) class indices: the commonest among a cluster's training pixels, then the nearest.

    Args:
        counts: (n_clusters, n_classes) training pixels per cluster and class; a cluster without any takes the class
            of the nearest mean.
        distances: (n_clusters, n_classes) from the clusters' centres to the classes' means, >= 0.
    """
    is_commonest = counts == counts.max(axis=1, keepdims=True)
    return np.where(is_commonest, distances, np.inf).argmin(axis=1)


def _purity(counts: NDArray[np.int64], named: NDArray[np.int64]) -> Floats:
    right = counts[np.arange(len(counts)), named]
    return (right / np.maximum(counts.sum(axis=1), 1)).astype(np.float32)


def _classifier(model: KMeans, multiple: int, names: Labels, purity: Floats) -> Chosen:
    return Chosen(
        predict=lambda x: names[model.predict(x)],
        parameters={"multiple": multiple, "n_clusters": int(model.n_clusters)},
        confidence=lambda x: purity[model.predict(x)],
    )
