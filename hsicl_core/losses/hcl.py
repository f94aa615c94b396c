"""Hard-negative reweighting: negatives count the more the nearer they are, after debiasing.

**Source:** Robinson et al. 2021, arXiv 2010.04592, sec. 3; defaults as in the
authors' repository joshr17/HCL (t = 0.5, tau_plus = 0.1, beta = 1).
**Differs:** N is the number of the mask's negatives (their total weight, where weighted) instead of 2 * batch - 2.
Gradients flow through the importance weights, as in the authors' code. ``mask.positives`` are not attracted, the
formula has one positive.
**Cost:** O(batch^2) time and memory.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.checks import check_number
from hsicl_core.losses._terms import log_debiased_ratio, log_weights, mean_over_anchors, positive_of, tempered
from hsicl_core.losses.base import ContrastiveLoss
from hsicl_core.miners.base import Mask


class HardNegativeLoss(ContrastiveLoss):
    """The debiased loss over sum_n w_n e^{s_n/t}, where w_n = e^{beta s_n/t} / mean_k e^{beta s_k/t}.

    With beta = 0 this is the debiased loss; a large beta leaves the hardest negative alone.

    Args:
        temperature: t, > 0.
        beta: concentration on hard negatives, >= 0.
        tau_plus: probability that a candidate has the anchor's class, in [0, 1).

    Raises:
        InvalidValueError: a parameter outside its range.
    """

    def __init__(self, *, temperature: float = 0.5, beta: float = 1.0, tau_plus: float = 0.1) -> None:
        check_number("temperature", temperature, above=0)
        check_number("beta", beta, minimum=0)
        check_number("tau_plus", tau_plus, minimum=0, below=1)
        self.temperature = temperature
        self.beta = beta
        self.tau_plus = tau_plus

    def __call__(self, similarity: Tensor, mask: Mask) -> Tensor:
        """Return the scalar loss. See the base class for shapes."""
        logits = tempered(similarity, self.temperature)
        weights = log_weights(mask, logits)
        n_negatives = weights.exp().sum(dim=1)
        tilted = weights + self.beta * logits
        negative = (tilted + logits).logsumexp(dim=1) - tilted.logsumexp(dim=1) + n_negatives.log()
        ratio = log_debiased_ratio(negative, n_negatives, positive_of(logits), self.tau_plus, -1 / self.temperature)
        return mean_over_anchors(torch.logaddexp(ratio, torch.zeros_like(ratio)), mask)
