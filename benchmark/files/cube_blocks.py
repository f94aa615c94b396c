"""Cubes that may be larger than memory: passed over in the order in which they are stored, and summed up."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 64 * 2**20
# A median of more values than this is taken from evenly spaced pixels.
_MEDIAN_VALUES = 2**22
# What Linux is willing to read at one request, whatever the device.
_READ_AHEAD_BYTES = 128 * 2**10

# Told of long work: bytes done so far and in all.
Tell = Callable[[int, int], object]


def blocks(cube: NDArray[np.generic], tell: Tell | None = None) -> Iterator[tuple[slice, slice]]:
    """Yield slices of rows and columns that cover a cube (height, width, bands), about 64 MiB each.

    The blocks are whole rows, or whole columns where the pixels of a column lie closer together than those of a row:
    otherwise a file that is stored column by column would be read once for every block.

    Args:
        cube: the cube, in memory or mapped.
        tell: called when a block is done with.
    """
    height, width = cube.shape[:2]
    by_rows = _goes_by_rows(cube)
    n_lines = height if by_rows else width
    step = max(1, BLOCK_BYTES * n_lines // max(1, cube.nbytes))
    mapping = _mapping(cube)
    for first in range(0, n_lines, step):
        lines = slice(first, min(first + step, n_lines))
        part = (lines, slice(0, width)) if by_rows else (slice(0, height), lines)
        if mapping is not None:
            _announce(cube[part], mapping)
        yield part
        if tell is not None:
            tell(cube.nbytes * lines.stop // n_lines, cube.nbytes)
    if mapping is not None:
        mapping.madvise(mmap.MADV_NORMAL)


def _goes_by_rows(cube: NDArray[np.generic]) -> bool:
    return abs(cube.strides[0]) >= abs(cube.strides[1])


def _mapping(cube: NDArray[np.generic]) -> mmap.mmap | None:
    """Return the mapped file that a cube lies in piece by piece, None where it is in memory or in one piece."""
    base: object = cube
    while isinstance(base, np.ndarray):
        base = base.base
    is_piecewise = max(abs(stride) for stride in cube.strides) != max(map(abs, cube.strides[:2]))
    return base if isinstance(base, mmap.mmap) and is_piecewise and hasattr(base, "madvise") else None


def _announce(block: NDArray[np.generic], mapping: mmap.mmap) -> None:
    """Have the pieces of a block read, and no more than them.

    A fault in the middle of a file makes the system read megabytes around it, most of which it drops again before
    their turn comes if memory is short: reading band by band would read a file twenty times.
    """
    mapping.madvise(mmap.MADV_RANDOM)
    start = np.frombuffer(mapping, dtype=np.uint8).ctypes.data
    for piece in np.moveaxis(block, int(np.argmax(np.abs(block.strides))), 0):
        first = piece.ctypes.data - start
        last = first + sum((n - 1) * stride for n, stride in zip(piece.shape, piece.strides, strict=True))
        for place in range(first - first % mmap.PAGESIZE, last + 1, _READ_AHEAD_BYTES):
            mapping.madvise(mmap.MADV_WILLNEED, place, min(_READ_AHEAD_BYTES, last + 1 - place))


def write_npy(path: Path, cube: NDArray[np.generic], tell: Tell | None = None) -> None:
    """Write a cube as ``.npy`` in order C and this machine's byte order. Cost: one pass over it, 64 MiB of memory.

    Raises:
        OSError: the disk has not room for it.
    """
    dtype = cube.dtype.newbyteorder("=")
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": cube.shape}
    _, width, bands = cube.shape
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        for rows, columns in blocks(cube, tell):
            block = np.ascontiguousarray(cube[rows, columns], dtype=dtype)
            # Whole rows lie one behind the other.
            for row, piece in [(rows.start, block)] if block.shape[1] == width else enumerate(block):
                file.seek(start + (row * width + columns.start) * bands * dtype.itemsize)
                file.write(piece.data)


@dataclass(frozen=True)
class CubeStatistics:
    """What a cube's values are like.

    Attributes:
        low: smallest value.
        median: middle value.
        high: largest value.
        is_median_exact: False where the median is that of evenly spaced pixels.
        constant_bands: bands, counted from 0, with one value everywhere.
    """

    low: float
    median: float
    high: float
    is_median_exact: bool
    constant_bands: tuple[int, ...]


def cube_statistics(cube: NDArray[np.generic], tell: Tell | None = None) -> CubeStatistics:
    """Return the statistics of a finite cube (height, width, bands). Cost: one pass over it."""
    step = int(np.ceil(np.sqrt(max(1.0, cube.size / _MEDIAN_VALUES))))
    low, high = cube[0, 0].copy(), cube[0, 0].copy()
    sample = []
    for rows, columns in blocks(cube, tell):
        # A copy: what is mapped may be gone from memory before it is looked at again.
        block = np.ascontiguousarray(cube[rows, columns])
        # Pixels whose row and column are multiples of the step, wherever the block begins.
        sample.append(block[-rows.start % step :: step, -columns.start % step :: step].reshape(-1))
        np.minimum(low, block.min(axis=(0, 1)), out=low)
        np.maximum(high, block.max(axis=(0, 1)), out=high)
    return CubeStatistics(
        low=float(low.min()),
        median=float(np.median(np.concatenate(sample).astype(np.float64))),
        high=float(high.max()),
        is_median_exact=step == 1,
        constant_bands=tuple(np.flatnonzero(low == high).tolist()),
    )
