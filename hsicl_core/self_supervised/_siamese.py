"""What objectives with two branches share: a copy that follows slowly, and what one branch says of the other view."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Module = TypeVar("Module", bound=nn.Module)


def frozen_copy(module: Module) -> Module:
    """Return a copy with the same weights that the optimiser does not train."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def follow(average: nn.Module, followed: nn.Module, momentum: float) -> None:
    """Set every parameter of ``average`` to momentum * itself + (1 - momentum) * that of ``followed``.

    Statistics of batch normalisation are each module's own.
    """
    for mean, parameter in zip(average.parameters(), followed.parameters(), strict=True):
        mean.lerp_(parameter, 1 - momentum)


def of_other_view(rows: Tensor) -> Tensor:
    """Return the rows (2 * batch, ...) of first views where those of second views were, and the other way round."""
    return rows.roll(len(rows) // 2, 0)


def agreement(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cosine of every view's prediction and the other view's target, both (2 * batch, dim)."""
    p, z = (F.normalize(rows.float(), dim=1) for rows in (predictions, of_other_view(targets)))
    return (p * z).sum(dim=1).mean()
