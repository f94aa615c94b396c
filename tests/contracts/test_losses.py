"""What every registered loss must do. A new file is tested by being there (see tests/test_one_file.py)."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from hsicl_core.losses.base import ContrastiveLoss
from hsicl_core.mined_contrastive import cosine_similarity
from hsicl_core.miners.base import Mask, others
from hsicl_core.registries import LOSSES

each = pytest.mark.parametrize("name", LOSSES.names())


def make(name: str) -> ContrastiveLoss:
    return LOSSES.get(name)()


def draw(batch: int, seed: int = 0) -> tuple[Tensor, Mask]:
    """Embeddings (2, batch, 4) and a random mask in which the first anchor has no negative."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(2, batch, 4, generator=generator)
    candidates = others(2 * batch, z.device)
    negatives = candidates & (torch.rand(candidates.shape, generator=generator) < 0.7)
    negatives[0] = False
    return z, Mask(negatives, candidates & ~negatives)


@each
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_gives_a_finite_scalar_with_a_finite_gradient(name: str, batch: int) -> None:
    z, mask = draw(batch)
    z.requires_grad_()
    loss = make(name)(cosine_similarity(*z), mask)
    assert loss.shape == ()
    assert loss.isfinite()
    loss.backward()
    assert z.grad.isfinite().all()
    assert batch == 1 or z.grad.abs().sum() > 0


@each
def test_nothing_to_compare_with_is_zero(name: str) -> None:
    z, _ = draw(5)
    z.requires_grad_()
    nothing = torch.zeros(10, 10, dtype=torch.bool)
    loss = make(name)(cosine_similarity(*z), Mask(nothing, others(10, z.device)))
    loss.backward()
    assert loss.item() == 0
    assert (z.grad == 0).all()


@each
def test_looks_at_positives_and_negatives_only(name: str) -> None:
    z, mask = draw(6)
    similarity = cosine_similarity(*z).requires_grad_()
    make(name)(similarity, mask).backward()
    positives = ~others(12, z.device) & ~torch.eye(12, dtype=torch.bool)
    assert (similarity.grad[~mask.negatives & ~positives] == 0).all()
    # And skips the anchor that has none.
    assert (similarity.grad[0] == 0).all()


@each
def test_pulls_the_positive_and_pushes_negatives(name: str) -> None:
    z, mask = draw(6)
    similarity = cosine_similarity(*z).requires_grad_()
    make(name)(similarity, mask).backward()
    positives = ~others(12, z.device) & ~torch.eye(12, dtype=torch.bool)
    assert similarity.grad[positives].sum() < 0 < similarity.grad[mask.negatives].sum()


@each
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_weights_and_attracted_positives_keep_it_finite(name: str, batch: int) -> None:
    z, mask = draw(batch)
    z.requires_grad_()
    # A weight of 0 for every negative of an anchor, too.
    weights = torch.linspace(0, 1, 2 * batch)[:, None].expand(-1, 2 * batch)
    attracting = dataclasses.replace(mask, weights=weights, positives=mask.eliminated)
    loss = make(name)(cosine_similarity(*z), attracting)
    assert loss.isfinite()
    loss.backward()
    assert z.grad.isfinite().all()


@each
def test_the_order_of_samples_does_not_matter(name: str) -> None:
    z, mask = draw(6)
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    rows = torch.cat([order, order + 6])
    moved = Mask(mask.negatives[rows][:, rows], mask.eliminated[rows][:, rows])
    losses = [make(name)(cosine_similarity(*z), mask), make(name)(cosine_similarity(*z[:, order]), moved)]
    torch.testing.assert_close(losses[0], losses[1])


@each
def test_the_input_is_left_as_it_was(name: str) -> None:
    z, mask = draw(6)
    similarity = cosine_similarity(*z)
    before = similarity.clone(), mask.negatives.clone(), mask.eliminated.clone()
    first, second = (make(name)(similarity, mask) for _ in range(2))
    assert torch.equal(first, second)
    for value, was in zip((similarity, mask.negatives, mask.eliminated), before, strict=True):
        assert torch.equal(value, was)


@each
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_work(name: str, dtype: torch.dtype) -> None:
    z, mask = draw(6)
    single = make(name)(cosine_similarity(*z), mask)
    other = make(name)(cosine_similarity(*z.to(dtype)), mask)
    assert other.isfinite()
    torch.testing.assert_close(other.float(), single, rtol=0.2, atol=0.2)
