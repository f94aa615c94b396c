"""Prototypical contrastive learning: every embedding is drawn to the centre of its cluster, too.

Source: Li et al. 2021, arXiv 2005.04966; the clusters are found anew from the learned embeddings as training goes on.
Differs: one clustering by k-means with K = ``n_clusters`` instead of several; encoder, views, temperature and budget
are those of ours; with ``features="embeddings"`` it is NT-Xent until the first refresh. See the loss ``prototypical``.
Cost: that of NT-Xent plus a dense embedding and a clustering per refresh.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods.mined_negatives import MinedNegatives
from hsicl_core.errors import InvalidValueError
from hsicl_core.losses.prototypical import PrototypicalLoss


@dataclass(frozen=True, kw_only=True)
class Prototypical(MinedNegatives):
    """InfoNCE over all candidates, unless they are mined, plus InfoNCE over prototypes.

    Attributes:
        prototype_weight: of the second term, >= 0.
    """

    n_negatives: int | None = None
    elimination: str = "off"
    n_clusters: int = 64
    features: str = "embeddings"
    refresh_epochs: float | None = 0.25
    prototype_weight: float = 1.0

    kind: ClassVar[str] = "self_supervised"
    protocols: ClassVar[tuple[str, ...]] = ("linear",)
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"temperature": (0.1, 0.2, 0.5), "n_clusters": (16, 64)}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value, allowed in (
            ("negative_scaling", self.negative_scaling, self.negative_scaling == 0),
            ("elimination", self.elimination, self.elimination != "attract"),
            ("refresh_epochs", self.refresh_epochs, self.refresh_epochs is not None),
        ):
            if not allowed:
                raise InvalidValueError(
                    f"prototypical has no use for {name}={value!r}: its negatives are not scaled, centres do the "
                    "attracting, and they must be found anew as the embeddings change"
                )

    def make_loss(self) -> PrototypicalLoss:
        """Return the prototypical loss."""
        return PrototypicalLoss(temperature=self.temperature, prototype_weight=self.prototype_weight)
