"""Which candidates of a row stand at which ranks, and draws from a row: what the miners are made of."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Of the rows that one thread looks at: they stay in its cache while they are sorted and compared.
_BLOCK_BYTES = 2**19


def take_ranks(
    scores: Tensor, candidates: Tensor, count: Tensor, begin: Tensor, end: Tensor, tail: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the candidates at ranks [begin, end) and at ranks [tail, count) of each row, as two masks.

    Sorting values and comparing with the boundaries is several times faster than sorting indices; where equal
    similarities straddle a boundary the counts do not come out, and the rows are ranked exactly. To look whether they
    do waits for the device; where that is not the host, the rows are ranked exactly at once.

    Args:
        scores: (rows, columns) float, minus infinity where there is no candidate.
        candidates: (rows, columns) bool.
        count: (rows,) int64, candidates of each row.
        begin: (rows,) int64, as are ``end`` and ``tail``.
        end: at most ``count``.
        tail: at most ``count``.
    """
    if not _is_for_numpy(scores):
        return _take_exactly(scores, count, begin, end, tail)
    n_wanted = int((end - begin).clamp(min=0).sum()), int((count - tail).clamp(min=0).sum())
    upper, lower = torch.empty_like(candidates), torch.empty_like(candidates)
    arrays = [tensor.numpy() for tensor in (scores, candidates, count, begin, end, tail, upper, lower)]
    over_rows(_compare_with_boundaries, *arrays)
    # A tie can only add to a row, so that the sums are right where each row is.
    if (np.count_nonzero(arrays[-2]), np.count_nonzero(arrays[-1])) == n_wanted:
        return upper, lower
    tied = (n_true(upper) != (end - begin).clamp(min=0)) | (n_true(lower) != (count - tail).clamp(min=0))
    exact = _take_exactly(*(tensor[tied] for tensor in (scores, count, begin, end, tail)))
    upper[tied], lower[tied] = exact
    return upper, lower


def _is_for_numpy(scores: Tensor) -> bool:
    return scores.device.type == "cpu" and scores.dtype in (torch.float32, torch.float64)


def over_rows(work: Callable[..., None], *arrays: NDArray[Any]) -> None:
    """Call ``work`` with blocks of rows of the arrays, which stay in the cache, in as many threads as torch has."""
    n_rows = len(arrays[0])
    n_block = max(1, _BLOCK_BYTES // max(1, arrays[0][:1].nbytes))
    blocks = [slice(top, top + n_block) for top in range(0, n_rows, n_block)]
    n_threads = min(torch.get_num_threads(), len(blocks))
    if n_threads < 2:
        for rows in blocks:
            work(*(array[rows] for array in arrays))
        return
    # NumPy lets other threads run while it sorts and compares.
    list(_pool(n_threads).map(lambda rows: work(*(array[rows] for array in arrays)), blocks))


@functools.lru_cache(maxsize=4)
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="hsicl-rows")


def _compare_with_boundaries(
    scores: NDArray[Any], candidates: NDArray[Any], count: NDArray[Any], begin: NDArray[Any], end: NDArray[Any],
    tail: NDArray[Any], upper: NDArray[Any], lower: NDArray[Any],
) -> None:  # fmt: skip
    """Write into ``upper`` and ``lower`` what lies between the values at the ranks, of some rows."""
    # NumPy's vectorised sort took a sixth of torch.sort's time for 1,024 x 1,024 on AVX-512.
    ascending = np.sort(scores, axis=1)
    last_column = scores.shape[1] - 1

    def value_at(rank: NDArray[Any]) -> NDArray[Any]:
        # Ranks outside the row are clamped; what they would give is emptied below.
        return np.take_along_axis(ascending, np.clip(last_column - rank, 0, last_column)[:, None], axis=1)

    np.greater_equal(scores, value_at(end - 1), out=upper)
    if begin.any():
        upper &= scores <= value_at(begin)
    upper &= candidates
    upper[begin >= end] = False
    np.less_equal(scores, value_at(tail), out=lower)
    lower &= candidates
    lower[tail >= count] = False


def _take_exactly(scores: Tensor, count: Tensor, begin: Tensor, end: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
    """Return what ``take_ranks`` does, equal scores in the order of their columns."""
    order = scores.sort(dim=1, descending=True, stable=True).indices
    rank = torch.empty_like(order)
    rank.scatter_(1, order, torch.arange(scores.shape[1], device=scores.device).expand_as(order))
    upper = (rank >= begin[:, None]) & (rank < end[:, None])
    lower = (rank >= tail[:, None]) & (rank < count[:, None])
    return upper, lower


def filled(scores: Tensor, candidates: Tensor) -> Tensor:
    """Return ``scores`` (rows, columns) with minus infinity where there is no candidate."""
    if not _is_for_numpy(scores):
        return scores.masked_fill(~candidates, -math.inf)
    # Few are none: to write these takes a third of the time of choosing for every entry.
    out = scores.clone(memory_format=torch.contiguous_format)
    over_rows(_empty_where_none, out.numpy(), candidates.numpy())
    return out


def _empty_where_none(scores: NDArray[Any], candidates: NDArray[Any]) -> None:
    scores.reshape(-1)[np.flatnonzero(~candidates)] = -math.inf


def n_true(mask: Tensor) -> Tensor:
    """Return (rows,) int64, how many of each row are true."""
    if mask.device.type != "cpu" or mask.shape[1] % 8 or not mask.is_contiguous():
        return mask.sum(dim=1)
    # Eight at a time, in the bytes of one number: 255 of these at most, or a byte would run over.
    counts = [words.sum(dim=1) for words in mask.view(torch.int64).split(255, dim=1)]
    return torch.stack(counts, dim=1).view(torch.uint8).sum(dim=1)


def is_any_true(mask: Tensor) -> Tensor:
    """Return (rows,) bool, whether any of a row is true; ``Tensor.any`` takes fifty times as long on the CPU."""
    return mask.view(torch.uint8).amax(dim=1) > 0 if mask.shape[1] else mask.any(dim=1)


def differ(values: Tensor, chosen: Tensor | int) -> Tensor:
    """Return (chosen, columns) bool: whether some integers differ from each of ``values`` (columns,).

    Args:
        values: (columns,) int64.
        chosen: places of those integers among the values, or the number of the first ones.
    """
    rows = slice(chosen) if isinstance(chosen, int) else chosen
    if values.device.type != "cpu":
        return values[rows][:, None] != values
    numbers = np.unique(values.numpy(), return_inverse=True)[1]
    if numbers.max(initial=0) < 2**15:
        # 16 bits are compared several times faster.
        numbers = numbers.astype(np.int16)
    return torch.from_numpy(numbers[rows if isinstance(rows, slice) else rows.numpy()][:, None] != numbers)


def draw(pool: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Return ``size`` uniform draws without replacement from each row of ``pool`` (rows, columns) bool.

    A row that holds fewer gives all it holds.
    """
    keys = torch.rand(pool.shape, generator=generator, device=pool.device).masked_fill(~pool, -1.0)
    drawn = torch.zeros_like(pool)
    drawn.scatter_(1, keys.topk(min(size, pool.shape[1]), dim=1).indices, True)
    return drawn & pool
