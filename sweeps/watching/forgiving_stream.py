"""The stream that progress is written to: it never raises, and what is written there is text and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TextIO


class ForgivingStream:
    """A stream that falls silent for good once it cannot be written: a closed terminal or pipe ends no run.

    Args:
        stream: the stream behind.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_broken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write ``text`` if that is possible and return its length."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush if that is possible."""
        self._attempt(self._stream.flush)

    def _attempt(self, write: Callable[[], object]) -> None:
        if self._is_broken:
            return
        try:
            write()
        except (OSError, ValueError):
            # ValueError: it was closed.
            self._is_broken = True


def printable(text: str, encoding: str | None) -> str:
    """Return ``text`` without control characters and without what ``encoding`` cannot express; "?" instead.

    An error's message may hold anything; an escape code in it would move the cursor.
    """
    plain = "".join(each if each.isprintable() else "?" for each in text)
    return plain.encode(encoding, "replace").decode(encoding) if encoding else plain


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person is likely to read ``stream`` as it is written."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        # It was closed.
        return False
