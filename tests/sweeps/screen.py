"""A real pseudo-terminal, and what a person would see on it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
import threading
from typing import Any, TextIO

import pyte


class Screen:
    """A terminal of this process. ``stream`` is what a program writes to; ``lines`` is what is on the screen.

    Args:
        columns: cells per line.
        rows: lines.
        encoding: of the stream.
    """

    def __init__(self, columns: int, rows: int = 24, encoding: str = "utf-8") -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.stream: TextIO = open(slave, "w", encoding=encoding)  # noqa: SIM115
        self.written = bytearray()
        self._pyte = pyte.HistoryScreen(columns, rows, history=1000)
        self._feed: Any = pyte.ByteStream(self._pyte)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def hang_up(self) -> None:
        """Close the window: what is written from now on fails."""
        # A descriptor that a thread reads is closed by its last reader; the thread waits for output.
        self._hung_up = True
        self.stream.write("x")
        self.stream.flush()
        self._reader.join()
        os.close(self._master)

    _hung_up = False

    def lines(self) -> list[str]:
        """Return what is on the screen once the program has closed its end, without empty lines at the end."""
        self.stream.close()
        self._reader.join()
        os.close(self._master)
        shown = [line.rstrip() for line in self._pyte.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            # An error once the other end is closed.
            while not self._hung_up and (data := os.read(self._master, 65536)):
                self.written += data
                self._feed.feed(data)
