"""VICReg: variance, invariance and covariance of two views, each in a term of its own.

**Source:** Bardes et al. 2022, arXiv 2105.04906, eq. 1 to 6; weights 25, 25 and 1, the mean over the dimensions in the
invariance and the mean over the views in the variance are those of the authors' repository facebookresearch/vicreg.
**Differs:** the expander's three layers are as wide as asked, there 8192, and have no biases; both views are one batch
for the networks' batch normalisation, there each view is one.
**Cost:** O(batch * dim^2) time and O(dim^2) memory for the covariances and the expander, dim = ``projection_dim``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from hsicl_core.checks import check_integer, check_number
from hsicl_core.encoder import Encoder
from hsicl_core.self_supervised._expander import Expander, check_batch
from hsicl_core.self_supervised.base import SelfSupervisedObjective, full_precision

# Added to the variance, so that the gradient of its root stays finite (sec. 4.1).
_EPSILON = 1e-4


class VICRegObjective(SelfSupervisedObjective):
    """Two views are drawn together, while every dimension keeps its spread and goes its own way.

    Args:
        encoder: what is kept after training.
        projection_dim: width of the expander, and number of the dimensions of the loss, >= 1.
        invariance_weight: of the squared distance between the views, >= 0.
        variance_weight: of what a standard deviation is short of 1, >= 0.
        covariance_weight: of the squared covariances between dimensions, >= 0.

    Raises:
        InvalidValueError: a parameter outside its range.
    """

    def __init__(
        self, *, encoder: Encoder, projection_dim: int = 256, invariance_weight: float = 25.0,
        variance_weight: float = 25.0, covariance_weight: float = 1.0,
    ) -> None:  # fmt: skip
        check_integer("projection_dim", projection_dim, minimum=1)
        check_number("invariance_weight", invariance_weight, minimum=0)
        check_number("variance_weight", variance_weight, minimum=0)
        check_number("covariance_weight", covariance_weight, minimum=0)
        super().__init__(encoder)
        self.expander = Expander(encoder.dim, projection_dim)
        self.invariance_weight = invariance_weight
        self.variance_weight = variance_weight
        self.covariance_weight = covariance_weight

    def loss(self, first: Tensor, second: Tensor, *, progress: float, generator: torch.Generator) -> Tensor:
        """Return the scalar loss of a step of at least two pixels. See the base class."""
        check_batch("vicreg", first)
        z = self.expander(self.encoder(torch.cat([first, second])))
        with full_precision(z):
            return vicreg_loss(
                *z.float().chunk(2), invariance_weight=self.invariance_weight, variance_weight=self.variance_weight,
                covariance_weight=self.covariance_weight,
            )  # fmt: skip


def vicreg_loss(
    z0: Tensor, z1: Tensor, *, invariance_weight: float, variance_weight: float, covariance_weight: float
) -> Tensor:  # fmt: skip
    """Return the weighted sum of the three terms.

    Args:
        z0: (batch, dim) projections of the first view, batch >= 2.
        z1: (batch, dim) projections of the second view.
        invariance_weight: of the mean over batch and dimensions of (z0 - z1)^2.
        variance_weight: of the mean of both views' variance terms.
        covariance_weight: of the sum of both views' covariance terms.
    """
    variance = (variance_term(z0) + variance_term(z1)) / 2
    covariance = covariance_term(z0) + covariance_term(z1)
    return invariance_weight * F.mse_loss(z0, z1) + variance_weight * variance + covariance_weight * covariance


def variance_term(z: Tensor) -> Tensor:
    """Return the mean over the dimensions of max(0, 1 - standard deviation), of (batch, dim), batch >= 2."""
    return F.relu(1 - (z.var(dim=0, unbiased=True) + _EPSILON).sqrt()).mean()


def covariance_term(z: Tensor) -> Tensor:
    """Return the sum of the squared covariances of different dimensions over dim, of (batch, dim), batch >= 2."""
    centred = z - z.mean(dim=0)
    covariance = centred.T @ centred / (len(z) - 1)
    is_diagonal = torch.eye(len(covariance), dtype=torch.bool, device=z.device)
    return covariance.masked_fill(is_diagonal, 0.0).square().sum() / z.shape[1]
