"""The mined contrastive loss in tiles of anchors: memory grows with the rows, not with their square.

**Source:** as ``mined_contrastive_loss``; every anchor's term depends on its own row of similarities only, so that rows
can be computed, mined and forgotten a few at a time. The gradient is made in the same pass: a second one would have to
mine again.
**Cost:** O(rows^2 * dim) time, as the dense form; O(rows * (dim + tile)) memory instead of O(rows^2).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from hsicl_core.checks import check_integer
from hsicl_core.losses._log_sums import positive_and_negatives
from hsicl_core.losses.mined_info_nce import MinedContrastiveLoss, loss_of_sums
from hsicl_core.mined_contrastive import check_views, usual_parts
from hsicl_core.miners._ranks import differ, n_true
from hsicl_core.miners.mixture import MixtureMiner

# Similarities of a tile: 32 MiB of float32, of which a handful of copies are made.
_TILE_ENTRIES = 2**23


def tiled_mined_contrastive_loss(
    z0: Tensor, z1: Tensor, pseudo_labels: Tensor, *, temperature: float = 0.1, hard_fraction: float = 0.5,
    n_negatives: int | None = None, elimination: str = "hard", easy: str = "bottom", guard_quantile: float = 0.0,
    negative_scaling: float = 0.0, generator: torch.Generator | None = None, tile_rows: int | None = None,
) -> Tensor:  # fmt: skip
    """Return ``mined_contrastive_loss`` of large batches; loss and gradient agree with it to rounding.

    Rounding is that of sums and products in another order, about 1e-6 of float32 values; where it decides between two
    candidates of nearly equal similarity at the end of a budget, the other one may be taken. The draws of
    ``easy="uniform"`` are others than the dense form's. The gradient cannot be differentiated again.

    Args:
        z0: (batch, dim) embeddings of view 0, normalised inside.
        z1: (batch, dim) embeddings of view 1.
        pseudo_labels: (batch,) integers, -1 = unassigned.
        temperature: > 0.
        hard_fraction: share of hard negatives in the budget, 0..1.
        n_negatives: budget per anchor, >= 1; None takes all.
        elimination: ``"hard"`` or ``"off"``.
        easy: ``"bottom"`` or ``"uniform"``.
        guard_quantile: share of the hardest never used, in [0, 1).
        negative_scaling: 0..1.
        generator: source of the draws of ``easy="uniform"``, on the device of ``z0``.
        tile_rows: anchors at a time, >= 1; None for as many as make a table of 2**23 similarities.

    Returns:
        A scalar, as ``mined_contrastive_loss``.

    Raises:
        InvalidValueError: a value outside its range, or shapes that do not fit.
    """
    check_views(z0, z1, pseudo_labels)
    miner, loss = usual_parts(
        temperature=temperature, hard_fraction=hard_fraction, n_negatives=n_negatives, elimination=elimination,
        easy=easy, guard_quantile=guard_quantile, negative_scaling=negative_scaling,
    )  # fmt: skip
    if tile_rows is not None:
        check_integer("tile_rows", tile_rows, minimum=1)
    z = torch.cat([z0, z1])
    with torch.autocast(z.device.type, enabled=False):
        z = F.normalize(z.to(torch.promote_types(z.dtype, torch.float32)), dim=1)
        mean: Tensor = _Tiled.apply(z, pseudo_labels.repeat(2), miner, loss, generator, tile_rows)
    return mean


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z: Tensor, labels: Tensor, miner: MixtureMiner, loss: MinedContrastiveLoss,
        generator: torch.Generator | None, tile_rows: int | None,
    ) -> Tensor:  # fmt: skip
        rows = len(z)
        samples = torch.arange(rows, device=z.device) % (rows // 2)
        gradient = torch.zeros_like(z) if ctx.needs_input_grad[0] else None
        total, n_counted = z.new_zeros(()), torch.zeros((), dtype=torch.int64, device=z.device)
        size = tile_rows or max(1, _TILE_ENTRIES // rows)
        for top in range(0, rows, size):
            anchors = torch.arange(top, min(top + size, rows), device=z.device)
            # A leaf of its own: what autograd keeps of a tile goes with the tile.
            similarity = (z[anchors] @ z.T).requires_grad_(gradient is not None)
            negatives = _mined(similarity.detach(), anchors, samples, labels, miner, generator)
            with torch.enable_grad():
                positive, log_sum = positive_and_negatives(
                    similarity, negatives, loss.temperature, (anchors + rows // 2) % rows
                )
                count = n_true(negatives)
                per_anchor = loss_of_sums(positive, loss.scaled(log_sum, count, n_columns=rows))
                tile = (per_anchor * (count > 0)).sum()
            total += tile.detach()
            n_counted += (count > 0).sum()
            if gradient is not None:
                (of_similarity,) = torch.autograd.grad(tile, similarity)
                gradient[anchors] += of_similarity @ z
                gradient.addmm_(of_similarity.T, z[anchors])
        n_counted = n_counted.clamp(min=1)
        ctx.save_for_backward(None if gradient is None else gradient.div_(n_counted))
        return total / n_counted

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_mean: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * of_mean, None, None, None, None, None


def _mined(
    similarity: Tensor, anchors: Tensor, samples: Tensor, labels: Tensor, miner: MixtureMiner,
    generator: torch.Generator | None,
) -> Tensor:  # fmt: skip
    """Return (tile, rows) bool, the negatives of some anchors."""
    left = differ(samples, anchors)
    if miner.elimination == "hard":
        # What is unassigned is eliminated by nobody.
        names = torch.where(labels >= 0, labels, -1 - torch.arange(len(labels), device=labels.device))
        left &= differ(names, anchors)
    if miner.n_negatives is None:
        return left
    return miner.mix(similarity, left, miner.n_negatives, miner.hard_fraction, generator)[0]
