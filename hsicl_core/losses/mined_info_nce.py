"""InfoNCE over mined negatives.

Source: Oord et al. 2018, arXiv 1807.03748, eq. 4, in the form of NT-Xent (Chen et al. 2020, arXiv 2002.05709, eq. 1).
Differs: the sum runs over the mask's negatives only, and is optionally rescaled to the number NT-Xent would have had,
so that eliminating negatives is not confounded with having fewer of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.checks import check_number
from hsicl_core.losses._terms import log_sums, mean_over_anchors, tempered, weighing
from hsicl_core.losses.base import ContrastiveLoss
from hsicl_core.miners._ranks import n_true
from hsicl_core.miners.base import Mask


class MinedContrastiveLoss(ContrastiveLoss):
    """L_a = -log( e^{s_ap/t} / ( e^{s_ap/t} + (M/|N_a|)^k * sum_{n in N_a} e^{s_an/t} ) ), mean over anchors.

    M is the number of columns less the anchor and its positive: 2 * batch - 2 and all that a memory bank holds.
    With all other samples as negatives and k = 0 this is exactly NT-Xent. Anchors without negatives are skipped;
    ``mask.n_skipped`` counts them. Weighted negatives enter the sum with their weights; those of weight 0 are none.
    Where the mask attracts further positives, L_a is the mean of the formula over all positives of the anchor, which do
    not compete with each other as they do in SupCon (arXiv 2004.11362, eq. 2).

    Args:
        temperature: t, > 0.
        negative_scaling: k, 0..1; 1 makes the sum as large as if no negative had been removed.

    Raises:
        InvalidValueError: a parameter outside its range.

    Cost: O(batch^2) time and memory.
    """

    def __init__(self, *, temperature: float = 0.1, negative_scaling: float = 0.0) -> None:
        check_number("temperature", temperature, above=0)
        check_number("negative_scaling", negative_scaling, minimum=0, maximum=1)
        self.temperature = temperature
        self.negative_scaling = negative_scaling

    def __call__(self, similarity: Tensor, mask: Mask) -> Tensor:
        """Return the scalar loss. See the base class for shapes."""
        positive, negative = log_sums(similarity, mask, self.temperature)
        if self.negative_scaling:
            negative = self.scaled(negative, n_true(weighing(mask)), n_columns=similarity.shape[1])
        per_anchor = loss_of_sums(positive, negative)
        if mask.positives is not None:
            logits = tempered(similarity, self.temperature)
            attracted = torch.logaddexp(negative[:, None] - logits, torch.zeros_like(logits))
            n_attracted = mask.positives.sum(dim=1)
            per_anchor = (per_anchor + (attracted * mask.positives).sum(dim=1)) / (1 + n_attracted)
        return mean_over_anchors(per_anchor, mask)

    def scaled(self, log_sum: Tensor, n_negatives: Tensor, *, n_columns: int) -> Tensor:
        """Return (rows,) log of (M/|N|)^k times the sum over the negatives.

        Args:
            log_sum: (rows,) logs of the sums.
            n_negatives: (rows,) int64 how many negatives these are.
            n_columns: number of candidates, the anchor and its positive included.
        """
        counts = n_negatives.clamp(min=1).to(log_sum.dtype)
        return log_sum + self.negative_scaling * (max(n_columns - 2, 1) / counts).log()


def loss_of_sums(positive: Tensor, negative: Tensor) -> Tensor:
    """Return (rows,) L_a from (rows,) the logit of the positive and the log of the sum over the negatives."""
    return torch.logaddexp(negative - positive, torch.zeros_like(positive))
