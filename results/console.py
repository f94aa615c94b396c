"""What a command prints."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Write ``text`` and a line break to the standard output at once; a reader that has gone ends no command."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, say) has gone; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
