"""What the miners and losses are made of, row by row, against plain loops and against what it is faster than."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hsicl_core.losses._log_sums import positive_and_negatives
from hsicl_core.losses._terms import log_weights, positive_of
from hsicl_core.miners import _ranks
from hsicl_core.miners.base import Mask


def masks(seed: int, rows: int, columns: int, share: float) -> Tensor:
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed)) < share


@given(
    seed=st.integers(0, 99), rows=st.integers(1, 9), columns=st.integers(1, 70), share=st.floats(0, 1),
    n_levels=st.sampled_from([2, 5, 10**6]), n_threads=st.sampled_from([1, 2]),
)  # fmt: skip
@settings(deadline=None)
def test_ranks_are_those_of_a_plain_sort(
    seed: int, rows: int, columns: int, share: float, n_levels: int, n_threads: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    candidates = masks(seed, rows, columns, share)
    levels = torch.randint(n_levels, (rows, columns), generator=generator).float()
    count = candidates.sum(dim=1)
    ends = torch.randint(columns + 1, (3, rows), generator=generator)
    begin, end, tail = torch.minimum(ends, count)
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_ranks, "_BLOCK_BYTES", 4 * columns * 2)
        torch.set_num_threads(n_threads)
        try:
            upper, lower = _ranks.take_ranks(_ranks.filled(levels, candidates), candidates, count, begin, end, tail)
        finally:
            torch.set_num_threads(before)
    for row in range(rows):
        order = sorted((j for j in range(columns) if candidates[row, j]), key=lambda j: (-levels[row, j].item(), j))
        assert set(np.flatnonzero(upper[row])) == set(order[begin[row] : end[row]])
        assert set(np.flatnonzero(lower[row])) == set(order[tail[row] :])


@given(seed=st.integers(0, 99), rows=st.integers(1, 5), columns=st.sampled_from([1, 7, 8, 16, 2048, 4096, 4100]))
@settings(deadline=None, max_examples=30)
def test_counts_of_a_row(seed: int, rows: int, columns: int) -> None:
    for mask in (masks(seed, rows, columns, 0.5), torch.ones(rows, columns, dtype=torch.bool)):
        assert _ranks.n_true(mask).tolist() == np.asarray(mask).sum(axis=1).tolist()
        assert _ranks.n_true(mask[:, ::2]).tolist() == np.asarray(mask)[:, ::2].sum(axis=1).tolist()
        assert _ranks.is_any_true(mask).tolist() == np.asarray(mask).any(axis=1).tolist()


@pytest.mark.parametrize("values", [[3, 3, -1, 2**40, -(2**40), 3], list(range(40000)), [0]])
def test_which_numbers_differ(values: list[int]) -> None:
    n_rows = min(4, len(values))
    found = _ranks.differ(torch.tensor(values), n_rows)
    assert found.shape == (n_rows, len(values))
    assert all(found[i].tolist() == [values[i] != other for other in values] for i in range(n_rows))


def negatives_of(kind: str, batch: int, seed: int) -> Tensor:
    """(2 * batch, 2 * batch + 6) masks without the anchor's own sample."""
    rows = 2 * batch
    generator = torch.Generator().manual_seed(seed)
    index = torch.arange(rows)
    own = (torch.arange(rows + 6)[None] % batch == index[:, None] % batch) & (torch.arange(rows + 6) < rows)
    keys = torch.rand(rows, rows + 6, generator=generator).masked_fill(own, -1)
    few = torch.zeros_like(own).scatter_(1, keys.topk(3, dim=1).indices, True)
    return {
        "few": few,
        "uneven": few & (torch.rand(rows, rows + 6, generator=generator) < 0.7),
        # The first row's negatives are the last of another's.
        "equal_sum_but_uneven": torch.cat([torch.zeros_like(few[:1]), few[1:2] | few[2:3] | few[3:4], few[2:]]) & ~own,
        "all": ~own,
        "none_in_a_row": few & (index != 1)[:, None],
        "none": torch.zeros_like(own),
    }[kind]  # fmt: skip


@pytest.mark.parametrize("kind", ["few", "uneven", "equal_sum_but_uneven", "all", "none_in_a_row", "none"])
@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_sums_and_their_gradients_are_bit_for_bit_the_plain_ones(
    kind: str, temperature: float, dtype: torch.dtype
) -> None:
    batch = 9
    negatives = negatives_of(kind, batch, seed=1)
    similarity = torch.rand(negatives.shape, generator=torch.Generator().manual_seed(2), dtype=dtype) * 2 - 1
    weights = torch.rand(2, 2 * batch, generator=torch.Generator().manual_seed(3), dtype=dtype)
    # A row without negatives has no part in a loss.
    weights = weights * negatives.any(dim=1)

    def of_mine(s: Tensor) -> Any:
        return positive_and_negatives(s, negatives, temperature)

    def plain(s: Tensor) -> Any:
        logits = s / temperature
        weights = log_weights(Mask(negatives, negatives), logits)
        return positive_of(logits), (logits + weights).logsumexp(dim=1)

    found = []
    for compute in (of_mine, plain):
        leaf = similarity.clone().requires_grad_()
        positive, negative = compute(leaf)
        (weights[0] @ positive + weights[1] @ negative).backward()
        assert leaf.grad is not None
        found.append((positive.detach(), negative.detach(), leaf.grad))
    for mine, other in zip(*found, strict=True):
        assert torch.equal(mine, other)
    leaf = similarity.double().requires_grad_()
    assert torch.autograd.gradcheck(of_mine, leaf)
