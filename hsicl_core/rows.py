"""Images that may be larger than memory: read in blocks of rows, and kept in scratch files once computed."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hsicl_core.errors import InvalidValueError

# What is computed from an image at once. Every scene of the released results is one block: its numbers stay what they
# are, bit for bit.
_BLOCK_BYTES = 64 * 2**20


class Rows(Protocol):
    """An image (height, width, channels) that gives blocks of rows as tensors. A tensor is one."""

    @property
    def shape(self) -> torch.Size:
        """(height, width, channels)."""

    @property
    def device(self) -> torch.device:
        """Where the blocks are."""

    def __getitem__(self, rows: slice) -> Tensor:
        """Return some rows (n, width, channels), not to be changed in place."""


class ArrayRows:
    """Rows of an array in a file or in memory, as float32.

    Args:
        array: (height, width, channels), any real dtype, byte order and strides; read only when rows are asked for.
        device: where the blocks go.
    """

    def __init__(self, array: NDArray[np.generic], device: torch.device) -> None:
        self._array = array
        self.device = device
        self.shape = torch.Size(array.shape)

    def __getitem__(self, rows: slice) -> Tensor:
        """Return a float32 copy of some rows."""
        return torch.from_numpy(np.array(self._array[rows], dtype=np.float32)).to(self.device)


def resident_limit() -> int:
    """Return the bytes up to which one image is held in memory: ``$HSICL_RESIDENT_MIB``, else 1 GiB.

    Raises:
        InvalidValueError: the variable is not a whole number >= 1.
    """
    text = os.environ.get("HSICL_RESIDENT_MIB", "1024")
    if not text.isdecimal() or int(text) < 1:
        raise InvalidValueError(f"HSICL_RESIDENT_MIB={text!r} must be a whole number of MiB >= 1: correct or unset it")
    return int(text) * 2**20


def row_blocks(image: Rows) -> Iterator[slice]:
    """Yield slices of consecutive rows that cover the image, 64 MiB of float32 each or a single row."""
    height, width, channels = image.shape
    n_rows = max(1, _BLOCK_BYTES // (4 * width * channels))
    for top in range(0, height, n_rows):
        yield slice(top, min(top + n_rows, height))


def seen_blocks(image: Rows, pixels: Tensor) -> Iterator[Tensor]:
    """Yield the vectors (m, channels) of some pixels, block by block.

    Args:
        image: (height, width, channels).
        pixels: (n,) int64 flat indices, none twice.
    """
    _, width, channels = image.shape
    blocks = list(row_blocks(image))
    if len(blocks) > 1:
        pixels = pixels.sort().values
    for rows in blocks:
        first, last = rows.start * width, rows.stop * width
        seen = pixels
        if len(blocks) > 1:
            start, stop = torch.searchsorted(pixels, torch.tensor([first, last], device=pixels.device)).tolist()
            seen = pixels[start:stop]
        if len(seen):
            vectors = image[rows].reshape(-1, channels)
            yield vectors if len(seen) == len(vectors) and len(blocks) > 1 else vectors[seen - first]


def empty(*shape: int, device: torch.device) -> Tensor:
    """Return a float32 tensor of any content; above ``resident_limit`` on the host it lies in a scratch file.

    The file is in the folder for temporary files (``$TMPDIR``) and goes with the tensor.

    Raises:
        InvalidValueError: the folder has not room for it.
    """
    n_bytes = 4 * math.prod(shape)
    if device.type != "cpu" or n_bytes <= resident_limit():
        return torch.empty(*shape, device=device)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise InvalidValueError(
            f"scratch space: an image of {n_bytes} bytes is needed, {folder} has {free} free: set TMPDIR to a folder "
            "with more room"
        )
    handle, path = tempfile.mkstemp(prefix="hsicl-", suffix=".scratch", dir=folder)
    os.close(handle)
    try:
        mapped = torch.from_file(path, shared=True, size=math.prod(shape), dtype=torch.float32)
    finally:
        # What is mapped stays until the tensor goes.
        os.unlink(path)
    return mapped.reshape(shape)


def in_memory(image: Rows) -> Rows:
    """Return the image as a tensor where it does not exceed ``resident_limit``, else as it is."""
    return image[0 : image.shape[0]] if 4 * image.shape.numel() <= resident_limit() else image


def whole(image: Rows) -> Tensor:
    """Return the image as one tensor; a tensor is returned as it is."""
    if isinstance(image, Tensor):
        return image
    out = empty(*image.shape, device=image.device)
    for rows in row_blocks(image):
        out[rows] = image[rows]
    return out


def chosen(vectors: Tensor, pixels: Tensor) -> Tensor:
    """Return the vectors (n, dim) of some pixels (n,), sorted flat indices; all of them are not copied."""
    return vectors if len(pixels) == len(vectors) else vectors[pixels]


def pad_reflect(image: Rows, radius: int) -> Tensor:
    """Return (height + 2r, width + 2r, channels), the border mirrored without repeating the edge.

    Args:
        image: (height, width, channels).
        radius: r, below both height and width.

    Raises:
        InvalidValueError: the image is too small to be mirrored that far.
    """
    height, width, channels = image.shape
    blocks = list(row_blocks(image))
    if len(blocks) == 1:
        return mirrored_rows(image, 0, height, radius).contiguous()
    out = empty(height + 2 * radius, width + 2 * radius, channels, device=image.device)
    for rows in blocks:
        out[rows.start : rows.stop + 2 * radius] = mirrored_rows(image, rows.start, rows.stop, radius)
    return out


def mirrored_rows(image: Rows, top: int, bottom: int, radius: int) -> Tensor:
    """Return rows ``top - radius`` to ``bottom + radius`` of the image with its border mirrored.

    Args:
        image: (height, width, channels).
        top: first row.
        bottom: row after the last.
        radius: r, rows and columns to add on each side, below height and width; the edge is not repeated.

    Returns:
        (bottom - top + 2r, width + 2r, channels).

    Raises:
        InvalidValueError: the image is too small to be mirrored that far.
    """
    height, width = image.shape[:2]
    if radius >= min(height, width):
        raise InvalidValueError(
            f"patch_size={2 * radius + 1} is too large for a scene of {height} x {width} pixels: "
            f"its radius must be below both, use patch_size <= {2 * min(height, width) - 1}"
        )
    # Beyond the first row comes the second, beyond the last the one before it.
    wanted = torch.arange(top - radius, bottom + radius, device=image.device).abs()
    wanted = torch.where(wanted < height, wanted, 2 * (height - 1) - wanted)
    first, last = int(wanted.min()), int(wanted.max())
    rows = image[first : last + 1][wanted - first]
    padded = torch.nn.functional.pad(rows.permute(2, 0, 1)[None], (radius, radius, 0, 0), mode="reflect")
    return padded[0].permute(1, 2, 0)
