"""Ctrl-C and SIGTERM: the first stops a run cleanly, a second Ctrl-C ends the process at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class StopSignals:
    """A context in which SIGTERM (from a batch system before its limit, say) stops a run as Ctrl-C does.

    The first signal raises KeyboardInterrupt. A second Ctrl-C ends the process by that signal, whatever it is cleaning
    up; further SIGTERMs are ignored. Handlers that somebody else has set, ignored signals and threads other than the
    main one are left alone. Old handlers come back at the end.

    Args:
        on_stop: called in the signal handler, so it may do no more than set a flag.

    Attributes:
        received: the first signal, None before it.
    """

    def __init__(self, on_stop: Callable[[], None]) -> None:
        self.received: signal.Signals | None = None
        self._on_stop = on_stop
        self._old_handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        """Set the handlers."""
        if threading.current_thread() is threading.main_thread():
            for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) == usual:
                    self._old_handlers[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Bring the old handlers back.

        Raises:
            KeyboardInterrupt: in place of SystemExit(15), by which Ray answers SIGTERM while it starts.
        """
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        if isinstance(error, SystemExit) and error.code == signal.SIGTERM:
            self.received = signal.SIGTERM
            raise KeyboardInterrupt from error

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            self._on_stop()
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
