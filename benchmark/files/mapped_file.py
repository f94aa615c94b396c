"""MappedFile: an array that lies in a file, small enough to be sent where the array is not."""

from __future__ import annotations

import mmap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsicl_core.errors import SceneNotFoundError
from hsicl_core.rows import resident_limit


@dataclass(frozen=True)
class MappedFile:
    """Where an array lies that a process maps instead of reading it.

    Attributes:
        path: absolute.
        dtype: NumPy's text for it, with the byte order.
        shape: of the array, in C order.
        offset: bytes before it.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @classmethod
    def of(cls, array: NDArray[np.generic]) -> MappedFile | None:
        """Return where an array lies that is larger than memory should hold; None for any other, or for a view."""
        if not (isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.flags.c_contiguous):
            return None
        # A scratch file has no name by which another process could open it.
        if array.filename is None or array.nbytes <= resident_limit():
            return None
        return cls(str(array.filename), array.dtype.str, array.shape, array.offset)

    def open(self) -> NDArray[np.generic]:
        """Return the array, read-only.

        Raises:
            SceneNotFoundError: there is no such file on this machine.
        """
        try:
            return np.memmap(self.path, self.dtype, mode="r", offset=self.offset, shape=self.shape)
        except OSError as error:
            raise SceneNotFoundError(
                f"no file {self.path} on this machine ({error.strerror}): a scene larger than memory is not sent to "
                "other nodes; put its file at the same path there, or raise HSICL_RESIDENT_MIB"
            ) from error
