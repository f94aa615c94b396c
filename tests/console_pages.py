"""Pages whose fenced ``console`` blocks a test types: what is seen must be what the page shows.

With ``HSICL_PASTE=1`` it is written into the page instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|[\x00\x08]")
_BLOCK = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)


def commands_of(block: str) -> list[str]:
    """Return the commands of a console block."""
    return [line[2:] for line in block.splitlines() if line.startswith("$ ")]


def plain_lines(told: str) -> list[str]:
    """Return the lines of what a terminal was told, without escape codes, blanks and what was written over."""
    text = _ESCAPES.sub("", told.replace("\r\n", "\n"))
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in text.split("\n")]
    return [line for line in lines if line]


def typed(page: str, answer: Callable[[str], list[str]]) -> str:
    """Return ``page`` with every block's commands answered anew."""

    def block(found: re.Match[str]) -> str:
        return "".join("\n".join([f"$ {command}", *answer(command), ""]) for command in commands_of(found[0]))

    return _BLOCK.sub(block, page)


def check_or_paste(path: Path, seen: str) -> None:
    """Fail unless the page at ``path`` is ``seen``; with ``HSICL_PASTE=1`` write it."""
    if os.environ.get("HSICL_PASTE"):
        path.write_text(seen, encoding="utf-8")
    else:
        assert path.read_text(encoding="utf-8") == seen
