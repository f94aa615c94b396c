"""What a file says about an array it holds, and the checks of that claim before anything is read."""

from __future__ import annotations

import logging
import math
import mmap
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsicl_core.errors import SceneError, UserError

# Arrays up to this size are read into memory, larger ones are mapped: from the file, or from a scratch file.
MAPPED_ABOVE_BYTES = 256 * 2**20
# What a library can only read as a whole: the largest array it may be asked for.
MOST_WHOLE_BYTES = 4 * 2**30
# No lossless compression that these formats use shrinks even zeros by more; a header that claims more lies.
_MOST_COMPRESSION = 5000
# Beyond this size an array must be compressed like an image, not like a bomb.
_ANY_COMPRESSION_BYTES = 64 * 2**20
_IMAGE_COMPRESSION = 100


@dataclass(frozen=True)
class StoredArray:
    """One array of a file, known by its header alone.

    Attributes:
        key: its name in the file; the stem of the file where the format has no names.
        shape: its shape as ``read`` returns it.
        dtype_kind: NumPy's letter for its kind of values, e.g. ``"u"``; ``"O"`` for what is not numbers.
        read: reads it, or maps it where it is large.
        wavelengths_nm: (bands,) centre wavelengths in nm where the file tells them.
        band_axis: the axis of the bands where the format itself says so.
        id_names: names of the class ids 0, 1, ... where the file tells them.
        files: the files that it lies in.
    """

    key: str
    shape: tuple[int, ...]
    dtype_kind: str
    read: Callable[[], NDArray[np.generic]]
    wavelengths_nm: tuple[float, ...] | None = None
    band_axis: int | None = None
    id_names: tuple[str, ...] | None = None
    files: tuple[Path, ...] = ()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a library raises over a damaged file into one line that names the file."""
    # A library's remarks on a file are of no use beside the error or the array that follows.
    logger = logging.getLogger("tifffile")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UserError:
        raise
    except Exception as error:
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise SceneError(f"{path}: cannot be read ({cause}): the file is damaged or not what its name says") from error
    finally:
        logger.disabled = was_disabled


def check_claim(path: Path, key: str, shape: tuple[int, ...], item_bytes: int, available: int) -> int:
    """Return the bytes of an array after comparing them with what the file can hold.

    Raises:
        SceneError: the header claims a negative side, or more than is there.
    """
    n_bytes = math.prod(shape) * item_bytes
    if any(side < 0 for side in shape) or n_bytes > available:
        raise SceneError(
            f"{path}: array {key!r} claims shape {tuple(shape)}, {n_bytes} bytes, the file can hold {available} at "
            "most: it is truncated or its header is wrong; get it again"
        )
    return n_bytes


def unpacked_bytes(packed: int) -> int:
    """Return the most bytes that ``packed`` bytes of a compressed image can hold."""
    return max(min(packed * _MOST_COMPRESSION, _ANY_COMPRESSION_BYTES), packed * _IMAGE_COMPRESSION)


def room_for(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Return an array of any content to be filled; a large one lies in a scratch file that goes with it.

    Raises:
        SceneError: the folder of temporary files has not room for it.
    """
    n_bytes = math.prod(shape) * dtype.itemsize
    if n_bytes <= MAPPED_ABOVE_BYTES:
        return np.empty(shape, dtype)
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(prefix="hsicl-", dir=folder) as file:
            # A full disk is an error here, in the mapped array it would be a crash.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            else:
                file.truncate(n_bytes)
            mapped: NDArray[np.generic] = np.memmap(file, dtype=dtype, mode="r+", shape=shape)
            if isinstance(mapped.base, mmap.mmap) and hasattr(mapped.base, "madvise"):
                # It may be filled in any order: nothing around a piece is worth reading.
                mapped.base.madvise(mmap.MADV_RANDOM)
    except OSError as error:
        raise SceneError(
            f"scratch space: {n_bytes} bytes are needed, {folder} has {shutil.disk_usage(folder).free} free "
            f"({error.strerror or error}): set TMPDIR to a folder with more room"
        ) from error
    return mapped
