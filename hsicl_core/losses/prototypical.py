"""Prototypical contrastive loss: InfoNCE between instances plus InfoNCE between an instance and the groups' centres.

**Source:** Li et al. 2021, "Prototypical Contrastive Learning", arXiv 2005.04966, eq. 11 and 12.
**Differs:** one clustering instead of several of different numbers of groups; all other prototypes are negatives
instead of a sample of them; centres and concentrations come from the encoder itself instead of a momentum encoder; the
instance term runs over the mask's negatives; how long to wait for prototypes is the caller's choice (20 epochs there);
t = 0.1, the repository's command line has 0.2. ``mask.positives`` are not attracted: the centres do that.
**Cost:** O(batch^2 + batch * n_prototypes) time and memory.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from hsicl_core.checks import check_number
from hsicl_core.losses._terms import log_sums, mean_over_anchors
from hsicl_core.losses.base import ContrastiveLoss
from hsicl_core.miners.base import Mask
from hsicl_core.prototypes import Prototypes


class PrototypicalLoss(ContrastiveLoss):
    """Mined InfoNCE plus w times the mean of -log( e^{s_ac/phi_c} / sum_k e^{s_ak/phi_k} ), c the anchor's prototype.

    phi are the concentrations, scaled to a mean of the temperature. Anchors without a prototype have no part in the
    second mean; without any prototype it is 0.

    Args:
        temperature: > 0.
        prototype_weight: w, >= 0.

    Raises:
        InvalidValueError: a parameter outside its range.
    """

    needs_prototypes: ClassVar[bool] = True

    def __init__(self, *, temperature: float = 0.1, prototype_weight: float = 1.0) -> None:
        check_number("temperature", temperature, above=0)
        check_number("prototype_weight", prototype_weight, minimum=0)
        self.temperature = temperature
        self.prototype_weight = prototype_weight

    def __call__(self, similarity: Tensor, mask: Mask, *, prototypes: Prototypes | None = None) -> Tensor:
        """Return the scalar loss. See the base class for shapes; without prototypes it is the mined InfoNCE."""
        positive, negative = log_sums(similarity, mask, self.temperature)
        rest = negative - positive
        between_instances = mean_over_anchors(torch.logaddexp(rest, torch.zeros_like(rest)), mask)
        if prototypes is None or prototypes.similarity.shape[1] == 0:
            return between_instances
        phi = prototypes.concentration * (self.temperature / prototypes.concentration.mean())
        nearness = prototypes.similarity.to(positive.dtype) / phi
        has_own = prototypes.own >= 0
        own = nearness.gather(1, prototypes.own.clamp(min=0)[:, None])[:, 0]
        to_centres = ((nearness.logsumexp(dim=1) - own) * has_own).sum() / has_own.sum().clamp(min=1)
        return between_instances + self.prototype_weight * to_centres
