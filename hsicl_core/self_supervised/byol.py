"""BYOL: predict what a slowly following copy makes of the other view; there are no negatives.

**Source:** Grill et al. 2020, "Bootstrap your own latent", arXiv 2006.07733, eq. 2 (the loss), eq. 1 (the copy) and
sec. 3.2 (projector, predictor); biases as in the authors' code, google-deepmind/deepmind-research, folder byol.
**Differs:** the hidden layer is twice as wide as the encoder's embedding and the projection half of it, there 2 and 1/8
of 2048. Both views pass through the networks as one batch, so that batch normalisation sees both.
**Cost:** one forward and backward pass of 2 * batch patches, and one more forward pass of the copy.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hsicl_core.checks import check_integer, check_number
from hsicl_core.encoder import Encoder
from hsicl_core.schedules import scheduled
from hsicl_core.self_supervised._siamese import agreement, follow, frozen_copy
from hsicl_core.self_supervised.base import SelfSupervisedObjective


class NormalisedMLP(nn.Sequential):
    """Linear layer, batch normalisation, ReLU, linear layer without bias: BYOL's projector and its predictor.

    Args:
        dim: dimension of what goes in.
        hidden_dim: dimension between the layers.
        out_dim: dimension of what comes out.
    """

    def __init__(self, dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__(
            nn.Linear(dim, hidden_dim), nn.BatchNorm1d(hidden_dim), nn.ReLU(inplace=True),
            nn.Linear(hidden_dim, out_dim, bias=False),
        )  # fmt: skip


class BYOLObjective(SelfSupervisedObjective):
    """The squared distance of normalised prediction and target, 2 - 2 * cosine, added over both directions: 0..8.

    Args:
        encoder: what is kept after training.
        projection_dim: dimension of the space of the loss, >= 1.
        hidden_dim: dimension between the two layers of projector and predictor, >= 1.
        momentum: of the copy at the start, in [0, 1]; it rises along half a cosine to 1 at the end.

    Raises:
        InvalidValueError: a parameter outside its range.
    """

    def __init__(
        self, *, encoder: Encoder, projection_dim: int = 64, hidden_dim: int = 256, momentum: float = 0.97
    ) -> None:  # fmt: skip
        check_integer("projection_dim", projection_dim, minimum=1)
        check_integer("hidden_dim", hidden_dim, minimum=1)
        check_number("momentum", momentum, minimum=0, maximum=1)
        super().__init__(encoder)
        self.momentum = momentum
        self.projector = NormalisedMLP(encoder.dim, hidden_dim, projection_dim)
        self.predictor = NormalisedMLP(projection_dim, hidden_dim, projection_dim)
        self.target = frozen_copy(nn.Sequential(encoder, self.projector))

    def loss(self, first: Tensor, second: Tensor, *, progress: float, generator: torch.Generator) -> Tensor:
        """Return the loss. See the base class for shapes."""
        views = torch.cat([first, second])
        predictions = self.predictor(self.projector(self.encoder(views)))
        with torch.no_grad():
            targets = self.target(views)
        return 4 - 4 * agreement(predictions, targets)

    def after_step(self, progress: float) -> None:
        """Move the copy towards encoder and projector."""
        momentum = scheduled("cosine", self.momentum, 1.0, progress)
        follow(self.target, nn.Sequential(self.encoder, self.projector), momentum)
