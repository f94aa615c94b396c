"""The contract of a definition: a file holds one Sweep, whose name is the file's."""

from __future__ import annotations

from typing import Any

from sweeps.sweep import Sweep

MEMBER: Any = Sweep
