"""The families of the sweeps room: each a folder, each file in it a member under the file's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark import Registry

if TYPE_CHECKING:
    from sweeps.executors.base import Executor
    from sweeps.sweep import Sweep
    from sweeps.trackers.base import Tracker

SWEEPS: Registry[Sweep] = Registry("sweep", "sweeps.definitions", "hsicl.sweeps")
EXECUTORS: Registry[type[Executor]] = Registry("executor", "sweeps.executors", "hsicl.executors")
TRACKERS: Registry[type[Tracker]] = Registry("tracker", "sweeps.trackers", "hsicl.trackers")
