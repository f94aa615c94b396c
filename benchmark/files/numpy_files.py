"""NumPy's files: .npy, mapped where large, and .npz, whose members are unpacked one after the other."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from benchmark.files.stored_array import MAPPED_ABOVE_BYTES, StoredArray, check_claim, room_for, unpacked_bytes

_MOST_MEMBERS = 1000
_CHUNK_BYTES = 2**24


def list_npy(path: Path) -> list[StoredArray]:
    """Return the array of a ``.npy`` file."""
    with path.open("rb") as file:
        shape, _, dtype = _header(file)
        start = file.tell()
    n_bytes = check_claim(path, path.stem, shape, dtype.itemsize, path.stat().st_size - start)

    def read() -> NDArray[np.generic]:
        mode = "r" if n_bytes > MAPPED_ABOVE_BYTES else None
        array: NDArray[np.generic] = np.load(path, mmap_mode=mode, allow_pickle=False)  # type: ignore[arg-type]
        return array

    return [StoredArray(path.stem, shape, dtype.kind, read, files=(path,))]


def list_npz(path: Path) -> list[StoredArray]:
    """Return the arrays of a ``.npz`` archive, packed or not."""
    found = []
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > _MOST_MEMBERS:
            raise ValueError(f"it has {len(entries)} members, at most {_MOST_MEMBERS} are looked at")
        for entry in entries:
            key = entry.filename.removesuffix(".npy")
            if key == entry.filename:
                continue
            with archive.open(entry) as file:
                shape, _, dtype = _header(file)
            is_packed = entry.compress_type != zipfile.ZIP_STORED
            size = path.stat().st_size
            check_claim(path, key, shape, dtype.itemsize, min(entry.file_size, unpacked_bytes(size)))
            if not is_packed:
                check_claim(path, key, shape, dtype.itemsize, size)

            def read(name: str = entry.filename) -> NDArray[np.generic]:
                return _read_member(path, name)

            found.append(StoredArray(key, shape, dtype.kind, read, files=(path,)))
    return found


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _read_member(path: Path, name: str) -> NDArray[np.generic]:
    with zipfile.ZipFile(path) as archive, archive.open(name) as file:
        shape, is_fortran, dtype = _header(file)
        if dtype.hasobject:
            raise ValueError("it holds pickled objects")
        out = room_for(shape[::-1] if is_fortran else shape, dtype)
        target = memoryview(out.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        done = 0
        while done < len(target):
            count = file.readinto(target[done : done + _CHUNK_BYTES])  # type: ignore[attr-defined]
            if not count:
                raise ValueError(f"array {name!r} ends after {done} of {len(target)} bytes")
            done += count
        # The archive compares its checksum where a member ends.
        if file.read(1):
            raise ValueError(f"array {name!r} does not end after the {len(target)} bytes of its shape")
    return out.T if is_fortran else out
