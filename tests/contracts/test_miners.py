"""What every registered miner must do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hsicl_core.miners.base import Mask, NegativeMiner, others
from hsicl_core.registries import MINERS

each = pytest.mark.parametrize("name", MINERS.names())
BATCHES = pytest.mark.parametrize("batch", [1, 2, 9])


def make(name: str) -> NegativeMiner:
    return MINERS.get(name)()


def draw(batch: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    half = torch.rand(2 * batch, 2 * batch, generator=generator)
    return (half + half.T) / 2, torch.randint(-1, 3, (batch,), generator=generator)


def mine(name: str, similarity: Tensor, labels: Tensor) -> Mask:
    return make(name).mine(similarity, labels, torch.Generator().manual_seed(5))


@each
@BATCHES
def test_gives_masks_that_never_hold_the_anchor_or_its_positive(name: str, batch: int) -> None:
    mask = mine(name, *draw(batch))
    allowed = others(2 * batch, torch.device("cpu"))
    for part in (mask.negatives, mask.eliminated, mask.hard, mask.positives):
        if part is not None:
            assert part.dtype == torch.bool
            assert part.shape == (2 * batch, 2 * batch)
            assert not (part & ~allowed).any()
    assert not (mask.negatives & mask.eliminated).any()
    assert mask.hard is None or not (mask.hard & ~mask.negatives).any()
    assert mask.positives is None or not (mask.positives & mask.negatives).any()
    assert mask.weights is None or ((mask.weights >= 0) & (mask.weights <= 1)).all()


@each
@BATCHES
def test_no_negative_shares_the_pseudolabel_if_the_miner_says_so(name: str, batch: int) -> None:
    similarity, labels = draw(batch)
    negatives = mine(name, similarity, labels).negatives
    both = labels.repeat(2)
    shared = negatives & (both[:, None] == both) & (both >= 0)
    assert not (MINERS.get(name).obeys_pseudo_labels and shared.any())


@each
@pytest.mark.parametrize("label", [-1, 0])
@BATCHES
def test_one_pseudolabel_for_all_is_no_error(name: str, label: int, batch: int) -> None:
    similarity, labels = draw(batch)
    mask = mine(name, similarity, torch.full_like(labels, label))
    assert mask.negatives.shape == similarity.shape
    if label == -1:
        # The unassigned are never eliminated.
        assert not mask.eliminated.any()


@each
def test_all_similarities_equal_is_no_error(name: str) -> None:
    _, labels = draw(9)
    for value in (0.0, 1.0, -1.0):
        assert mine(name, torch.full((18, 18), value), labels).negatives.any()


@each
def test_the_same_draws_give_the_same_mask(name: str) -> None:
    first, second = (mine(name, *draw(9)) for _ in range(2))
    assert torch.equal(first.negatives, second.negatives)
    assert torch.equal(first.eliminated, second.eliminated)


@each
def test_the_input_is_left_as_it_was_and_no_gradient_flows(name: str) -> None:
    similarity, labels = draw(9)
    similarity.requires_grad_()
    before = similarity.detach().clone(), labels.clone()
    mask = mine(name, similarity, labels)
    assert not mask.negatives.requires_grad
    assert torch.equal(similarity.detach(), before[0])
    assert torch.equal(labels, before[1])


@each
def test_the_names_of_pseudolabels_do_not_matter(name: str) -> None:
    similarity, labels = draw(9)
    renamed = torch.where(labels >= 0, 1000 - 7 * labels, -1)
    assert torch.equal(mine(name, similarity, labels).negatives, mine(name, similarity, renamed).negatives)
