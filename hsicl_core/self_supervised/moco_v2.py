"""MoCo v2: InfoNCE against a queue of keys, which a slowly following copy of the network made.

**Source:** He et al. 2020, "Momentum Contrast", arXiv 1911.05722, eq. 1 (InfoNCE) and eq. 2 (the copy); Chen et al.
2020, arXiv 2003.04297 (MLP head, temperature 0.2).
**Differs:** every view is a query once and a key once, so that a step has as many queries as NT-Xent; there one view
asks, the other answers. The queue starts empty instead of with random vectors: the first step's loss is 0, and there is
nothing to learn from it. It is shorter, 4096 keys instead of 65536, as scenes have tens of thousands of pixels; a key
of the query's own pixel from an epoch ago may be in it, and counts as a negative as it does there. No shuffled batch
normalisation (1911.05722, sec. 3.3), which takes several devices: the positive key shares the statistics of the query's
batch, those in the queue do not. Both views pass through the networks as one batch.
**Cost:** one forward and backward pass of 2 * batch patches, one more forward pass of the copy, and O(batch *
queue_size) similarities.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hsicl_core.checks import check_integer, check_number
from hsicl_core.encoder import Encoder, ProjectionHead
from hsicl_core.self_supervised._siamese import follow, frozen_copy, of_other_view
from hsicl_core.self_supervised.base import SelfSupervisedObjective, full_precision


class MoCoV2Objective(SelfSupervisedObjective):
    """-log( e^{q.k/t} / ( e^{q.k/t} + sum over the queue of e^{q.n/t} ) ), mean over the queries q.

    Args:
        encoder: what is kept after training.
        projection_dim: dimension of queries and keys, >= 1.
        temperature: t, > 0.
        momentum: m of copy <- m * copy + (1 - m) * network, in [0, 1].
        queue_size: keys of past steps that are negatives, >= 1; the oldest leave first.

    Raises:
        InvalidValueError: a parameter outside its range.
    """

    queue: Tensor

    def __init__(
        self, *, encoder: Encoder, projection_dim: int = 64, temperature: float = 0.2, momentum: float = 0.99,
        queue_size: int = 4096,
    ) -> None:  # fmt: skip
        check_integer("projection_dim", projection_dim, minimum=1)
        check_number("temperature", temperature, above=0)
        check_number("momentum", momentum, minimum=0, maximum=1)
        check_integer("queue_size", queue_size, minimum=1)
        super().__init__(encoder)
        self.temperature = temperature
        self.momentum = momentum
        self.queue_size = queue_size
        self.head = ProjectionHead(encoder.dim, projection_dim)
        self.key_encoder = frozen_copy(nn.Sequential(encoder, self.head))
        self.register_buffer("queue", torch.zeros(0, projection_dim), persistent=False)
        self._keys: Tensor | None = None

    def loss(self, first: Tensor, second: Tensor, *, progress: float, generator: torch.Generator) -> Tensor:
        """Return the loss. See the base class for shapes."""
        views = torch.cat([first, second])
        queries = F.normalize(self.head(self.encoder(views)).float(), dim=1)
        with torch.no_grad():
            keys = F.normalize(self.key_encoder(views).float(), dim=1)
        self._keys = keys
        with full_precision(queries):
            positive = (queries * of_other_view(keys)).sum(dim=1, keepdim=True)
            logits = torch.cat([positive, queries @ self.queue.T], dim=1) / self.temperature
            return (logits.logsumexp(dim=1) - logits[:, 0]).mean()

    def after_step(self, progress: float) -> None:
        """Put the step's keys into the queue, and move the copy towards encoder and head."""
        if self._keys is not None:
            self.queue = torch.cat([self.queue, self._keys])[-self.queue_size :]
            self._keys = None
        follow(self.key_encoder, nn.Sequential(self.encoder, self.head), self.momentum)
