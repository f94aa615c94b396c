"""SimSiam: predict the network's own projection of the other view, through which no gradient flows.

**Source:** Chen and He 2021, "Exploring simple Siamese representation learning", arXiv 2011.10566, eq. 4 and sec. 3;
biases as in the authors' code, facebookresearch/simsiam.
**Differs:** dimensions are those of a small encoder; the predictor's learning rate falls with all others, where the
authors found a constant one slightly better (sec. 4.2); both views pass through the networks as one batch, so that
batch normalisation sees both.
**Cost:** one forward and backward pass of 2 * batch patches.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hsicl_core.checks import check_integer
from hsicl_core.encoder import Encoder
from hsicl_core.self_supervised._siamese import agreement
from hsicl_core.self_supervised.base import SelfSupervisedObjective


class SimSiamObjective(SelfSupervisedObjective):
    """The negative cosine of prediction and the other view's detached projection, mean of both directions: -1..1.

    The projector has three linear layers, each batch-normalised, the last one without scale and shift; the predictor
    two with a bottleneck between.

    Args:
        encoder: what is kept after training.
        projection_dim: dimension of the space of the loss, >= 1.
        bottleneck_dim: dimension between the predictor's layers, >= 1; None for a quarter of ``projection_dim``.

    Raises:
        InvalidValueError: a parameter outside its range.
    """

    def __init__(self, *, encoder: Encoder, projection_dim: int = 128, bottleneck_dim: int | None = None) -> None:
        check_integer("projection_dim", projection_dim, minimum=1)
        bottleneck_dim = max(1, projection_dim // 4) if bottleneck_dim is None else bottleneck_dim
        check_integer("bottleneck_dim", bottleneck_dim, minimum=1)
        super().__init__(encoder)
        dim = encoder.dim
        # No bias before a normalisation, which would take it out again.
        self.projector = nn.Sequential(
            nn.Linear(dim, dim, bias=False), nn.BatchNorm1d(dim), nn.ReLU(inplace=True),
            nn.Linear(dim, dim, bias=False), nn.BatchNorm1d(dim), nn.ReLU(inplace=True),
            nn.Linear(dim, projection_dim, bias=False), nn.BatchNorm1d(projection_dim, affine=False),
        )  # fmt: skip
        self.predictor = nn.Sequential(
            nn.Linear(projection_dim, bottleneck_dim, bias=False), nn.BatchNorm1d(bottleneck_dim),
            nn.ReLU(inplace=True), nn.Linear(bottleneck_dim, projection_dim),
        )  # fmt: skip

    def loss(self, first: Tensor, second: Tensor, *, progress: float, generator: torch.Generator) -> Tensor:
        """Return the loss. See the base class for shapes."""
        z = self.projector(self.encoder(torch.cat([first, second])))
        return -agreement(self.predictor(z), z.detach())
