"""What the mining properties are drawn from."""

from __future__ import annotations

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

SEEDS = st.integers(0, 2**31)
BATCHES = st.integers(1, 10)
run = settings(max_examples=100, deadline=None)


def draw(seed: int, batch: int, n_levels: int | None = None) -> tuple[Tensor, Tensor]:
    """Similarities, all different or (with ``n_levels``) full of ties, and pseudolabels."""
    generator = torch.Generator().manual_seed(seed)
    rows = 2 * batch
    if n_levels is None:
        similarity = torch.randperm(rows * rows, generator=generator).view(rows, rows) / (rows * rows)
    else:
        similarity = torch.randint(n_levels, (rows, rows), generator=generator) / n_levels
    return similarity, torch.randint(-1, 4, (batch,), generator=generator)
