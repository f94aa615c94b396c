"""Ctrl-C and SIGKILL in mid-sweep, then the same command again: every planned row, none twice, nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmark import load_scene
from results import open_store
from sweeps import SWEEPS, plan
from tests.sweeps.sweep_factory import tiny_scenes

# With its sweeps of a minute beside the other campaigns.
pytestmark = [pytest.mark.ray, pytest.mark.campaign]

_ROOT = Path(__file__).resolve().parents[2]


def n_files(folder: Path) -> int:
    return len(list(folder.glob("*.parquet")))


def processes_with(mark: str) -> list[str]:
    """Return the command lines of the running processes that inherited ``mark`` in their environment.

    Ray's two agents are left out: where their node is killed they sometimes notice it only after a minute.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [command for command in found if not command.startswith(("ray::DashboardAgent", "ray::RuntimeEnvAgent"))]


def hear_interrupts() -> None:
    """Let Ctrl-C reach the process: what a shell starts in the background ignores it, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until(condition: Callable[[], bool], seconds: float, what: Callable[[], object]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what()}"
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_whatever_stops_it_the_same_command_goes_on(tmp_path: Path) -> None:
    scene = tiny_scenes()["tiny"]
    np.savez(tmp_path / "tiny.npz", cube=scene.cube, labels=scene.labels + 1)
    folder = tmp_path / "store"
    mark = f"HSICL_TEST={tmp_path}"
    command = [sys.executable, "hsicl.py", "sweep", "sleepy", "--executor", "ray"]
    command += ["--scene", str(tmp_path / "tiny.npz"), "--store", str(folder)]

    def start() -> subprocess.Popen[str]:
        environment = {**os.environ, "HSICL_TEST": str(tmp_path)}
        return subprocess.Popen(
            command, cwd=_ROOT, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts
        )

    with start() as sweep:
        wait_until(lambda: n_files(folder) >= 2, 120, sweep.poll)
        sweep.send_signal(signal.SIGINT)
        _, told = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, told
    assert "the same command goes on from here" in told
    assert "Traceback" not in told
    n_first = n_files(folder)
    assert 2 <= n_first < 16

    with start() as sweep:
        wait_until(lambda: n_files(folder) >= n_first + 2, 120, sweep.poll)
        sweep.kill()
    assert n_files(folder) < 16
    wait_until(lambda: not processes_with(mark), 60, lambda: processes_with(mark))

    with start() as sweep:
        _, told = sweep.communicate(timeout=120)
    assert sweep.returncode == 0, told
    assert "finished before" in told
    store = open_store(folder)
    scenes = {"tiny": load_scene(tmp_path / "tiny.npz")}
    planned = plan(SWEEPS.get("sleepy").with_overrides(scenes=["tiny"]), scenes)
    rows = store.read().to_pylist()
    assert sorted(row["trial_id"] for row in rows) == sorted(trial.trial_id for trial in planned)
    assert {row["status"] for row in rows} == {"ok"}
    assert {path.suffix for path in folder.iterdir()} == {".parquet"}
