"""Many trials: named sweeps, the plan they expand to, search, and the executors that run it.

Names are imported when first used; only ``sweeps.executors.ray`` imports Ray.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.executors.base import Executor
    from sweeps.launcher import Outcome, launch
    from sweeps.overrides import read_axis_options
    from sweeps.progress import describe_plan
    from sweeps.registries import EXECUTORS, SWEEPS
    from sweeps.search import SearchSettings, describe_search, run_sweep
    from sweeps.sweep import Control, Sweep, plan

_HOME = {
    "Executor": "sweeps.executors.base",
    "Outcome": "sweeps.launcher",
    "launch": "sweeps.launcher",
    "read_axis_options": "sweeps.overrides",
    "describe_plan": "sweeps.progress",
    "EXECUTORS": "sweeps.registries",
    "SWEEPS": "sweeps.registries",
    "SearchSettings": "sweeps.search",
    "describe_search": "sweeps.search",
    "run_sweep": "sweeps.search",
    "Control": "sweeps.sweep",
    "Sweep": "sweeps.sweep",
    "plan": "sweeps.sweep",
}

__all__ = [
    "EXECUTORS",
    "SWEEPS",
    "Control",
    "Executor",
    "Outcome",
    "SearchSettings",
    "Sweep",
    "describe_plan",
    "describe_search",
    "launch",
    "plan",
    "read_axis_options",
    "run_sweep",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'sweeps' has no attribute {name!r}")
