"""MATLAB's files: v4 to v7 through SciPy, v7.3 through h5py in the chunks that the file is made of."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.files.stored_array import (
    MAPPED_ABOVE_BYTES,
    MOST_WHOLE_BYTES,
    StoredArray,
    check_claim,
    room_for,
    unpacked_bytes,
)
from hsicl_core.errors import MissingPackageError, SceneError

_NUMBERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {"single", "double", "logical"}
_COMPRESSED = 15
_PEEKED_BYTES = 4096


def list_mat(path: Path) -> list[StoredArray]:
    """Return the arrays of a ``.mat`` file of any version."""
    with path.open("rb") as file:
        head = file.read(520)
    if b"MATLAB 7.3" in head[:128] or b"\x89HDF" in head:
        return _list_hdf5(path)
    from scipy import io

    found = []
    _check_packed(path, head)
    available = unpacked_bytes(path.stat().st_size)
    for key, shape, kind in io.whosmat(path):
        # Whole numbers may be stored as single bytes whatever their type.
        n_values = check_claim(path, key, tuple(shape), 1, available)

        def read(key: str = key, kind: str = kind, n_values: int = n_values) -> NDArray[np.generic]:
            if n_values * 8 > MOST_WHOLE_BYTES:
                raise SceneError(
                    f"{path}: array {key!r} has {n_values} values, which this version of the format can only give as "
                    f"a whole, up to {MOST_WHOLE_BYTES} bytes: save it with '-v7.3'"
                )
            array = np.asarray(io.loadmat(path, variable_names=[key])[key])
            return array.astype(bool) if kind == "logical" else array

        dtype_kind = ("b" if kind == "logical" else "f") if kind in _NUMBERS else "O"
        found.append(StoredArray(key, tuple(shape), dtype_kind, read, files=(path,)))
    return found


def _check_packed(path: Path, head: bytes) -> None:
    """Raise ValueError where a compressed variable of a v5 file says that it holds more than its own dimensions.

    SciPy takes the bytes that are announced, however many, before it looks at the dimensions.
    """
    order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
    if order is None:
        return
    size, place = path.stat().st_size, 128
    with path.open("rb") as file:
        while place + 8 <= size:
            file.seek(place)
            kind, length = struct.unpack(f"{order}II", file.read(8))
            if place + 8 + length > size:
                raise ValueError("a variable is longer than the file")
            if kind == _COMPRESSED:
                packed = file.read(min(length, _PEEKED_BYTES))
                _check_variable(zlib.decompressobj().decompress(packed, _PEEKED_BYTES), order)
            place += 8 + length


def _check_variable(start: bytes, order: str) -> None:
    place = 8
    parts: list[tuple[int, bytes]] = []
    # Array flags, dimensions, name, values.
    while len(parts) < 4 and place + 8 <= len(start):
        kind, length = struct.unpack_from(f"{order}II", start, place)
        is_small = kind >> 16
        length = is_small or length
        parts.append((length, start[place + 8 : place + 8 + length]))
        place += 8 if is_small else 8 + length + -length % 8
    if len(parts) == 4:
        (_, flags), (_, dimensions), _, (n_bytes, _) = parts
        count = math.prod(struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions))
        matrix_class = struct.unpack_from(f"{order}I", flags)[0] & 0xFF
        # 6 double ... 15 uint64: others hold no plain values.
        if 6 <= matrix_class <= 15 and n_bytes > 8 * max(count, 1):
            raise ValueError(f"a variable of {count} values announces {n_bytes} bytes")


def _list_hdf5(path: Path) -> list[StoredArray]:
    try:
        import h5py
    except ImportError as error:
        raise MissingPackageError("h5py", f"reading {path} (MATLAB 7.3)") from error

    found = []
    size = path.stat().st_size
    with h5py.File(path, "r") as file:
        for key in file:
            # Links may lead anywhere, round in circles too.
            if not isinstance(file.get(key, getlink=True), h5py.HardLink):
                continue
            item = file[key]
            if not isinstance(item, h5py.Dataset) or item.is_virtual or item.external:
                continue
            # A dataset that was never written takes no room: it is zeros that nobody measured.
            available = size if item.chunks is None else unpacked_bytes(size)
            for shape in (item.shape or (), item.chunks or ()):
                check_claim(path, key, shape, item.dtype.itemsize, available)

            def read(key: str = key) -> NDArray[np.generic]:
                return _read_hdf5(path, key)

            found.append(StoredArray(key, (item.shape or ())[::-1], _kind(item), read, files=(path,)))
    return found


def _kind(item: Any) -> str:
    """Return the kind of values of a dataset: MATLAB keeps text, cells and empty arrays as numbers too."""
    matlab_class = item.attrs.get("MATLAB_class", b"")
    text = matlab_class.decode("ascii", "replace") if isinstance(matlab_class, bytes) else str(matlab_class)
    if (text and text not in _NUMBERS) or "MATLAB_empty" in item.attrs or "MATLAB_sparse" in item.attrs:
        return "O"
    return "b" if text == "logical" else item.dtype.kind


def _read_hdf5(path: Path, key: str) -> NDArray[np.generic]:
    import h5py

    with h5py.File(path, "r") as file:
        item = file[key]
        offset = item.id.get_offset()
        is_plain = item.chunks is None and offset is not None
        if is_plain and item.nbytes > MAPPED_ABOVE_BYTES:
            out: NDArray[np.generic] = np.memmap(path, dtype=item.dtype, mode="r", offset=offset, shape=item.shape)
        else:
            out = room_for(item.shape, item.dtype)
            for block in item.iter_chunks() if item.chunks else [()]:
                out[block] = item[block]
        is_logical = _kind(item) == "b"
    # MATLAB stores columns first, so HDF5 shows every array transposed.
    return out.T.astype(bool) if is_logical else out.T
