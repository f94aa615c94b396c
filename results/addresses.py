"""Where a store is: an address becomes a file system and a path in it, or one line that says what is wrong with it."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs

from results.errors import StoreError, one_line

_AWAY = r"network_connection|curl|could not connect|resolve host|unavailable|slow_?down|timed? ?out"
# What a message of an object store holds, and what helps.
_REMEDIES = (
    (r"no[ _]?such[ _]?bucket|bucket .*not found|bucket does not exist|status\(not_found",
     "make the bucket first, or correct the address"),
    (r"access[ _]denied|forbidden|permission[ _]denied|invalid_?access_?key|signature|unauthenticated|credentials|"
     r"http response code: 40[13]|status code 40[13]",
     "give credentials that may list, read and write there (for s3:// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or "
     "a profile, for gs:// GOOGLE_APPLICATION_CREDENTIALS)"),
    (r"region",
     "add ?region=NAME to the address or set AWS_DEFAULT_REGION, and check the network"),
    (_AWAY,
     "check the network and the address (endpoint_override, AWS_ENDPOINT_URL), then run the same command again"),
)  # fmt: skip
_FULL = (errno.ENOSPC, errno.EDQUOT)


def located(uri: str | os.PathLike[str]) -> tuple[pafs.FileSystem, str]:
    """Return the file system and the path in it that ``uri`` names. Nothing is created.

    Raises:
        StoreError: the address cannot be understood, or its service not be asked (s3:// without a region asks).
    """
    text = os.fspath(uri)
    if "://" not in text:
        return pafs.LocalFileSystem(), str(Path(text).expanduser().absolute())
    try:
        filesystem, path = pafs.FileSystem.from_uri(text)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if "Unrecognized filesystem type" not in str(error) and not isinstance(error, pa.ArrowNotImplementedError):
            raise StoreError(f"store {shown(text)!r} is no address ({one_line(error)}): correct it") from error
        filesystem, path = _from_fsspec(text)
    except OSError as error:
        raise StoreError(f"store {shown(text)!r} cannot be reached ({one_line(error)}): {remedy(error)}") from error
    if not path.strip("/") and not isinstance(filesystem, pafs.LocalFileSystem):
        raise StoreError(f"store {shown(text)!r} names no bucket or folder: write e.g. s3://BUCKET/FOLDER")
    return filesystem, path


def _from_fsspec(uri: str) -> tuple[pafs.FileSystem, str]:
    try:
        import fsspec
    except ImportError as error:
        raise StoreError(
            f"store {shown(uri)!r}: package 'fsspec' is needed for it: run 'pip install fsspec'"
        ) from error
    try:
        filesystem, path = fsspec.core.url_to_fs(uri)
    except ImportError as error:
        raise StoreError(f"store {shown(uri)!r} needs another package ({one_line(error)}): install it") from error
    except ValueError as error:
        raise StoreError(
            f"store {shown(uri)!r} is not an address that pyarrow or fsspec knows ({one_line(error)}): write a folder, "
            "s3:// or gs://"
        ) from error
    return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), path


def shown(uri: str) -> str:
    """Return ``uri`` without the secret of ``scheme://KEY:SECRET@bucket``, for messages."""
    return re.sub(r"(://[^:/@]*):[^/@]*@", r"\1:***@", uri)


def remedy(error: Exception) -> str:
    """Return what helps against an error of a file system, in a few words."""
    if getattr(error, "errno", None) in _FULL or "No space left" in str(error):
        return "free space there, then run the same command again: what is written stays"
    text = str(error).lower()
    for pattern, helps in _REMEDIES:
        if re.search(pattern, text):
            return helps
    return "choose another --store or mend its permissions"


def is_passing(error: BaseException) -> bool:
    """Return whether the error of an object store may be gone in a minute: a network or a service that is away."""
    return re.search(_AWAY, str(error).lower()) is not None
