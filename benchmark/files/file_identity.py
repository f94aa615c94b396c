"""Whether a file is the one that is meant: its digests, computed once per state of the file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class Digests:
    """What a file is known by.

    Attributes:
        sha256: 64 hex digits.
        git_blob: 40 hex digits, what ``git hash-object FILE`` prints: the identity under which public repositories
            hold a file.
    """

    sha256: str
    git_blob: str


def digests(path: Path) -> Digests:
    """Return the digests of a file. Cost: one reading, about a second per GB, and nothing until the file changes.

    Raises:
        OSError: the file cannot be read.
    """
    path = path.resolve()
    state = path.stat()
    return _digests(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1024)
def _digests(path: Path, size: int, mtime_ns: int) -> Digests:
    sha256 = hashlib.sha256()
    blob = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha256.update(chunk)
            blob.update(chunk)
    return Digests(sha256.hexdigest(), blob.hexdigest())
