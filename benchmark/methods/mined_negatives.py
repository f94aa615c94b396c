"""Ours: pseudolabels from clustering eliminate false negatives, a mixture of hard and easy ones drives the loss.

Source: Liu et al. 2024, IEEE TGRS 62, doi 10.1109/TGRS.2024.3491074 (abstract; the text is not public).
Differs: pseudolabels come from clustering instead of a classifier, no label enters; encoder, views, budget and
hardness (cosine of the current embeddings) are ours.
Cost: that of NT-Xent plus one sort of the similarities per step and one clustering per scene, K and seed.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from benchmark.methods._mined import MiningMethod
from benchmark.methods.base import FitData
from hsicl_core.checks import check_integer
from hsicl_core.errors import InvalidValueError
from hsicl_core.preprocessing import principal_components, window_mean
from hsicl_core.registries import PSEUDO_LABELERS


@dataclass(frozen=True, kw_only=True)
class MinedNegatives(MiningMethod):
    """Contrastive pretraining with negatives mined by clustering.

    Attributes:
        pseudolabels: registered name of the pseudolabel source.
        n_clusters: K of the source.
        cluster_window: side in pixels of the window over which whitened components are averaged before clustering,
            odd, at most ``patch_size``, so that no pixel is judged by more than its own patch.
    """

    pseudolabels: str = "k_means"
    n_clusters: int = 64
    cluster_window: int = 9

    def __post_init__(self) -> None:
        super().__post_init__()
        PSEUDO_LABELERS.get(self.pseudolabels)(n_clusters=self.n_clusters)  # type: ignore[call-arg]
        check_integer("cluster_window", self.cluster_window, minimum=1, odd=True)
        if self.cluster_window > self.patch_size:
            raise InvalidValueError(
                f"cluster_window={self.cluster_window} exceeds patch_size={self.patch_size}: the clustering would see "
                f"beyond the patch that the split guards; use at most {self.patch_size}"
            )

    def pseudo_labels(self, data: FitData, image: Tensor) -> Tensor:
        """Return the cluster of every pixel's window."""

        def cluster() -> Tensor:
            components = principal_components(image, data.pixels, self.n_components, whiten=True)
            features = window_mean(components, self.cluster_window).flatten(0, 1)[data.pixels]
            labeler = PSEUDO_LABELERS.get(self.pseudolabels)(n_clusters=self.n_clusters, seed=data.seed)  # type: ignore[call-arg]
            return labeler.fit(features).labels_.to(data.device)

        key = (self.pseudolabels, self.n_components, self.cluster_window, self.n_clusters, data.seed)
        labels: Tensor = data.memo.get(key, cluster)
        return labels
