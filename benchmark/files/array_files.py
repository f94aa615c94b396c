"""Arrays out of files: MATLAB, NumPy, ENVI and GeoTIFF, each checked against its size before anything is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from benchmark.files.envi_files import DATA_SUFFIXES, header_beside, list_envi
from benchmark.files.matlab_files import list_mat
from benchmark.files.numpy_files import list_npy, list_npz
from benchmark.files.stored_array import StoredArray, reading
from benchmark.files.tiff_files import list_tiff
from hsicl_core.errors import SceneError, SceneNotFoundError

__all__ = ["StoredArray", "find_header", "list_arrays", "reading", "split_key"]


def split_key(source: str | Path) -> tuple[Path, str | None]:
    """Return path and key of ``FILE`` or ``FILE:KEY``. A file that exists under the full name has no key."""
    text = str(source)
    if ":" in text and not os.path.exists(text):
        path, key = text.rsplit(":", 1)
        if path and key and Path(path).suffix:
            return Path(path).expanduser(), key
    return Path(text).expanduser(), None


def find_header(path: Path) -> Path:
    """Return the file that describes ``path``: itself, or the ``.hdr`` beside the data of an ENVI file."""
    if path.suffix.lower() in _LISTERS or not os.path.isfile(path):
        return path
    return header_beside(path) or path


def list_arrays(path: Path) -> list[StoredArray]:
    """Return what arrays a file holds, from its headers.

    Args:
        path: ``.mat`` (v4 to v7.3), ``.npy``, ``.npz``, ENVI (the ``.hdr`` or the data file beside it), ``.tif`` or
            ``.tiff``.

    Raises:
        SceneNotFoundError: no such file.
        SceneError: an unknown format, or a file that is damaged or claims more than it holds.
    """
    if not os.path.isfile(path):  # unlike Path.is_file, False also for names that no file can have
        if os.path.exists(path):
            raise SceneError(f"{path} is not a regular file: give the file itself")
        raise SceneNotFoundError(f"no file {path}: check the path, relative to the folder you are in ({Path.cwd()})")
    path = find_header(path)
    lister = _LISTERS.get(path.suffix.lower())
    if lister is None:
        raise SceneError(
            f"{path}: unknown format {path.suffix!r}: give one of {', '.join(sorted(_LISTERS))}, or the data file of "
            f"an ENVI header beside it ({' '.join(DATA_SUFFIXES)})"
        )
    with reading(path):
        return lister(path)


_LISTERS: dict[str, Callable[[Path], list[StoredArray]]] = {
    ".mat": list_mat,
    ".npy": list_npy,
    ".npz": list_npz,
    ".hdr": list_envi,
    ".tif": list_tiff,
    ".tiff": list_tiff,
}
