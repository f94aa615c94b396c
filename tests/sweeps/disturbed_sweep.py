"""The command ``hsicl sweep sleepy`` as processes that tests kill or starve, and what its store must hold at any time.

Processes are found by a mark in their environment, never by name: another Ray may run on the machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmark import load_scene
from results import open_store
from results.schema import VOLATILE_COLUMNS
from sweeps import EXECUTORS, SWEEPS, launch, read_axis_options
from tests.sweeps import entrants
from tests.sweeps.sweep_factory import tiny_scenes

ROOT = Path(__file__).resolve().parents[2]
# A command that goes on for longer than this after its Ray was lost counts as hanging.
END_S = 60.0
# Starting Ray takes seconds, on a machine with much else to do a minute and more.
LIFE_S = 240.0
# Ray's agents sometimes notice only after a minute that their node was killed.
_AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
# Progress, and what Ray's C++ prints beside all logging when the disk of its logs is full.
_PRINTED = ("sleepy: ", "[*** LOG ERROR")
# What of a Ray can be killed, by command line. A worker of ours is named after what it runs.
TARGETS = {
    "worker": re.compile(r"^ray::(?!IDLE|SpillWorker|RestoreWorker|DashboardAgent|RuntimeEnvAgent)"),
    "raylet": re.compile(r"^\S*/raylet/raylet "),
    "head": re.compile(r"^\S*/gcs_server "),
}


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a command ended.

    Attributes:
        status: exit status, negative the signal that ended it.
        errors: lines on standard error that are neither progress nor Ray's complaint that it cannot log.
        text: all of standard output and standard error.
        seconds: from the disturbance to the end.
    """

    status: int
    errors: list[str]
    text: str
    seconds: float


@dataclass(kw_only=True)
class DisturbedSweep:
    """One sweep into one store, started again and again.

    Attributes:
        folder: of this test; the store, the scene and what the commands print.
        temporary: what the commands take for the temporary folder; short, since Ray makes sockets there.
        n_levels: configurations of the sweep; each is one fit of half a second, shared by two trials.
        options: further options of the command.
    """

    folder: Path
    temporary: Path
    n_levels: int
    options: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scene = tiny_scenes()["tiny"]
        self.store = self.folder / "store"
        self._scene = self.folder / "tiny.npz"
        np.savez(self._scene, cube=scene.cube, labels=scene.labels + 1)
        self._axis = "level=" + ",".join(str(level) for level in range(self.n_levels))
        self.undisturbed = self._run_undisturbed()
        self._seen: set[str] = set()

    @property
    def n_trials(self) -> int:
        return len(self.undisturbed)

    def _run_undisturbed(self) -> dict[str, dict[str, Any]]:
        scenes = {"tiny": load_scene(self._scene)}
        sweep = SWEEPS.get("sleepy").with_overrides(scenes=["tiny"], axes=read_axis_options([self._axis]))
        store = open_store(self.folder / "undisturbed")
        with pytest.MonkeyPatch.context() as patch:
            # The entrant's sleep changes no number.
            patch.setattr(entrants, "time", SimpleNamespace(sleep=lambda seconds: None))
            launch(sweep, store, scenes, EXECUTORS.get("loop")(), device="cpu")
        return {row["trial_id"]: measured(row) for row in store.read().to_pylist()}

    def begin_anew(self) -> None:
        """Leave the store as it is and begin with an empty one."""
        self.store = self.store.with_name(f"{self.store.name}_")
        self._seen = set()

    def full_environment(self) -> dict[str, str]:
        """Return the environment of the command, with the mark."""
        paths = {"TMPDIR": str(self.temporary), "RAY_AUTH_MODE": "disabled"}
        return {**os.environ, **paths, "HSICL_TEST": str(self.folder), **self.environment}

    def start(self) -> subprocess.Popen[bytes]:
        """Start the command; what it prints goes to files, since what it leaves behind would keep a pipe open."""
        command = [sys.executable, "hsicl.py", "sweep", "sleepy", "--executor", "ray", "--axis", self._axis]
        command += ["--scene", str(self._scene), "--store", str(self.store), *self.options]
        with self._output("out").open("wb") as out, self._output("err").open("wb") as err:
            return subprocess.Popen(
                command, cwd=ROOT, env=self.full_environment(), stdout=out, stderr=err, preexec_fn=_hear_interrupts
            )

    def wait(self, sweep: subprocess.Popen[bytes], seconds: float) -> Ending:
        """Wait for the end, which must come within ``seconds``."""
        began = time.monotonic()
        try:
            status = sweep.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {seconds:g} s: {self._printed('err')}")
        errors = [line for line in self._printed("err").splitlines() if line.strip() and not line.startswith(_PRINTED)]
        return Ending(
            status=status,
            errors=errors,
            text=self._printed("out") + self._printed("err"),
            seconds=time.monotonic() - began,
        )

    def run(self) -> Ending:
        """Run the command to its end."""
        with self.start() as sweep:
            return self.wait(sweep, LIFE_S)

    def processes(self) -> dict[int, str]:
        """Return the command lines, by process id, of all that the commands started and that still runs."""
        mark = f"HSICL_TEST={self.folder}".encode()
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(process.name)] = command
        return found

    def kill(self, target: str) -> bool:
        """Send SIGKILL to one process of the kind ``target``; return whether there was one."""
        pids = [pid for pid, command in self.processes().items() if TARGETS[target].search(command)]
        for pid in pids[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(pids)

    def wait_for_processes_to_end(self) -> None:
        """Wait until nothing of a command runs any more."""

        def left() -> list[str]:
            return [command for command in self.processes().values() if not command.startswith(_AGENTS)]

        wait_until(lambda: not left(), END_S, left)

    def end_processes(self) -> None:
        """Kill whatever the commands left, and nothing else."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def n_files(self) -> int:
        return len(list(self.store.glob("*.parquet")))

    def check_store(self) -> None:
        """Every file is whole and of one planned trial, with the undisturbed numbers; none that was there is gone."""
        files = sorted(self.store.glob("[!.]*.parquet")) if self.store.exists() else []
        rows = [row for path in files for row in pq.read_table(path).to_pylist()]
        assert [path.stem for path in files] == [row["trial_id"] for row in rows]
        read = {row["trial_id"]: row for row in open_store(self.store).read().to_pylist()} if files else {}
        assert sorted(read) == [path.stem for path in files]
        assert {row["status"] for row in read.values()} <= {"ok"}, [row["error"] for row in read.values()]
        assert {name: measured(row) for name, row in read.items()} == {
            name: self.undisturbed[name] for name in self.undisturbed if name in read
        }
        assert self._seen <= read.keys()
        self._seen = set(read)

    def check_complete(self) -> None:
        """The store holds every planned trial exactly once."""
        self.check_store()
        assert self._seen == self.undisturbed.keys()

    def check_ending(self, ending: Ending) -> None:
        """A lost Ray ends the command in one line and status 2, unless all was done before."""
        assert "Traceback" not in ending.text, ending.text
        if ending.status == 0:
            assert ending.errors == []
            self.check_complete()
            return
        assert ending.status == 2, ending.text
        (line,) = ending.errors
        assert line.startswith("hsicl: "), line
        assert list(self.temporary.glob("hsicl-tune-*")) == []

    def _output(self, name: str) -> Path:
        return self.folder / name

    def _printed(self, name: str) -> str:
        return self._output(name).read_text(errors="replace")


@contextmanager
def disturbed_sweep(folder: Path, n_levels: int) -> Iterator[DisturbedSweep]:
    """Give a sweep of ``n_levels`` fits, and leave no process and no temporary file of it."""
    temporary = Path(tempfile.mkdtemp(prefix="hk", dir="/tmp"))
    sweep = DisturbedSweep(folder=folder, temporary=temporary, n_levels=n_levels)
    try:
        yield sweep
    finally:
        sweep.end_processes()
        shutil.rmtree(temporary, ignore_errors=True)


def measured(row: dict[str, Any]) -> dict[str, Any]:
    """Return all columns but those that a rerun may change."""
    return {name: value for name, value in row.items() if name not in VOLATILE_COLUMNS}


def wait_until(condition: Callable[[], bool], seconds: float, what: Callable[[], object]) -> None:
    """Wait for ``condition``; ``what`` tells what was there instead when it did not come in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what()}"
        time.sleep(0.02)


def _hear_interrupts() -> None:
    # What a shell starts in the background ignores Ctrl-C, and so do its children.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
