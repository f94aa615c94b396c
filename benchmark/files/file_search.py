"""Files anywhere below a folder, by name."""

from __future__ import annotations

import os
from collections import deque
from functools import cached_property
from pathlib import Path

# Enough for any folder of scenes, and an end where the data root is a whole disk.
MOST_LEVELS = 5
MOST_ENTRIES = 50_000


class FileSearch:
    """The files below ``root``, listed once, when a name is first asked for.

    Folders are read level by level in the order of their names, ``MOST_LEVELS`` deep and up to ``MOST_ENTRIES``
    entries; links to folders are followed, each folder is read once. Left out are hidden folders and what was imported.

    Args:
        root: a folder; one that is not there holds nothing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def named(self, name: str) -> list[Path]:
        """Return the files of a name, in upper or lower case: exact names first, then the least deep."""
        found = self._by_name.get(name.lower(), [])
        return sorted(found, key=lambda path: path.name != name)

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        by_name: dict[str, list[Path]] = {}
        waiting = deque([(self.root, 0)])
        seen = set()
        left = MOST_ENTRIES
        while waiting and left > 0:
            folder, level = waiting.popleft()
            real = os.path.realpath(folder)
            if real in seen:
                continue
            seen.add(real)
            for entry in _entries(folder):
                left -= 1
                if entry.is_file():
                    by_name.setdefault(entry.name.lower(), []).append(Path(entry.path))
                elif level < MOST_LEVELS and self._is_searched(entry, level) and entry.is_dir():
                    waiting.append((Path(entry.path), level + 1))
        return by_name

    @staticmethod
    def _is_searched(entry: os.DirEntry[str], level: int) -> bool:
        return not entry.name.startswith(".") and (level > 0 or entry.name != "imported")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        # A folder that may not be read holds nothing that could be loaded.
        return []
