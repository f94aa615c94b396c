"""Quality of pseudolabels and negatives, measured with labels that the method does not see."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

from hsicl_core.miners.base import Mask, others

_WATCH_EVERY = 25


class NegativeDiagnostics:
    """An observer that measures on labelled pixels only; pairs with an unlabelled pixel are not counted.

    Args:
        labels: (height * width,) int64, -1 = unlabelled, on the device of the training.

    Attributes:
        curves: points (name, step, value), one set every 25 steps.
    """

    def __init__(self, labels: Tensor) -> None:
        self._labels = labels
        self._pseudo: dict[str, float] = {}
        self.curves: list[tuple[str, int, float]] = []

    def saw_pseudo_labels(self, pixels: Tensor, pseudo_labels: Tensor) -> None:
        """Measure the pseudolabels against the labels."""
        labels = self._labels[pixels]
        both = (labels >= 0) & (pseudo_labels >= 0)
        self._pseudo = clustering_quality(labels[both], pseudo_labels[both]) if both.any() else {}
        self._pseudo["pseudolabel_coverage"] = float((pseudo_labels >= 0).double().mean())

    def wants(self, step: int) -> bool:
        """Return whether the step is watched."""
        return step % _WATCH_EVERY == 0

    def saw_mask(self, step: int, pixels: Tensor, mask: Mask) -> None:
        """Measure the negatives of one step."""
        labels = self._labels[pixels].repeat(2)
        known = labels >= 0
        same = labels[:, None] == labels
        counted = others(len(labels), labels.device) & known[:, None] & known
        rates = {
            "false_negative_rate_before": _share(same, counted),
            "false_negative_rate_after": _share(same, counted & mask.negatives),
            "true_negatives_eliminated": _share(mask.eliminated, counted & ~same),
            "negatives_per_anchor": float(mask.n_negatives.double().mean()),
            "anchors_skipped": mask.n_skipped / len(labels),
        }
        if mask.hard is not None:
            rates["false_negative_rate_hard"] = _share(same, counted & mask.hard)
        self.curves += [(name, step, value) for name, value in rates.items() if value is not None]

    def summary(self) -> dict[str, float]:
        """Return the measures of the pseudolabels and the means of the curves over the watched steps."""
        values = defaultdict(list)
        for name, _, value in self.curves:
            values[name].append(value)
        return {**self._pseudo, **{name: sum(points) / len(points) for name, points in values.items()}}


def _share(event: Tensor, among: Tensor) -> float | None:
    """Return the share of ``among`` where ``event`` holds; None where there is nothing to share."""
    total = int(among.sum())
    return int((event & among).sum()) / total if total else None


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
