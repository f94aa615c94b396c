"""Quality of pseudolabels, negatives and embeddings, measured with labels that the method does not see."""

from __future__ import annotations

import math
from collections import defaultdict
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from hsicl_core.miners.base import Candidates, Mask

_WATCH_EVERY = 25


class NegativeDiagnostics:
    """An observer. What needs labels is measured on labelled pixels only; pairs with an unlabelled one are not counted.

    Args:
        labels: (height * width,) int64, -1 = unlabelled, on the device of the training.

    Attributes:
        curves: points (name, step, value), one set every 25 steps, and one of the pseudolabels whenever they are new.
    """

    def __init__(self, labels: Tensor) -> None:
        self._labels = labels
        self._pseudo: dict[str, float] = {}
        self._watched: dict[str, list[float]] = defaultdict(list)
        self.curves: list[tuple[str, int, float]] = []

    def saw_pseudo_labels(self, step: int, pixels: Tensor, pseudo_labels: Tensor) -> None:
        """Measure the pseudolabels against the labels."""
        labels = self._labels[pixels]
        both = (labels >= 0) & (pseudo_labels >= 0)
        self._pseudo = clustering_quality(labels[both], pseudo_labels[both]) if both.any() else {}
        self._pseudo["pseudolabel_coverage"] = float((pseudo_labels >= 0).double().mean())
        self.curves += [(name, step, value) for name, value in self._pseudo.items()]

    def wants(self, step: int) -> bool:
        """Return whether the step is watched."""
        return step % _WATCH_EVERY == 0

    def saw_step(
        self, step: int, pixels: Tensor, candidates: Candidates, mask: Mask, temperature: float
    ) -> None:  # fmt: skip
        """Measure the negatives and the embeddings of one step."""
        values = {
            **_of_negatives(self._labels[pixels[candidates.samples]], candidates, mask),
            **_of_embeddings(candidates),
            "effective_negatives": _effective_negatives(candidates.similarity, mask, temperature),
        }
        for name, value in values.items():
            if value is not None:
                self.curves.append((name, step, value))
                self._watched[name].append(value)

    def summary(self) -> dict[str, float]:
        """Return the measures of the latest pseudolabels and the means of the others over the watched steps."""
        return {**self._pseudo, **{name: sum(points) / len(points) for name, points in self._watched.items()}}


class Reporter:
    """What a fit is given to tell its diagnostics: no attribute of it leads to labels, or to what they measured.

    A convention that a method cannot break by accident, and no wall: in one process nothing is.

    Args:
        diagnostics: what is told. A reporter that was copied or pickled tells nobody.
    """

    def __init__(self, diagnostics: NegativeDiagnostics) -> None:
        _TOLD[self] = diagnostics

    def saw_pseudo_labels(self, step: int, pixels: Tensor, pseudo_labels: Tensor) -> None:
        """Pass it on. See ``NegativeDiagnostics.saw_pseudo_labels``."""
        if self in _TOLD:
            _TOLD[self].saw_pseudo_labels(step, pixels, pseudo_labels)

    def wants(self, step: int) -> bool:
        """Return whether the step is watched."""
        return self in _TOLD and _TOLD[self].wants(step)

    def saw_step(
        self, step: int, pixels: Tensor, candidates: Candidates, mask: Mask, temperature: float
    ) -> None:  # fmt: skip
        """Pass it on. See ``NegativeDiagnostics.saw_step``."""
        if self in _TOLD:
            _TOLD[self].saw_step(step, pixels, candidates, mask, temperature)


# What holds labels is kept beside the reporters, each for as long as its reporter lives.
_TOLD: WeakKeyDictionary[Reporter, NegativeDiagnostics] = WeakKeyDictionary()


def _of_negatives(labels: Tensor, candidates: Candidates, mask: Mask) -> dict[str, float | None]:
    """Return the rates of false negatives; a weighted negative counts by its weight."""
    n_anchors = candidates.n_anchors
    same = labels[:n_anchors, None] == labels
    counted = candidates.of_others() & (labels[:n_anchors, None] >= 0) & (labels >= 0)
    weights = torch.ones(same.shape, device=same.device) if mask.weights is None else mask.weights
    removed = torch.where(mask.eliminated, 1.0, 1 - weights)
    hard = None if mask.hard is None else _mean(same, (counted & mask.hard) * weights.double())
    return {
        "false_negative_rate_before": _mean(same, counted.double()),
        "false_negative_rate_after": _mean(same, (counted & mask.negatives) * weights.double()),
        "false_negative_rate_hard": hard,
        "true_negatives_eliminated": _mean(removed, (counted & ~same).double()),
        "negatives_per_anchor": float(mask.n_negatives.double().mean()),
        "anchors_skipped": mask.n_skipped / n_anchors,
    }


def _of_embeddings(candidates: Candidates) -> dict[str, float | None]:
    """Return alignment and uniformity, the smaller the better.

    Source: Wang and Isola 2020, arXiv 2005.10242, with alpha = 2 and t = 2. Differs: pairs of
    different samples across the two views count too.
    """
    rows = candidates.n_anchors
    square = candidates.similarity[:, :rows].double()
    # Of unit vectors, the squared distance is 2 - 2 * cosine.
    distance = (2 - 2 * square).clamp(min=0)
    others = candidates.of_others()[:, :rows]
    gaussian = distance.mul(-2).exp()[others]
    return {
        "alignment": float(distance.diagonal(rows // 2).mean()),
        "uniformity": float(gaussian.mean().log()) if len(gaussian) else None,
    }


def _effective_negatives(similarity: Tensor, mask: Mask, temperature: float) -> float | None:
    """Return the mean over anchors of (sum of p)^2 / (sum of p^2), p the weight that the loss gives to a negative.

    Source: the effective sample size of Kish 1965, "Survey Sampling". p is e^{similarity / temperature} times the
    mask's weight: all negatives count alike in an easy batch, and few count alone at a low temperature.
    """
    weights = mask.negatives.double() if mask.weights is None else mask.negatives * mask.weights.double()
    logs = similarity.double() / temperature + weights.log()
    has_negatives = (weights > 0).any(dim=1)
    if not has_negatives.any():
        return None
    logs = logs[has_negatives]
    return float((2 * logs.logsumexp(dim=1) - (2 * logs).logsumexp(dim=1)).exp().mean())


def _mean(values: Tensor, weights: Tensor) -> float | None:
    """Return the weighted mean; None where all weights are 0."""
    total = float(weights.sum())
    mean = float((values * weights).sum()) / total if total else math.nan
    return None if math.isnan(mean) else mean


def clustering_quality(labels: Tensor, clusters: Tensor) -> dict[str, float]:
    """Return how well clusters tell classes: purity, NMI, ARI, precision and recall of the pairs they join.

    Args:
        labels: (n,) int64 classes >= 0, n >= 1.
        clusters: (n,) int64 clusters >= 0.

    Source: Manning et al., Introduction to Information Retrieval, sec. 16.3; NMI is normalised by the arithmetic mean
    of the entropies; ARI after Hubert and Arabie 1985. NMI and ARI by scikit-learn.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    n_classes, n_clusters = int(labels.max()) + 1, int(clusters.max()) + 1
    joint = torch.bincount(labels * n_clusters + clusters, minlength=n_classes * n_clusters)
    table = joint.reshape(n_classes, n_clusters).double().cpu()

    def pairs(counts: Tensor) -> float:
        return float((counts * (counts - 1) / 2).sum())

    joined, same, true_joined = pairs(table.sum(dim=0)), pairs(table.sum(dim=1)), pairs(table)
    truth, found = labels.cpu().numpy(), clusters.cpu().numpy()
    quality = {
        "purity": float(table.max(dim=0).values.sum() / table.sum()),
        "nmi": float(normalized_mutual_info_score(truth, found)),
        "ari": float(adjusted_rand_score(truth, found)),
        "n_clusters_found": float((table.sum(dim=0) > 0).sum()),
    }
    if joined:
        quality["pair_precision"] = true_joined / joined
    if same:
        quality["pair_recall"] = true_joined / same
    return quality
