"""The mined loss of several members at once, where miner and loss are those of the method.

The formulas are those of ``MixtureMiner`` with ``easy="bottom"`` and of ``MinedContrastiveLoss``; temperature, mixture,
budget, guard, scaling and whether anything is eliminated are each member's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hsicl_core.hardness.online import OnlineHardness
from hsicl_core.losses.mined_info_nce import MinedContrastiveLoss
from hsicl_core.miners._ranks import take_ranks
from hsicl_core.miners.mixture import MixtureMiner
from hsicl_core.objective import Objective
from hsicl_core.schedules import scheduled

_ELIMINATIONS = ("hard", "off")


def is_stackable(objective: Objective) -> bool:
    """Return whether the losses of such members can be computed as one."""
    miner, loss = objective.miner, objective.loss
    return (
        type(miner) is MixtureMiner
        and type(loss) is MinedContrastiveLoss
        and type(objective.hardness) is OnlineHardness
        and objective.bank_size == 0
        and miner.elimination in _ELIMINATIONS
        and miner.easy == "bottom"
    )


class StackedMinedLoss:
    """Losses of members for which ``is_stackable`` holds.

    Args:
        objectives: of the M members.
        device: where to compute.
    """

    def __init__(self, objectives: Sequence[Objective], device: torch.device) -> None:
        self._device = device
        self._miners = []
        losses = []
        for objective in objectives:
            assert isinstance(objective.miner, MixtureMiner)
            assert isinstance(objective.loss, MinedContrastiveLoss)
            self._miners.append(objective.miner)
            losses.append(objective.loss)
        self._temperature = self._column([loss.temperature for loss in losses], torch.float32)
        self._scaling = self._column([loss.negative_scaling for loss in losses], torch.float32)
        self._guard = self._column([miner.guard_quantile for miner in self._miners], torch.float64)
        self._eliminates = self._column([miner.elimination == "hard" for miner in self._miners], torch.bool)
        self._n_hard: tuple[list[int], Tensor] | None = None

    def __call__(self, z: Tensor, samples: Tensor, pseudo_labels: Tensor, progress: float) -> Tensor:
        """Return (M,) losses.

        Args:
            z: (M, 2 * batch, dim) normalised embeddings of both views.
            samples: (M, batch) int64, different within a row.
            pseudo_labels: (M, batch) int64 of the samples, -1 = unassigned.
            progress: share of the training that is done, 0..1.
        """
        similarity = torch.bmm(z, z.transpose(1, 2))
        negatives = self._mine(similarity.detach(), samples.repeat(1, 2), pseudo_labels.repeat(1, 2), progress)
        return self._score(similarity, negatives)

    @torch.no_grad()
    def _mine(self, similarity: Tensor, samples: Tensor, labels: Tensor, progress: float) -> Tensor:
        """Return (M, rows, columns) bool: the negatives."""
        n_members, n_rows, _ = similarity.shape
        shared = (labels[:, :, None] == labels[:, None]) & (labels >= 0)[:, None] & self._eliminates[:, :, None]
        left = (samples[:, :, None] != samples[:, None]) & ~shared
        count = left.sum(dim=2)
        budget, n_hard = self._budgets(n_rows, progress)
        guarded = torch.where(count > budget, (self._guard * count.double()).floor().long(), 0)
        is_mixed = count - guarded > budget
        end_hard = torch.where(is_mixed, guarded + n_hard, count)
        begin_easy = torch.where(is_mixed, count - (budget - n_hard), count)
        scores = similarity.masked_fill(~left, -math.inf)
        rows = (tensor.reshape(n_members * n_rows, *tensor.shape[2:]) for tensor in (
            scores, left, count, guarded, end_hard, begin_easy
        ))  # fmt: skip
        upper, lower = take_ranks(*rows)
        return (upper | lower).view_as(left)

    def _budgets(self, n_rows: int, progress: float) -> tuple[Tensor, Tensor]:
        """Return (M, 1) budgets, all rows where there is none, and how many of them are hard."""
        budgets = [miner.n_negatives or n_rows for miner in self._miners]
        n_hard = [
            math.floor(
                scheduled(miner.ratio_schedule, miner.hard_fraction, miner.hard_fraction_end, progress) * budget + 0.5
            )
            for miner, budget in zip(self._miners, budgets, strict=True)
        ]
        # Sent to the device only when it changes.
        if self._n_hard is None or self._n_hard[0] != budgets + n_hard:
            both = torch.tensor([budgets, n_hard], device=self._device)[:, :, None]
            self._n_hard = budgets + n_hard, both
        return self._n_hard[1][0], self._n_hard[1][1]

    def _score(self, similarity: Tensor, negatives: Tensor) -> Tensor:
        logits = similarity / self._temperature[:, :, None]
        half = similarity.shape[1] // 2
        positive = torch.cat(
            [logits.diagonal(half, dim1=1, dim2=2), logits.diagonal(-half, dim1=1, dim2=2)], dim=1
        )  # fmt: skip
        n_negatives = negatives.sum(dim=2)
        has_negatives = n_negatives > 0
        # A log-sum over nothing has no finite gradient; such a row has no part in the mean.
        negative = logits.masked_fill(~negatives & has_negatives[:, :, None], -math.inf).logsumexp(dim=2)
        share = max(similarity.shape[2] - 2, 1) / n_negatives.clamp(min=1).to(logits.dtype)
        negative = negative + self._scaling * share.log()
        per_anchor = torch.logaddexp(negative - positive, torch.zeros_like(positive))
        return (per_anchor * has_negatives).sum(dim=1) / has_negatives.sum(dim=1).clamp(min=1)

    def _column(self, values: Sequence[float | bool], dtype: torch.dtype) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=self._device)[:, None]
