"""SwAV: each view predicts to which prototypes the other one is assigned, when a batch is spread evenly over them.

**Source:** Caron et al. 2020, arXiv 2006.09882, eq. 1 to 4; temperature 0.1, entropy weight 0.05, three Sinkhorn steps,
unit prototypes and their rest at first are those of the authors' repository facebookresearch/swav.
**Differs:** two views and no multi-crop; no queue, as batches hold several pixels per prototype; fewer prototypes, 64
where the authors' 3000 serve 1000 classes; the projection head is that of NT-Xent, without batch normalisation; the
prototypes rest for a share of the training, there for 313 steps. Sinkhorn's scalings are computed in logarithms, so
that a small entropy weight overflows nothing.
**Cost:** O(batch * n_prototypes * (projection_dim + sinkhorn_iterations)) time, O(batch * n_prototypes) memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hsicl_core.checks import check_integer, check_number
from hsicl_core.encoder import Encoder, ProjectionHead
from hsicl_core.self_supervised.base import SelfSupervisedObjective, full_precision


class SwAVObjective(SelfSupervisedObjective):
    """Swapped prediction of the codes of two views.

    Args:
        encoder: what is kept after training.
        projection_dim: dimension of projections and prototypes, >= 1.
        n_prototypes: K, >= 2.
        temperature: of the predictions, > 0.
        epsilon: weight of the codes' entropy, > 0; the smaller, the harder the codes.
        sinkhorn_iterations: >= 1.
        frozen_share: share of the training, 0..1, at whose beginning the prototypes rest.

    Raises:
        InvalidValueError: a parameter outside its range.
    """

    def __init__(
        self, *, encoder: Encoder, projection_dim: int = 64, n_prototypes: int = 64, temperature: float = 0.1,
        epsilon: float = 0.05, sinkhorn_iterations: int = 3, frozen_share: float = 0.1,
    ) -> None:  # fmt: skip
        check_integer("projection_dim", projection_dim, minimum=1)
        check_integer("n_prototypes", n_prototypes, minimum=2)
        check_number("temperature", temperature, above=0)
        check_number("epsilon", epsilon, above=0)
        check_integer("sinkhorn_iterations", sinkhorn_iterations, minimum=1)
        check_number("frozen_share", frozen_share, minimum=0, maximum=1)
        super().__init__(encoder)
        self.head = ProjectionHead(encoder.dim, projection_dim)
        self.prototypes = nn.Parameter(F.normalize(torch.randn(n_prototypes, projection_dim), dim=1))
        self.temperature = temperature
        self.epsilon = epsilon
        self.sinkhorn_iterations = sinkhorn_iterations
        self.frozen_share = frozen_share

    def loss(self, first: Tensor, second: Tensor, *, progress: float, generator: torch.Generator) -> Tensor:
        """Return the scalar loss of a step. See the base class."""
        z = self.head(self.encoder(torch.cat([first, second])))
        # Without a gradient the optimiser leaves them alone, weight decay included.
        prototypes = self.prototypes.detach() if progress < self.frozen_share else self.prototypes
        with full_precision(z):
            scores = F.normalize(z.float(), dim=1) @ prototypes.T
            codes = [sinkhorn(view, self.epsilon, self.sinkhorn_iterations) for view in scores.detach().chunk(2)]
            return swapped_loss(scores, torch.cat(codes), self.temperature)

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Put the prototypes back on the unit sphere. See the base class."""
        self.prototypes.copy_(F.normalize(self.prototypes, dim=1))


def sinkhorn(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Return codes (batch, n_prototypes): rows of sum 1, in which all prototypes have nearly the same share.

    They are exp(scores / epsilon), scaled by turns so that every prototype has the sum batch / n_prototypes, and that
    every sample has the sum 1; the more iterations, the better both hold.

    Args:
        scores: (batch, n_prototypes) similarities.
        epsilon: > 0.
        iterations: >= 1.
    """
    logs = scores / epsilon
    for _ in range(iterations):
        # The prototypes' sums come out equal; how large they are makes no difference to the samples'.
        logs = logs.log_softmax(dim=0).log_softmax(dim=1)
    return logs.exp()


def swapped_loss(scores: Tensor, codes: Tensor, temperature: float) -> Tensor:
    """Return the mean cross-entropy between each view's codes and the other view's predictions.

    Args:
        scores: (2 * batch, n_prototypes) similarities, one view's rows after the other's.
        codes: (2 * batch, n_prototypes) in the same order.
        temperature: > 0.
    """
    swapped = torch.cat(codes.chunk(2)[::-1])
    return -(swapped * (scores / temperature).log_softmax(dim=1)).sum(dim=1).mean()
