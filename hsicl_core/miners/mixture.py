"""Elimination by pseudolabel, then a controlled mixture of hard and easy negatives.

Source: Liu et al. 2024, "Negative Samples Mining Matters", IEEE TGRS 62, doi 10.1109/TGRS.2024.3491074 (abstract).
Differs: the paper's text is not public; budget, guard and the meaning of easy are our reading, each a parameter. The
ring of easy negatives is that of Wu et al. 2021, arXiv 2010.02037, without its annealing of the outer end and with
ranks among the step's candidates. Attraction is SupCon's (arXiv 2004.11362) and FNC's (arXiv 2011.11765); weights by
confidence and the threshold are ours, the latter after FixMatch's (arXiv 2001.07685, where it is 0.95).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hsicl_core.checks import check_choice, check_integer, check_number
from hsicl_core.errors import InvalidValueError
from hsicl_core.miners._ranks import draw, filled, n_true, take_ranks
from hsicl_core.miners.base import Candidates, Mask, NegativeMiner
from hsicl_core.schedules import SCHEDULES, scheduled

ELIMINATIONS = ("attract", "hard", "off", "soft", "thresholded")
EASY_RULES = ("bottom", "ring", "uniform")


class MixtureMiner(NegativeMiner):
    """Drops candidates with the anchor's pseudolabel, then keeps a budget of hardest and easiest ones.

    For each anchor the candidates left are ordered by falling hardness, ties by rising column. If they are more
    than ``n_negatives``, the first ``floor(guard_quantile * count)`` are dropped; if no more than the budget then
    remain, all of them are negatives; else the first ``floor(hard_fraction * n_negatives + 0.5)`` are the hard ones
    and the rest of the budget is easy.

    Args:
        hard_fraction: share of hard negatives in the budget, 0..1, at the start of training.
        n_negatives: budget per anchor, >= 1; None takes all candidates.
        elimination: ``"hard"`` drops equal pseudolabels, ``"attract"`` makes them positives as well, ``"off"`` drops
            none; ``"thresholded"`` drops those where anchor and candidate are both surer than
            ``confidence_threshold``; ``"soft"`` weighs equal ones by 1 - c_a * c_k, c the confidences, and drops
            those of weight 0.
        easy: ``"bottom"`` takes the least hard, ``"uniform"`` draws from all that are not hard, ``"ring"`` from
            those of them that stand in ``easy_ring``, all of these where they are fewer than the budget asks for.
        guard_quantile: share of the hardest candidates that are never used, in [0, 1).
        easy_ring: (low, high), 0 <= low < high <= 1: the ring holds ranks floor(low * count) up to, not including,
            floor(high * count) of the candidates in falling hardness, count taken before the guard.
        confidence_threshold: 0..1, of ``"thresholded"``.
        ratio_schedule: how the ratio goes from ``hard_fraction`` to ``hard_fraction_end`` over training:
            ``"constant"`` (it stays), ``"linear"`` or ``"cosine"``.
        hard_fraction_end: the ratio at the end, 0..1; None where the schedule is constant.

    Raises:
        InvalidValueError: a parameter outside its range.

    Cost: one sort of every row, O(batch^2 log batch) time and O(batch^2) memory.
    """

    def __init__(
        self, *, hard_fraction: float = 0.5, n_negatives: int | None = None, elimination: str = "hard",
        easy: str = "bottom", guard_quantile: float = 0.0, easy_ring: tuple[float, float] = (0.1, 0.5),
        confidence_threshold: float = 0.5, ratio_schedule: str = "constant", hard_fraction_end: float | None = None,
    ) -> None:  # fmt: skip
        check_number("hard_fraction", hard_fraction, minimum=0, maximum=1)
        if n_negatives is not None:
            check_integer("n_negatives", n_negatives, minimum=1)
        check_choice("elimination", elimination, ELIMINATIONS)
        check_choice("easy", easy, EASY_RULES)
        check_number("guard_quantile", guard_quantile, minimum=0, below=1)
        if len(easy_ring) != 2:
            raise InvalidValueError(f"easy_ring must be two numbers, low and high, got easy_ring={easy_ring!r}")
        check_number("the lower end of easy_ring", easy_ring[0], minimum=0, below=1)
        check_number("the upper end of easy_ring", easy_ring[1], above=easy_ring[0], maximum=1)
        check_number("confidence_threshold", confidence_threshold, minimum=0, maximum=1)
        check_choice("ratio_schedule", ratio_schedule, SCHEDULES)
        if (hard_fraction_end is None) != (ratio_schedule == "constant"):
            raise InvalidValueError(
                f"hard_fraction_end={hard_fraction_end!r} does not go with ratio_schedule={ratio_schedule!r}: a "
                "constant ratio has no end (use None), any other needs one in 0..1"
            )
        if hard_fraction_end is not None:
            check_number("hard_fraction_end", hard_fraction_end, minimum=0, maximum=1)
        self.hard_fraction = hard_fraction
        self.n_negatives = n_negatives
        self.elimination = elimination
        self.easy = easy
        self.guard_quantile = guard_quantile
        self.easy_ring = easy_ring
        self.confidence_threshold = confidence_threshold
        self.ratio_schedule = ratio_schedule
        self.hard_fraction_end = hard_fraction if hard_fraction_end is None else hard_fraction_end

    @torch.no_grad()
    def mine(self, candidates: Candidates, generator: torch.Generator | None = None) -> Mask:
        """Return the mask of a step. See the base class.

        Raises:
            InvalidValueError: easy negatives are drawn at random without a generator.
        """
        eliminated, weights = self._eliminate(candidates, generator)
        left = candidates.of_others() & ~eliminated
        positives = eliminated if self.elimination == "attract" else None
        if self.n_negatives is None:
            return Mask(left, eliminated, weights=weights, positives=positives)
        ratio = scheduled(self.ratio_schedule, self.hard_fraction, self.hard_fraction_end, candidates.progress)
        negatives, hard = self.mix(candidates.hardness, left, self.n_negatives, ratio, generator)
        return Mask(negatives, eliminated, hard, weights=weights, positives=positives)

    def _eliminate(
        self, candidates: Candidates, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Return which candidates go, and the weights of those that stay, None for all 1."""
        if self.elimination == "off":
            return torch.zeros_like(candidates.hardness, dtype=torch.bool), None
        sharing = candidates.sharing()
        confidence, n_anchors = candidates.confidence, candidates.n_anchors
        if self.elimination == "soft":
            weights = torch.where(sharing, 1 - confidence[:n_anchors, None] * confidence, 1.0).clamp(0, 1)
            return weights == 0, weights
        if self.elimination == "thresholded":
            sure = confidence.double() > self.confidence_threshold
            sharing &= sure[:n_anchors, None] & sure
        return sharing, None

    def mix(
        self, hardness: Tensor, candidates: Tensor, budget: int, ratio: float, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Return the negatives of some anchors, and which of them are hard.

        Args:
            hardness: (anchors, columns) float.
            candidates: (anchors, columns) bool, what elimination has left.
            budget: negatives of each anchor, >= 1.
            ratio: share of hard ones, 0..1.
            generator: source of the draws, where easy ones are drawn.
        """
        n_hard = math.floor(ratio * budget + 0.5)
        count = n_true(candidates)
        guarded = _share_of(self.guard_quantile, count)
        guarded = torch.where(count > budget, guarded, 0)
        is_mixed = count - guarded > budget
        # Ranks [guarded, end_hard) and [begin_easy, count) are taken; where nothing is mixed the first holds all.
        end_hard = torch.where(is_mixed, guarded + n_hard, count)
        is_drawn = self.easy != "bottom"
        begin_easy = count if is_drawn else torch.where(is_mixed, count - (budget - n_hard), count)
        scores = filled(hardness, candidates)
        upper, lower = take_ranks(scores, candidates, count, guarded, end_hard, begin_easy)
        hard = upper & is_mixed[:, None]
        if is_drawn and n_hard < budget:
            if generator is None:
                raise InvalidValueError(f"easy={self.easy!r} draws at random and needs a generator, got generator=None")
            begin_pool, end_pool = end_hard, count
            if self.easy == "ring":
                low, high = self.easy_ring
                begin_pool, end_pool = torch.maximum(end_hard, _share_of(low, count)), _share_of(high, count)
            pool, _ = take_ranks(scores, candidates, count, begin_pool, end_pool, count)
            lower = draw(pool, budget - n_hard, generator)
        return upper | lower, hard


def _share_of(share: float, count: Tensor) -> Tensor:
    """Return floor(share * count), in float64: the floor of the formula and not of a rounded product."""
    return (share * count.double()).floor().long()
