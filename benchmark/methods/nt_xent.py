"""The reference: SimCLR's NT-Xent, all other samples of the batch are negatives.

Source: Chen et al. 2020, arXiv 2002.05709, eq. 1.
Differs: encoder and views are those of ours, so that only the negatives differ.
Cost: encoder forward and backward on 2 * batch patches, O(batch^2) similarities per step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._contrastive import ContrastiveMethod
from hsicl_core.losses.base import ContrastiveLoss
from hsicl_core.losses.mined_info_nce import MinedContrastiveLoss
from hsicl_core.miners.base import NegativeMiner
from hsicl_core.miners.mixture import MixtureMiner


@dataclass(frozen=True, kw_only=True)
class NTXent(ContrastiveMethod):
    """Plain contrastive pretraining.

    Attributes:
        temperature: of the loss.
    """

    temperature: float = 0.1

    kind: ClassVar[str] = "self_supervised"
    protocols: ClassVar[tuple[str, ...]] = ("linear", "fine_tuning")
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "temperature": (0.05, 0.1, 0.2, 0.5),
        "learning_rate": (1e-3, 3e-3),
    }

    def make_miner(self) -> NegativeMiner:
        """Return the miner that keeps every candidate."""
        return MixtureMiner(elimination="off")

    def make_loss(self) -> ContrastiveLoss:
        """Return the loss, which over all candidates is NT-Xent."""
        return MinedContrastiveLoss(temperature=self.temperature)
