"""The live view of a terminal, by rich: a bar and a few lines that are painted anew while other lines go above them."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.text import Text

from sweeps.watching.forgiving_stream import is_terminal, printable
from sweeps.watching.standing import Facts
from sweeps.watching.views import View

_log = logging.getLogger(__name__)

_REFRESH_INTERVAL_S = 0.25
# Cells of a bar; a longer one on a wide terminal says no more.
_BAR_MIN, _BAR_MAX = 10, 40


class SteadyConsole(Console):
    """A console for a live view.

    Args:
        stream: a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(file=stream, highlight=False, markup=False, emoji=False)

    @property
    def can_repaint(self) -> bool:
        """Whether the cursor can be moved; the environment may say that it cannot, by TERM=dumb say."""
        return self.is_terminal and not self.is_dumb_terminal

    def show_cursor(self, show: bool = True) -> bool:
        """Leave the cursor visible: a process that is killed could not bring it back."""
        return False


class TerminalView(View):
    """A bar and a few lines that a thread of its own paints anew, four times a second; other lines go above it.

    Args:
        stream: a terminal.
        facts: gives the facts of this moment; called in the painting thread.
    """

    def __init__(self, stream: TextIO, facts: Callable[[], Facts]) -> None:
        self._facts = facts
        self._encoding = stream.encoding
        self._console = SteadyConsole(stream)
        # Only what is on a screen too: a redirected output must reach its file.
        self._live = Live(
            console=self._console, auto_refresh=False,
            redirect_stdout=is_terminal(sys.stdout), redirect_stderr=is_terminal(sys.stderr),
        )  # fmt: skip
        self._painted: Facts | None = None
        self._closing = threading.Event()
        # Painting and saying must not mix: both move the cursor.
        self._writing = threading.Lock()
        self._painter = threading.Thread(target=self._keep_painting, name="progress", daemon=True)

    def start(self) -> None:
        """See ``View.start``."""
        self._live.start()
        self._paint()
        self._painter.start()

    def note_change(self) -> None:
        """See ``View.note_change``. The thread sees it at its next turn."""

    def say(self, text: str) -> None:
        """See ``View.say``."""
        with self._writing:
            self._console.print(printable(text, self._encoding), soft_wrap=True)

    def close(self) -> None:
        """See ``View.close``."""
        self._closing.set()
        if self._painter.is_alive():
            self._painter.join()
        try:
            self._paint()
        finally:
            # Gives the standard streams back, whatever happened.
            self._live.stop()

    def _keep_painting(self) -> None:
        try:
            while not self._closing.wait(_REFRESH_INTERVAL_S):
                self._paint()
        except Exception:
            _log.debug("progress is painted no longer", exc_info=True)

    def _paint(self) -> None:
        facts = self._facts()
        with self._writing:
            if facts != self._painted:
                self._painted = facts
                self._live.update(_Screen(facts, self._encoding), refresh=True)


class _Screen:
    """The facts as lines that fit the terminal's width: broken between facts, cut only where one is too long."""

    def __init__(self, facts: Facts, encoding: str | None) -> None:
        self._label = printable(facts.label, encoding)
        self._share = facts.share
        self._counts, self._load, self._best = (
            [printable(part, encoding) for part in parts] for parts in (facts.counts, facts.load, facts.best)
        )
        self._separator = printable(" · ", encoding).replace("?", "|")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        label = f"{self._label}  " if self._label else ""
        counts = "  " + self._separator.join(self._counts)
        rest = [self._separator.join(self._load), *self._best]
        room = width - cell_len(label) - cell_len(counts)
        if room < _BAR_MIN:
            counts = f" {100 * self._share:3.0f}%"
            rest[:0] = self._folded(width)
            room = width - cell_len(label) - cell_len(counts)
        if room >= _BAR_MIN:
            bar = ProgressBar(total=1.0, completed=self._share, width=min(room, _BAR_MAX))
            yield Text(label, end="")
            # Without colour the bar ends where the run stands; what follows keeps its place.
            yield from Segment.adjust_line_length(list(console.render(bar, options)), min(room, _BAR_MAX))
            yield Text(counts)
        else:
            yield Text(label + counts.strip(), no_wrap=True, overflow="crop")
        for line in filter(None, rest):
            # Between words: the configuration's name is not to be lost on a narrow terminal.
            yield Text(line, overflow="fold")

    def _folded(self, width: int) -> list[str]:
        lines = [self._counts[0]]
        for part in self._counts[1:]:
            longer = lines[-1] + self._separator + part
            if cell_len(longer) <= width:
                lines[-1] = longer
            else:
                lines.append(part)
        return lines
