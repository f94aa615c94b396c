"""What the methods that mine by pseudolabel share: the miner's and the loss's parameters."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.methods._contrastive import ContrastiveMethod
from hsicl_core.losses.mined_info_nce import MinedContrastiveLoss
from hsicl_core.miners.mixture import MixtureMiner


@dataclass(frozen=True, kw_only=True)
class MiningMethod(ContrastiveMethod):
    """Elimination by pseudolabel, then a mixture of hard and easy negatives.

    Attributes:
        temperature: of the loss.
        hard_fraction: the mixture ratio, share of hard negatives in the budget.
        n_negatives: budget per anchor; None takes all that are left, and the mixture has no effect.
        elimination: ``"hard"`` or ``"off"``.
        easy: ``"bottom"`` or ``"uniform"``.
        guard_quantile: share of the hardest never used.
        negative_scaling: 1 rescales the sum over negatives to NT-Xent's number of them, 0 does not.
    """

    temperature: float = 0.1
    hard_fraction: float = 0.5
    n_negatives: int | None = 128
    elimination: str = "hard"
    easy: str = "bottom"
    guard_quantile: float = 0.0
    negative_scaling: float = 0.0

    def make_miner(self) -> MixtureMiner:
        """Return the mixture miner."""
        return MixtureMiner(
            hard_fraction=self.hard_fraction, n_negatives=self.n_negatives, elimination=self.elimination,
            easy=self.easy, guard_quantile=self.guard_quantile,
        )  # fmt: skip

    def make_loss(self) -> MinedContrastiveLoss:
        """Return the loss over mined negatives."""
        return MinedContrastiveLoss(temperature=self.temperature, negative_scaling=self.negative_scaling)
