"""Barlow Twins: the cross-correlation of two views is drawn to the identity.

**Source:** Zbontar et al. 2021, arXiv 2103.03230, eq. 1 and 2; three linear layers of one width without biases, biased
standard deviations and the weight 0.0051 are those of the authors' repository facebookresearch/barlowtwins.
**Differs:** the layers are as wide as asked, there 8192; both views are one batch for the networks' batch
normalisation, there each view is one. The loss normalises each view by itself, as there.
**Cost:** O(batch * dim^2) time and O(dim^2) memory for the correlations and the projector, dim = ``projection_dim``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.checks import check_integer, check_number
from hsicl_core.encoder import Encoder
from hsicl_core.self_supervised._expander import Expander, check_batch
from hsicl_core.self_supervised.base import SelfSupervisedObjective, full_precision

# Keeps the gradient of a dimension that is constant over the batch finite; its correlations are 0.
_EPSILON = 1e-5


class BarlowTwinsObjective(SelfSupervisedObjective):
    """What two views say of a pixel shall agree in every dimension, and no two dimensions shall say the same.

    Args:
        encoder: what is kept after training.
        projection_dim: width of the projector, and number of the correlated dimensions, >= 1.
        off_diagonal_weight: lambda, >= 0.

    Raises:
        InvalidValueError: a parameter outside its range.
    """

    def __init__(self, *, encoder: Encoder, projection_dim: int = 256, off_diagonal_weight: float = 0.0051) -> None:
        check_integer("projection_dim", projection_dim, minimum=1)
        check_number("off_diagonal_weight", off_diagonal_weight, minimum=0)
        super().__init__(encoder)
        self.projector = Expander(encoder.dim, projection_dim)
        self.off_diagonal_weight = off_diagonal_weight

    def loss(self, first: Tensor, second: Tensor, *, progress: float, generator: torch.Generator) -> Tensor:
        """Return the scalar loss of a step of at least two pixels. See the base class."""
        check_batch("barlow_twins", first)
        z = self.projector(self.encoder(torch.cat([first, second])))
        with full_precision(z):
            return barlow_twins_loss(*z.float().chunk(2), off_diagonal_weight=self.off_diagonal_weight)


def barlow_twins_loss(z0: Tensor, z1: Tensor, *, off_diagonal_weight: float) -> Tensor:
    """Return sum_i (1 - C_ii)^2 + lambda * sum_{i != j} C_ij^2, C the correlations between the views over the batch.

    Args:
        z0: (batch, dim) projections of the first view, batch >= 2.
        z1: (batch, dim) projections of the second view.
        off_diagonal_weight: lambda.
    """
    first, second = _standardized(z0), _standardized(z1)
    correlation = first.T @ second / len(z0)
    is_diagonal = torch.eye(len(correlation), dtype=torch.bool, device=z0.device)
    agreement = (1 - correlation.diagonal()).square().sum()
    return agreement + off_diagonal_weight * correlation.masked_fill(is_diagonal, 0.0).square().sum()


def _standardized(z: Tensor) -> Tensor:
    centred = z - z.mean(dim=0)
    return centred * (centred.square().mean(dim=0) + _EPSILON).rsqrt()
