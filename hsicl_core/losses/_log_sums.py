"""The positive's logit and the log-sum over the negatives of each anchor, with as few passes as they need.

Bit for bit what ``positive_of`` and ``(logits + log_weights(mask, logits)).logsumexp(dim=1)`` give, and their
gradients: the sums are the same, in the same order; what adds 0 to them is left out. On the CPU the exponential of
minus infinity takes 15 times as long as that of a number, so that few negatives are taken out of their rows first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hsicl_core.miners._ranks import filled, is_any_true


def positive_and_negatives(
    similarity: Tensor, negatives: Tensor, temperature: float, own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return (rows,) the logits of the anchors' own positives, and (rows,) the log-sums over their negatives.

    A row without negatives is treated as if all were negatives, as in ``log_weights``.

    Args:
        similarity: (rows, columns) float32 or float64.
        negatives: (rows, columns) bool.
        temperature: > 0.
        own: (rows,) int64 columns of the anchors' own positives; None where the rows are those of all views, in order.
    """
    if own is None:
        rows = len(similarity)
        own = (torch.arange(rows, device=similarity.device) + rows // 2) % rows
    index = _places(negatives)
    if index is None:
        return _Dense.apply(similarity, negatives, own, temperature)
    return _Sparse.apply(similarity, index, own, temperature)


def _places(negatives: Tensor) -> Tensor | None:
    """Return (rows, k) int64 flat places of the negatives, where all rows have equally many and these are few."""
    rows, columns = negatives.shape
    if negatives.device.type != "cpu" or rows == 0:
        return None
    mask = negatives.numpy()
    k, rest = divmod(int(np.count_nonzero(mask)), rows)
    if rest or k == 0 or 2 * k > columns:
        return None
    index = np.flatnonzero(mask).reshape(rows, k)
    starts = np.arange(rows) * columns
    if (index[:, 0] < starts).any() or (index[:, -1] >= starts + columns).any():
        return None
    return torch.from_numpy(index)


class _Sparse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, similarity: Tensor, index: Tensor, own: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        values = similarity.reshape(-1).index_select(0, index.view(-1)).view_as(index) / temperature
        top = values.amax(dim=1, keepdim=True)
        terms = torch.zeros_like(similarity)
        terms.view(-1).index_copy_(0, index.view(-1), (values - top).exp_().view(-1))
        log_sum = terms.sum(dim=1).log_().add_(top[:, 0])
        ctx.save_for_backward(index, values, log_sum, own)
        ctx.shape, ctx.temperature = similarity.shape, temperature
        return similarity.gather(1, own[:, None])[:, 0] / temperature, log_sum

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_positive: Tensor, of_log_sum: Tensor) -> tuple[Tensor, None, None, None]:
        index, values, log_sum, own = ctx.saved_tensors
        shares = (values - log_sum[:, None]).exp_().mul_(of_log_sum[:, None]).div_(ctx.temperature)
        gradient = values.new_zeros(ctx.shape)
        gradient.view(-1).index_copy_(0, index.view(-1), shares.view(-1))
        gradient.scatter_add_(1, own[:, None], (of_positive / ctx.temperature)[:, None])
        return gradient, None, None, None


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, similarity: Tensor, negatives: Tensor, own: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        logits = similarity / temperature
        positive = logits.gather(1, own[:, None])[:, 0]
        logits = filled(logits, negatives | ~is_any_true(negatives)[:, None])
        log_sum = logits.logsumexp(dim=1)
        ctx.save_for_backward(logits, log_sum, own)
        ctx.temperature = temperature
        return positive, log_sum

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_positive: Tensor, of_log_sum: Tensor) -> tuple[Tensor, None, None, None]:
        logits, log_sum, own = ctx.saved_tensors
        gradient = (logits - log_sum[:, None]).exp_().mul_(of_log_sum[:, None]).div_(ctx.temperature)
        gradient.scatter_add_(1, own[:, None], (of_positive / ctx.temperature)[:, None])
        return gradient, None, None, None
