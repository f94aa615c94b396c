"""The terms that the losses are made of: tempered logits, the positive's, a safe log-sum over negatives, the mean."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hsicl_core.losses._log_sums import positive_and_negatives
from hsicl_core.miners._ranks import is_any_true
from hsicl_core.miners.base import Mask


def tempered(similarity: Tensor, temperature: float) -> Tensor:
    """Return similarity / temperature, in float32 where the input is narrower."""
    wide = torch.promote_types(similarity.dtype, torch.float32)
    return similarity.to(wide) / temperature


def positive_of(logits: Tensor) -> Tensor:
    """Return (rows,) the logit of each anchor's own positive, of (rows, columns) logits."""
    rows = len(logits)
    square = logits[:, :rows]
    return torch.cat([square.diagonal(rows // 2), square.diagonal(-(rows // 2))])


def log_sums(similarity: Tensor, mask: Mask, temperature: float) -> tuple[Tensor, Tensor]:
    """Return (rows,) the logits of the anchors' own positives, and (rows,) the logs of the sums over the negatives."""
    if mask.weights is None and similarity.dtype in (torch.float32, torch.float64):
        return positive_and_negatives(similarity, mask.negatives, temperature)
    logits = tempered(similarity, temperature)
    return positive_of(logits), (logits + log_weights(mask, logits)).logsumexp(dim=1)


def weighing(mask: Mask) -> Tensor:
    """Return (rows, columns) bool: the negatives whose weight is not 0."""
    return mask.negatives if mask.weights is None else mask.negatives & (mask.weights > 0)


def log_weights(mask: Mask, logits: Tensor) -> Tensor:
    """Return (rows, columns) log of the weights of the negatives, minus infinity elsewhere.

    A row without negatives, or with none but of weight 0, is treated as if all were negatives: a log-sum over nothing
    has no finite gradient, and ``mean_over_anchors`` gives such a row no part in the loss.
    """
    negatives = weighing(mask)
    weights = torch.zeros_like(logits) if mask.weights is None else mask.weights.to(logits.dtype).log()
    weights = weights.masked_fill(~negatives, -torch.inf)
    return weights.masked_fill(~is_any_true(negatives)[:, None], 0.0)


def mean_over_anchors(per_anchor: Tensor, mask: Mask) -> Tensor:
    """Return the mean of (rows,) over the anchors that have a negative; 0 with zero gradient where none has."""
    has_negatives = is_any_true(weighing(mask))
    return (per_anchor * has_negatives).sum() / has_negatives.sum().clamp(min=1)


def log_debiased_ratio(
    negative: Tensor, n_negatives: Tensor, positive: Tensor, tau_plus: float, least: float
) -> Tensor:
    """Return (rows,) log of N * g / e^positive, where g is the estimator of arXiv 2007.00224, eq. 7.

    g = max( (S / N - tau_plus * e^positive) / (1 - tau_plus), e^least ), without a difference of large numbers.

    Args:
        negative: (rows,) log of S, the sum over the negatives.
        n_negatives: (rows,) N, their number or total weight, > 0.
        positive: (rows,) logit of the positive.
        tau_plus: probability that a candidate is a positive, in [0, 1).
        least: smallest logit that a pair can have.
    """
    biased = negative - positive - math.log1p(-tau_plus)
    # log of the share of the sum that is expected to be false negatives; at 0 or above nothing would be left.
    log_share = (tau_plus / (1 - tau_plus) * n_negatives).log() - biased
    is_left = log_share < 0
    left = biased + (-torch.expm1(torch.where(is_left, log_share, -1.0))).log()
    floor = n_negatives.log() + least - positive
    return torch.maximum(torch.where(is_left, left, -torch.inf), floor)
