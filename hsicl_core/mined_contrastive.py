"""The method in one function: cosine similarities once, a miner's mask, a loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from hsicl_core.checks import check_choice
from hsicl_core.errors import InvalidValueError
from hsicl_core.losses.mined_info_nce import MinedContrastiveLoss
from hsicl_core.miners.base import Candidates
from hsicl_core.miners.mixture import MixtureMiner


def cosine_similarity(z0: Tensor, z1: Tensor) -> Tensor:
    """Return (2 * batch, 2 * batch) cosine similarities of the embeddings of two views, float32 or wider.

    Args:
        z0: (batch, dim) embeddings of view 0. A zero vector has similarity 0 with everything.
        z1: (batch, dim) embeddings of view 1, same samples in the same order.

    Raises:
        InvalidValueError: shapes are not equal and two-dimensional.
    """
    _check_shapes(z0, z1)
    z = torch.cat([z0, z1])
    # Narrower numbers would lose what a small temperature blows up, and autocast would narrow the product again.
    with torch.autocast(z.device.type, enabled=False):
        z = F.normalize(z.to(torch.promote_types(z.dtype, torch.float32)), dim=1)
        return z @ z.T


def mined_contrastive_loss(
    z0: Tensor, z1: Tensor, pseudo_labels: Tensor, *, temperature: float = 0.1, hard_fraction: float = 0.5,
    n_negatives: int | None = None, elimination: str = "hard", easy: str = "bottom", guard_quantile: float = 0.0,
    negative_scaling: float = 0.0, generator: torch.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Return the contrastive loss of two views over mined negatives.

    ``MixtureMiner`` and ``MinedContrastiveLoss`` give the meaning of the options;
    ``elimination="off", n_negatives=None, negative_scaling=0`` is exactly NT-Xent (arXiv 2002.05709, eq. 1).

    Args:
        z0: (batch, dim) embeddings of view 0, normalised inside.
        z1: (batch, dim) embeddings of view 1.
        pseudo_labels: (batch,) integers, -1 = unassigned: never eliminated, eliminates nobody.
        temperature: > 0.
        hard_fraction: share of hard negatives in the budget, 0..1.
        n_negatives: budget per anchor, >= 1; None takes all.
        elimination: ``"hard"`` or ``"off"``.
        easy: ``"bottom"`` or ``"uniform"``.
        guard_quantile: share of the hardest never used, in [0, 1).
        negative_scaling: 0..1.
        generator: source of the draws of ``easy="uniform"``, on the device of ``z0``.

    Returns:
        A scalar, the mean over the anchors that have a negative; 0 with zero gradient where none has.

    Raises:
        InvalidValueError: a value outside its range, or shapes that do not fit.
    """
    check_views(z0, z1, pseudo_labels)
    similarity = cosine_similarity(z0, z1)
    miner, loss = usual_parts(
        temperature=temperature, hard_fraction=hard_fraction, n_negatives=n_negatives, elimination=elimination,
        easy=easy, guard_quantile=guard_quantile, negative_scaling=negative_scaling,
    )  # fmt: skip
    return loss(similarity, miner.mine(Candidates.of_batch(similarity, pseudo_labels), generator))


def check_views(z0: Tensor, z1: Tensor, pseudo_labels: Tensor) -> None:
    """Raise InvalidValueError unless the embeddings are (batch, dim) and the pseudolabels (batch,) integers."""
    _check_shapes(z0, z1)
    if pseudo_labels.shape != z0.shape[:1] or pseudo_labels.is_floating_point():
        raise InvalidValueError(
            f"pseudo_labels must be integers of shape ({len(z0)},), one per sample, "
            f"got {pseudo_labels.dtype} of shape {tuple(pseudo_labels.shape)}"
        )


def _check_shapes(z0: Tensor, z1: Tensor) -> None:
    if z0.ndim != 2 or z0.shape != z1.shape or len(z0) == 0:
        raise InvalidValueError(
            f"z0 and z1 must both have shape (batch, dim) with batch >= 1, got {tuple(z0.shape)} and {tuple(z1.shape)}"
        )


def usual_parts(
    *, temperature: float, hard_fraction: float, n_negatives: int | None, elimination: str, easy: str,
    guard_quantile: float, negative_scaling: float,
) -> tuple[MixtureMiner, MinedContrastiveLoss]:  # fmt: skip
    """Return the miner and the loss that ``mined_contrastive_loss`` is made of; see there."""
    # The miner has more values; these are the ones whose meaning that function's formula gives.
    check_choice("elimination", elimination, ("hard", "off"))
    check_choice("easy", easy, ("bottom", "uniform"))
    miner = MixtureMiner(
        hard_fraction=hard_fraction, n_negatives=n_negatives, elimination=elimination, easy=easy,
        guard_quantile=guard_quantile,
    )  # fmt: skip
    return miner, MinedContrastiveLoss(temperature=temperature, negative_scaling=negative_scaling)
