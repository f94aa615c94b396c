"""SupCon on pseudolabels: what shares the anchor's pseudolabel is pulled instead of only not being pushed.

Source: Khosla et al. 2020, arXiv 2004.11362, eq. 2, with pseudolabels for labels.
Differs: pseudolabels, encoder and views are those of ``mined_negatives``, and so is the temperature, so that attraction
and elimination differ in nothing else.
Cost: that of NT-Xent plus the pseudolabels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmark.methods.mined_negatives import MinedNegatives
from hsicl_core.errors import InvalidValueError
from hsicl_core.losses.sup_con import SupConLoss


@dataclass(frozen=True, kw_only=True)
class SupConClusters(MinedNegatives):
    """Attraction by pseudolabel; all remaining candidates are negatives unless a budget is given."""

    n_negatives: int | None = None
    elimination: str = "attract"
    n_clusters: int = 64

    kind: ClassVar[str] = "self_supervised"
    protocols: ClassVar[tuple[str, ...]] = ("linear",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.negative_scaling != 0:
            raise InvalidValueError(
                f"sup_con_clusters has no scaled negatives, got negative_scaling={self.negative_scaling!r}: use 0"
            )

    def make_loss(self) -> SupConLoss:
        """Return the supervised contrastive loss."""
        return SupConLoss(temperature=self.temperature)
