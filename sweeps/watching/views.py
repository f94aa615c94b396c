"""How progress is shown: a live view on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TextIO

from sweeps.watching.forgiving_stream import ForgivingStream, is_terminal, printable
from sweeps.watching.standing import Facts

# A log gets at most one line in this time, so that a thousand short trials do not fill it.
_LOG_INTERVAL_S = 5.0


class View(ABC):
    """Shows where a run stands. All methods are called from one thread."""

    @abstractmethod
    def start(self) -> None:
        """Begin to show the facts."""

    @abstractmethod
    def note_change(self) -> None:
        """Hear that the facts have changed; called for every record, so it is cheap."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Show a line that stays."""

    @abstractmethod
    def close(self) -> None:
        """Show the facts for the last time."""


class LogView(View):
    """Plain lines: one every few seconds at most, and one at the end. No escape codes.

    Args:
        stream: where lines go.
        facts: gives the facts of this moment.
        clock: seconds, for tests.
    """

    def __init__(
        self, stream: TextIO, facts: Callable[[], Facts], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream, self._facts, self._clock = stream, facts, clock
        self._printed_s = clock()

    def start(self) -> None:
        """See ``View.start``."""

    def note_change(self) -> None:
        """See ``View.note_change``."""
        if self._clock() - self._printed_s >= _LOG_INTERVAL_S:
            facts = self._facts()
            # The last one comes at the end, and is not told twice.
            if facts.share < 1:
                self._printed_s = self._clock()
                self.say(facts.line())

    def say(self, text: str) -> None:
        """See ``View.say``."""
        self._stream.write(f"{printable(text, self._stream.encoding)}\n")
        self._stream.flush()

    def close(self) -> None:
        """See ``View.close``."""
        self.say(self._facts().line())


def open_view(stream: TextIO, facts: Callable[[], Facts], clock: Callable[[], float]) -> View:
    """Return the view that suits ``stream``: live on a terminal that can move its cursor, plain lines elsewhere.

    Args:
        stream: where progress goes.
        facts: gives the facts of this moment; must be safe to call from another thread.
        clock: seconds, for tests.
    """
    forgiving: Any = ForgivingStream(stream)
    if is_terminal(stream):
        try:
            from sweeps.watching.terminal_view import SteadyConsole, TerminalView
        except ImportError:
            # The loop executor runs where only the numeric packages are installed, without rich.
            return LogView(forgiving, facts, clock=clock)
        if SteadyConsole(forgiving).can_repaint:
            return TerminalView(forgiving, facts)
    return LogView(forgiving, facts, clock=clock)
