"""False negatives found by similarity, without pseudolabels, and attracted or eliminated.

Source: Huynh et al. 2022, arXiv 2011.11765; top 10 above 0.7 as in the authors' repository google-research/fnc.
Differs: candidates are scored by the anchor's own similarity, not by the largest over its sample's two views and eight
more, of a momentum encoder; encoder and views are those of ours. The repository attracts only, elimination is the
paper's.
Cost: that of NT-Xent plus one sort of the similarities per step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods.nt_xent import NTXent
from hsicl_core.losses.sup_con import SupConLoss
from hsicl_core.miners.base import NegativeMiner
from hsicl_core.miners.similarity_cancellation import SimilarityCancellationMiner


@dataclass(frozen=True, kw_only=True)
class FalseNegativeCancellation(NTXent):
    """Cancellation of the most similar candidates.

    Attributes:
        top_k: most false negatives per anchor, >= 1.
        threshold: similarity that a false negative exceeds, -1..1.
        cancellation: ``"attract"`` or ``"eliminate"``.
    """

    top_k: int = 10
    threshold: float = 0.7
    cancellation: str = "attract"

    protocols: ClassVar[tuple[str, ...]] = ("linear",)
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "temperature": (0.1, 0.2, 0.5),
        "top_k": (10, 30),
        "cancellation": ("attract", "eliminate"),
    }

    def make_miner(self) -> NegativeMiner:
        """Return the miner that finds false negatives."""
        return SimilarityCancellationMiner(
            top_k=self.top_k, threshold=self.threshold, cancellation=self.cancellation
        )  # fmt: skip

    def make_loss(self) -> SupConLoss:
        """Return SupCon's loss, which is InfoNCE where nothing is attracted."""
        return SupConLoss(temperature=self.temperature)
