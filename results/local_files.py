"""Whole files on a local disk or NFS: a reader, a kill, a power loss find the old file or the new one, never half."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from results.errors import StoreError


def put_whole(target: Path, data: bytes | memoryview) -> None:
    """Write ``data`` under a temporary name beside ``target``, flush it to the disk and rename it. Costs two fsync.

    Raises:
        OSError: it cannot be written, e.g. the disk is full; no temporary file is left then.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as stream:
            stream.write(data)
            stream.flush()
            # The rename may reach the disk before the content does; a power loss would leave an empty file.
            os.fsync(stream.fileno())
        _replace(temporary, target, data)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    _flush_folder(target.parent)


def _replace(temporary: Path, target: Path, data: bytes | memoryview) -> None:
    try:
        os.replace(temporary, target)
    except FileNotFoundError:
        # NFS: the server renamed, its reply was lost, and the repeated request finds nothing to rename.
        if not target.is_file() or target.read_bytes() != bytes(data):
            raise


def _flush_folder(folder: Path) -> None:
    # Not every file system can flush a folder; the file itself is safe.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Hold the lock file ``lock``, made for it and removed after; a kill leaves the file, but not the lock.

    Raises:
        StoreError: another process holds it, or the folder cannot be written or knows no locks.
    """
    with contextlib.ExitStack() as held:
        is_new = not lock.exists()
        try:
            stream = held.enter_context(open(lock, "ab"))
            is_held = _is_locked(lock, stream)
        except OSError as error:
            if is_new:
                _remove(lock)
            raise StoreError(
                f"{lock.parent} cannot be locked ({error.strerror or error}): compact it on its server, or give a "
                "TARGET"
            ) from error
        if not is_held:
            raise StoreError(f"{lock.parent} is being compacted by another process: wait until it ends")
        try:
            yield
        finally:
            _remove(lock)


def _is_locked(lock: Path, stream: IO[bytes]) -> bool:
    """Lock ``stream``, the opened ``lock``, without waiting; return whether that is done.

    Raises:
        OSError: there are no locks here, as on NFS without lockd.
    """
    import fcntl

    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The file may have been removed by the one before between opening and locking it.
        return lock.exists() and os.path.samestat(lock.stat(), os.fstat(stream.fileno()))
    except (BlockingIOError, FileNotFoundError):
        return False


def _remove(lock: Path) -> None:
    # A file that is left holds nobody up.
    with contextlib.suppress(OSError):
        lock.unlink()
