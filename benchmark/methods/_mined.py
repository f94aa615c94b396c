"""What the methods that mine by pseudolabel share: the miner's and the loss's parameters, and what is hard."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from benchmark.methods._contrastive import ContrastiveMethod
from benchmark.methods.base import FitData
from hsicl_core.checks import check_integer
from hsicl_core.losses.base import ContrastiveLoss
from hsicl_core.losses.mined_info_nce import MinedContrastiveLoss
from hsicl_core.miners.base import NegativeMiner
from hsicl_core.miners.mixture import MixtureMiner
from hsicl_core.objective import Objective
from hsicl_core.preprocessing import principal_components, window_mean
from hsicl_core.registries import HARDNESS
from hsicl_core.rows import Rows, whole


@dataclass(frozen=True, kw_only=True)
class MiningMethod(ContrastiveMethod):
    """Elimination by pseudolabel, then a mixture of hard and easy negatives.

    Attributes:
        temperature: of the loss.
        hard_fraction: the mixture ratio, share of hard negatives in the budget, at the start of training.
        n_negatives: budget per anchor; None takes all that are left, and the mixture has no effect.
        elimination: ``"hard"``, ``"soft"``, ``"thresholded"``, ``"attract"`` or ``"off"``.
        easy: ``"bottom"``, ``"uniform"`` or ``"ring"``.
        guard_quantile: share of the hardest never used.
        easy_ring: (low, high), between which shares of the candidates in falling hardness ``"ring"`` draws.
        confidence_threshold: of ``"thresholded"``: a candidate goes where it and the anchor are both surer.
        ratio_schedule: ``"constant"``, ``"linear"`` or ``"cosine"``: how the mixture ratio goes to its end.
        hard_fraction_end: the mixture ratio at the end of training; None where it is constant.
        hardness: registered name of the measure of hardness.
        bank_size: embeddings of past steps that are candidates too; 0 for none.
        negative_scaling: 1 rescales the sum over negatives to NT-Xent's number of them, 0 does not.
    """

    temperature: float = 0.1
    hard_fraction: float = 0.5
    n_negatives: int | None = 128
    elimination: str = "hard"
    easy: str = "bottom"
    guard_quantile: float = 0.0
    easy_ring: tuple[float, float] = (0.1, 0.5)
    confidence_threshold: float = 0.5
    ratio_schedule: str = "constant"
    hard_fraction_end: float | None = None
    hardness: str = "online"
    bank_size: int = 0
    negative_scaling: float = 0.0

    def __post_init__(self) -> None:
        # JSON knows no tuples.
        object.__setattr__(self, "easy_ring", tuple(self.easy_ring))
        check_integer("bank_size", self.bank_size, minimum=0)
        super().__post_init__()

    def mixture_options(self) -> dict[str, Any]:
        """Return the parameters of the mixture, without those of the elimination."""
        return {
            "hard_fraction": self.hard_fraction, "n_negatives": self.n_negatives, "easy": self.easy,
            "guard_quantile": self.guard_quantile, "easy_ring": self.easy_ring, "ratio_schedule": self.ratio_schedule,
            "hard_fraction_end": self.hard_fraction_end,
        }  # fmt: skip

    def make_miner(self) -> NegativeMiner:
        """Return the mixture miner."""
        return MixtureMiner(
            elimination=self.elimination, confidence_threshold=self.confidence_threshold, **self.mixture_options()
        )

    def make_loss(self) -> ContrastiveLoss:
        """Return the loss over mined negatives."""
        return MinedContrastiveLoss(temperature=self.temperature, negative_scaling=self.negative_scaling)

    def make_objective(self) -> Objective:
        """Return views, miner, loss, the measure of hardness and the size of the memory bank."""
        return dataclasses.replace(
            super().make_objective(), hardness=HARDNESS.get(self.hardness)(), bank_size=self.bank_size
        )

    def complete(self, objective: Objective, data: FitData, image: Rows) -> Objective:
        """Return ``objective`` with the vectors that its measure of hardness needs."""
        vectors = {
            "none": lambda: None,
            "spectra": lambda: whole(data.cube).flatten(0, 1),
            "features": lambda: self.features_of(data, image),
        }[objective.hardness.needs_vectors]()
        return dataclasses.replace(objective, vectors=vectors)

    def features_of(self, data: FitData, image: Rows) -> Tensor:
        """Return (height * width, dim) what pixels are compared by before anything is learnt.

        Here whitened principal components, averaged over the patch.
        """

        def compute() -> Tensor:
            whitened = principal_components(image, data.pixels, self.n_components, whiten=True)
            return window_mean(whitened, self.patch_size).flatten(0, 1)

        features: Tensor = data.memo.get(("patch means", self.n_components, self.patch_size), compute)
        return features
