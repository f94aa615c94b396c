"""Other programs that may hang: each with its children in a group of its own, which is ended as one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True)
class Program:
    """A program that was started.

    Attributes:
        process: the program itself.
        output: what it writes. A file and no pipe: a child that outlives it would keep a pipe open.
        complaints: what it writes to its error output.
    """

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    complaints: IO[bytes]

    @classmethod
    def start(cls, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Program:
        """Start ``command`` with no input."""
        output, complaints = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  (closed by collect)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=complaints, env=environment, start_new_session=True
        )
        return cls(process, output, complaints)

    def collect(self, timeout_s: float) -> tuple[str, str]:
        """Return what it wrote to its output and to its error output, when it has ended; end what it leaves.

        Raises:
            subprocess.TimeoutExpired: it ran for longer.
        """
        with self.output, self.complaints:
            try:
                self.process.wait(timeout=timeout_s)
            finally:
                self.end()
            return _text(self.output), _text(self.complaints)

    def end(self) -> None:
        """Kill it and its children, whichever still run."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
