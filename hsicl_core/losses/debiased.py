"""Debiased contrastive loss: the share of false negatives that must be in the sum is taken out of it.

**Source:** Chuang et al. 2020, arXiv 2007.00224, eq. 7 and 8; clamp and defaults as in the authors' repository
chingyaoc/DCL (t = 0.5, tau_plus = 0.1).
**Differs:** N is the number of the mask's negatives (their total weight, where weighted) instead of 2 * batch - 2, and
the paper's M samples of the positive class are the one other view. tau_plus is for unfiltered candidates: over mined
negatives the true share is smaller. ``mask.positives`` are not attracted, the formula has one positive.
**Cost:** O(batch^2) time and memory.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.checks import check_number
from hsicl_core.losses._terms import log_debiased_ratio, log_weights, mean_over_anchors, positive_of, tempered
from hsicl_core.losses.base import ContrastiveLoss
from hsicl_core.miners.base import Mask


class DebiasedLoss(ContrastiveLoss):
    """L_a = -log( e^{p/t} / ( e^{p/t} + G ) ), G = max( (sum_n e^{s_n/t} - tau N e^{p/t}) / (1 - tau), N e^{-1/t} ).

    p is the similarity of the positive, s_n those of the N negatives, tau is ``tau_plus``. With tau = 0 this is the
    mined InfoNCE.

    Args:
        temperature: t, > 0.
        tau_plus: probability that a candidate has the anchor's class, in [0, 1).

    Raises:
        InvalidValueError: a parameter outside its range.
    """

    def __init__(self, *, temperature: float = 0.5, tau_plus: float = 0.1) -> None:
        check_number("temperature", temperature, above=0)
        check_number("tau_plus", tau_plus, minimum=0, below=1)
        self.temperature = temperature
        self.tau_plus = tau_plus

    def __call__(self, similarity: Tensor, mask: Mask) -> Tensor:
        """Return the scalar loss. See the base class for shapes."""
        logits = tempered(similarity, self.temperature)
        weights = log_weights(mask, logits)
        ratio = log_debiased_ratio(
            (logits + weights).logsumexp(dim=1), weights.exp().sum(dim=1), positive_of(logits), self.tau_plus,
            -1 / self.temperature,
        )  # fmt: skip
        return mean_over_anchors(torch.logaddexp(ratio, torch.zeros_like(ratio)), mask)
