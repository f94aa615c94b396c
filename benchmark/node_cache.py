"""What the processes of one machine share through files: a folder, whole files in it, results computed once.

Whoever runs workers beside each other names a folder with ``share_in``; without one, every process computes for itself.
The numbers are the same either way. What a process takes from the folder, another one has computed: its own ``fit_s``
holds the reading, and the waiting where both want it at once.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from benchmark import provenance
from benchmark.trial import BENCHMARK_VERSION, canonical_json

# What the results in the folder may take; the ones unused for longest go first.
_MOST_BYTES = 2**30
_SUFFIX = ".tensors"

_folder: Path | None = None


def shared_folder() -> Path:
    """Return the user's folder for shared copies on this machine, in the folder for temporary files."""
    return Path(tempfile.gettempdir()) / f"hsicl-scenes-{os.getuid()}"


def share_in(folder: Path | None) -> None:
    """Let this process share with others that are given the same folder; None ends it."""
    global _folder
    _folder = folder


def forget(folder: Path) -> None:
    """Remove what is shared. Processes that have mapped a file keep it."""
    shutil.rmtree(folder, ignore_errors=True)


def folder_in_use() -> Path | None:
    """Return the folder named to ``share_in``, made if it is not there; None without one that this user can have."""
    if _folder is None:
        return None
    try:
        _folder.mkdir(mode=0o700, exist_ok=True)
        # What another user could write there is not trusted.
        return _folder if _folder.stat().st_uid == os.getuid() else None
    except OSError:
        return None


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Give ``path`` what ``write`` writes, whole or not at all, whoever else writes it.

    Raises:
        OSError: no room, or no right to it.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            # A power cut must not leave the name of a file of zeros.
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def computed_once(key: Hashable, compute: Callable[[], Sequence[Tensor]], device: torch.device) -> tuple[Tensor, ...]:
    """Return what ``compute`` gives, computed by one of the processes that share a folder and read by the others.

    Who needs it while another computes it waits. Where the folder has no room, cannot be used or knows no locks, each
    computes for itself.

    Args:
        key: what JSON can hold and the result depends on, without versions and the code of these packages.
        compute: gives tensors on ``device``, of types that NumPy has. What it raises, this raises.
        device: where the tensors are wanted.

    Returns:
        Tensors of this process's own: what it writes to them no other sees.
    """
    folder = folder_in_use()
    if folder is None:
        return tuple(compute())
    path = folder / f"{_digest(key, device)}{_SUFFIX}"
    with _alone_with(path):
        found = _read(path)
        if found is None:
            made = tuple(compute())
            # No room for it: the others compute for themselves.
            with contextlib.suppress(OSError):
                _write(path, made)
            return made
    return tuple(tensor.to(device) for tensor in found)


def _digest(key: Hashable, device: torch.device) -> str:
    everything = [BENCHMARK_VERSION, _code(), provenance.versions(), device.type, provenance.device_name(device), key]
    return hashlib.sha256(canonical_json(everything).encode()).hexdigest()


@functools.cache
def _code() -> str:
    """Return a digest of the code that computes: a folder left behind must not answer for code that has changed."""
    rooms = [Path(__file__).parent, Path(__file__).parent.parent / "hsicl_core"]
    return digest_of_files(sorted(path for room in rooms for path in room.rglob("*.py")))


def digest_of_files(paths: Sequence[Path]) -> str:
    """Return SHA-256 over the contents of files."""
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()


@contextlib.contextmanager
def _alone_with(path: Path) -> Iterator[None]:
    """Hold a lock beside ``path`` where the file system has locks. It goes with the process, however that ends."""
    handle = None
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _read(path: Path) -> list[Tensor] | None:
    """Return the tensors of a file, None where it is not there or not what was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if data[:32] != hashlib.sha256(data[32:]).digest():
        return None
    with contextlib.suppress(OSError):
        # Used now: see ``_make_room``.
        os.utime(path)
    stream = io.BytesIO(data[32:])
    found = []
    while stream.tell() < len(data) - 32:
        found.append(torch.from_numpy(np.load(stream, allow_pickle=False)))
    return found


def _write(path: Path, tensors: Sequence[Tensor]) -> None:
    stream = io.BytesIO()
    for tensor in tensors:
        np.save(stream, tensor.cpu().numpy(), allow_pickle=False)
    data = stream.getvalue()
    _make_room(path.parent, len(data))
    write_whole(path, lambda file: file.write(hashlib.sha256(data).digest() + data))


def _make_room(folder: Path, n_bytes: int) -> None:
    """Remove the results unused for longest until ``n_bytes`` more are within the limit."""
    kept = sorted(((file.stat(), file) for file in folder.glob(f"*{_SUFFIX}")), key=lambda each: each[0].st_mtime_ns)
    excess = sum(status.st_size for status, _ in kept) + n_bytes - _MOST_BYTES
    for status, file in kept:
        if excess <= 0:
            break
        file.unlink(missing_ok=True)
        excess -= status.st_size
