"""Noise on pseudolabels, for the control that asks how much of it a method bears."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hsicl_core.checks import check_integer, check_number


def replace_labels(labels: Tensor, share: float, *, seed: int) -> Tensor:
    """Return a copy of ``labels`` with a share of the assigned ones replaced by uniformly drawn ones.

    floor(share * n_assigned + 0.5) labels are replaced, each by one of the different labels that occur, which may be
    the one it had. What a smaller share replaces, a larger one replaces too, by the same draws.

    Args:
        labels: (n,) int64, -1 = unassigned; those stay.
        share: 0..1.
        seed: seed of the choice and the draws, >= 0.

    Returns:
        (n,) int64 on the device of ``labels``.
    """
    check_number("share", share, minimum=0, maximum=1)
    check_integer("seed", seed, minimum=0)
    replaced = labels.clone()
    assigned = (labels >= 0).nonzero()[:, 0]
    if not len(assigned):
        return replaced
    # Drawn on the host, so that every device replaces the same ones.
    generator = torch.Generator().manual_seed(seed)
    names = labels[assigned].unique()
    order = torch.randperm(len(assigned), generator=generator).to(labels.device)
    drawn = torch.randint(len(names), (len(assigned),), generator=generator).to(labels.device)
    count = math.floor(share * len(assigned) + 0.5)
    replaced[assigned[order[:count]]] = names[drawn[:count]]
    return replaced
