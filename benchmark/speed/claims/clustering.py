"""Pseudolabels by k-means against the libraries that cluster, and taken from the node's folder against made anew."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from benchmark.computing import in_threads
from benchmark.node_cache import computed_once, share_in
from benchmark.speed.claims.base import NOT_MEASURED, Bound, Claim, Row, not_installed
from benchmark.speed.timing import alternate, ratio
from hsicl_core.pseudolabels._lloyd import draw_starts, lloyd
from hsicl_core.pseudolabels.k_means import KMeansPseudoLabeler

# Pavia University after dimension reduction.
_N, _DIM, _K, _ITERATIONS = 207_400, 30, 64, 25
_REPEATS = 5


class Clustering(Claim):
    """``KMeansPseudoLabeler`` against other k-means of the same K and iterations.

    Ours gives a confidence too, which takes another look at all distances. On the CPU it is scikit-learn's k-means, so
    both find the same clusters. faiss starts from vectors drawn uniformly, ours by k-means++, which takes most of the
    time: so a row compares the libraries with uniform starts in both. On CUDA both start from the same vectors.
    """

    title: ClassVar[str] = "Clustering"

    def measure(self, device: torch.device) -> Iterator[Row]:
        """See ``Claim``."""
        vectors = mixed_spectra(_N, _DIM)
        what = f"k-means of {_N:,} x {_DIM}, K = {_K}, {_ITERATIONS} iterations"
        on_cuda = f"{what}: ours over flash-kmeans (Triton)"
        if device.type != "cpu":
            yield _on_cuda(on_cuda, vectors.to(device))
            return
        for n_threads in (1, 2):
            with in_threads(n_threads):
                yield _over_scikit_learn(what, vectors, n_threads)
                yield from _over_faiss(what, vectors, n_threads)
        yield _from_the_folder(what, vectors)
        yield Row(what=on_cuda, device="cuda", bound=Bound(most=1), note=NOT_MEASURED)


def mixed_spectra(n: int, dim: int) -> torch.Tensor:
    """Return (n, dim) float32 features like a scene's: linear mixtures of twelve smooth spectra, and noise."""
    generator = torch.Generator().manual_seed(0)
    materials = torch.randn(12, dim, generator=generator).cumsum(dim=1)
    # Squared, so that one or two prevail in most pixels.
    amounts = torch.rand(n, 12, generator=generator).log().square()
    shares = amounts / amounts.sum(dim=1, keepdim=True)
    return shares @ materials + 0.3 * torch.randn(n, dim, generator=generator)


def inertia(vectors: NDArray[np.float32], labels: NDArray[np.integer[Any]]) -> float:
    """Return the sum of the squares of the distances to the means of the groups."""
    total = 0.0
    for label in np.unique(labels):
        members = vectors[labels == label].astype(np.float64)
        total += float(np.square(members - members.mean(axis=0)).sum())
    return total


def _ours(vectors: torch.Tensor) -> KMeansPseudoLabeler:
    return KMeansPseudoLabeler(n_clusters=_K, max_iter=_ITERATIONS).fit(vectors)


def _by_scikit_learn(vectors: torch.Tensor, starts: str) -> NDArray[np.int32]:
    model = KMeans(_K, init=starts, n_init=1, max_iter=_ITERATIONS, random_state=0).fit(vectors.numpy())
    labels: NDArray[np.int32] = model.labels_
    return labels


def _over_scikit_learn(what: str, vectors: torch.Tensor, n_threads: int) -> Row:
    def bare() -> NDArray[np.int32]:
        return _by_scikit_learn(vectors, "k-means++")

    ours, theirs = alternate(lambda: _ours(vectors), bare, repeats=_REPEATS)
    return Row(
        what=f"{what}: ours, with confidence, over scikit-learn without", n_threads=n_threads, bound=Bound(most=1.25),
        figure=ratio(ours, theirs), note=_inertia_over(vectors, _ours(vectors).labels_.numpy(), bare()),
    )  # fmt: skip


def _over_faiss(what: str, vectors: torch.Tensor, n_threads: int) -> Iterator[Row]:
    sides: dict[str, Callable[[], NDArray[np.integer[Any]]]] = {
        "ours, k-means++ and confidence": lambda: _ours(vectors).labels_.numpy(),
        "scikit-learn, uniform starts": lambda: _by_scikit_learn(vectors, "random"),
    }
    try:
        import faiss
    except ImportError:
        for name in sides:
            yield Row(what=f"{what}: {name}, over faiss", n_threads=n_threads, note=not_installed("faiss"))
        return
    faiss.omp_set_num_threads(n_threads)

    def theirs() -> NDArray[np.int64]:
        found = faiss.Kmeans(_DIM, _K, niter=_ITERATIONS, seed=0, max_points_per_centroid=_N)
        found.train(vectors.numpy())
        return np.asarray(found.index.search(vectors.numpy(), 1)[1][:, 0])

    for name, side in sides.items():
        figure = ratio(*alternate(side, theirs, repeats=_REPEATS))
        note = _inertia_over(vectors, side(), theirs())
        yield Row(what=f"{what}: {name}, over faiss", n_threads=n_threads, figure=figure, note=note)


def _inertia_over(
    vectors: torch.Tensor, labels: NDArray[np.integer[Any]], others: NDArray[np.integer[Any]]
) -> str:  # fmt: skip
    share = inertia(vectors.numpy(), labels) / inertia(vectors.numpy(), others)
    return f"inertia over the other's {share:.4f}"


def _from_the_folder(what: str, vectors: torch.Tensor) -> Row:
    """Return how long labels of another process take over labels of one's own."""

    def clustered() -> tuple[torch.Tensor, torch.Tensor]:
        found = _ours(vectors)
        return found.labels_, found.confidence_

    with tempfile.TemporaryDirectory() as folder, in_threads(1):
        share_in(Path(folder) / "shared")
        try:
            read: Callable[[], object] = lambda: computed_once("labels", clustered, vectors.device)  # noqa: E731
            taken = alternate(read, clustered, repeats=_REPEATS)
        finally:
            share_in(None)
    return Row(
        what=f"{what}: labels that another process of the machine has made over making them", n_threads=1,
        bound=Bound(most=0.1), figure=ratio(*taken),
    )  # fmt: skip


def _on_cuda(what: str, vectors: torch.Tensor) -> Row:
    bound = Bound(most=1)
    try:
        from flash_kmeans import batch_kmeans_Euclid
    except ImportError:
        return Row(what=what, device="cuda", bound=bound, note=not_installed("flash-kmeans"))
    starts = draw_starts(vectors, _K, torch.Generator(vectors.device).manual_seed(0))

    def ours() -> torch.Tensor:
        return lloyd(vectors, starts, max_iter=_ITERATIONS, tolerance=0).labels

    def theirs() -> torch.Tensor:
        labels: torch.Tensor = batch_kmeans_Euclid(
            vectors[None], _K, max_iters=_ITERATIONS, init_centroids=starts[None].clone()
        )[0][0]
        return labels

    figure = ratio(*alternate(ours, theirs, repeats=_REPEATS, device=vectors.device))
    note = _inertia_over(vectors.cpu(), ours().cpu().numpy(), theirs().cpu().numpy())
    return Row(what=what, device="cuda", bound=bound, figure=figure, note=note)
