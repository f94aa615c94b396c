"""What the methods that mine by pseudolabel share: the miner's and the loss's parameters."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.methods._contrastive import ContrastiveMethod
from hsicl_core.losses.base import ContrastiveLoss
from hsicl_core.losses.mined_info_nce import MinedContrastiveLoss
from hsicl_core.miners.mixture import MixtureMiner


@dataclass(frozen=True, kw_only=True)
class MiningMethod(ContrastiveMethod):
    """Elimination by pseudolabel, then a mixture of hard and easy negatives.

    Attributes:
        temperature: of the loss.
        hard_fraction: the mixture ratio, share of hard negatives in the budget.
        n_negatives: budget per anchor; None takes all that are left, and the mixture has no effect.
        elimination: ``"hard"``, ``"attract"`` or ``"off"``.
        easy: ``"bottom"``, ``"uniform"`` or ``"ring"``.
        guard_quantile: share of the hardest never used.
        easy_ring: (low, high), between which shares of the candidates in falling similarity ``"ring"`` draws.
        negative_scaling: 1 rescales the sum over negatives to NT-Xent's number of them, 0 does not.
    """

    temperature: float = 0.1
    hard_fraction: float = 0.5
    n_negatives: int | None = 128
    elimination: str = "hard"
    easy: str = "bottom"
    guard_quantile: float = 0.0
    easy_ring: tuple[float, float] = (0.1, 0.5)
    negative_scaling: float = 0.0

    def __post_init__(self) -> None:
        # JSON knows no tuples.
        object.__setattr__(self, "easy_ring", tuple(self.easy_ring))
        super().__post_init__()

    def make_miner(self) -> MixtureMiner:
        """Return the mixture miner."""
        return MixtureMiner(
            hard_fraction=self.hard_fraction, n_negatives=self.n_negatives, elimination=self.elimination,
            easy=self.easy, guard_quantile=self.guard_quantile, easy_ring=self.easy_ring,
        )  # fmt: skip

    def make_loss(self) -> ContrastiveLoss:
        """Return the loss over mined negatives."""
        return MinedContrastiveLoss(temperature=self.temperature, negative_scaling=self.negative_scaling)
