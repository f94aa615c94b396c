"""SIGKILL of the command, a worker, the raylet or the head of its Ray: the same command goes on, and nothing is lost.

At random moments in the whole life of the command, start and end of Ray included. A short chain is in test_kill.py.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.sweeps.disturbed_sweep import END_S, LIFE_S, DisturbedSweep, Ending, disturbed_sweep, wait_until

pytestmark = [
    pytest.mark.ray,
    pytest.mark.campaign,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc"),
]

# Per target. CI takes fewer: each costs up to twenty seconds.
_N_MOMENTS = int(os.environ.get("HSICL_MOMENTS", "5"))


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[DisturbedSweep]:
    with disturbed_sweep(tmp_path, n_levels=12) as sweep:
        yield sweep


def disturb(sweep: DisturbedSweep, target: str, is_due: Callable[[], bool]) -> tuple[Ending, bool]:
    """Start the command, kill ``target`` when ``is_due``, and wait for the end; also return whether it was killed.

    Where nothing of that kind runs at that moment, the kill waits for it to appear.
    """
    was_killed = False
    with sweep.start() as process:
        wait_until(lambda: is_due() or process.poll() is not None, LIFE_S, sweep.processes)
        while process.poll() is None and not was_killed:
            if target == "driver":
                process.kill()
            was_killed = target == "driver" or sweep.kill(target)
            time.sleep(0.01)
        # A worker's loss is nothing that ends the command.
        return sweep.wait(process, LIFE_S if target == "worker" else END_S), was_killed


def kill_after(sweep: DisturbedSweep, target: str, n_more: int) -> Ending:
    wanted = sweep.n_files() + n_more
    ending, was_killed = disturb(sweep, target, lambda: sweep.n_files() >= wanted)
    assert was_killed, ending.text
    return ending


def test_a_cluster_whose_head_dies_is_one_line_and_its_successor_goes_on(sweep: DisturbedSweep) -> None:
    port = free_port()
    sweep.options = ["--address", f"127.0.0.1:{port}"]
    start_cluster(sweep, port)
    ending = kill_after(sweep, "head", 2)
    assert ending.status == 2, ending.text
    sweep.check_ending(ending)
    sweep.check_store()
    # While it is gone, the same command says so.
    ending = sweep.run()
    assert ending.status == 2, ending.text
    sweep.check_ending(ending)
    sweep.end_processes()
    start_cluster(sweep, port)
    ending = sweep.run()
    assert ending.status == 0, ending.text
    sweep.check_complete()


@pytest.fixture(scope="module")
def start_and_end_s(tmp_path_factory: pytest.TempPathFactory) -> tuple[float, float]:
    """How long a command takes here to its first trial, and from its last one to its end."""
    with disturbed_sweep(tmp_path_factory.mktemp("life"), n_levels=2) as sweep:
        began = time.monotonic()
        with sweep.start() as process:
            wait_until(lambda: sweep.n_files() > 0 or process.poll() is not None, LIFE_S, sweep.processes)
            first = time.monotonic()
            wait_until(lambda: sweep.n_files() == sweep.n_trials or process.poll() is not None, LIFE_S, sweep.processes)
            ending = sweep.wait(process, END_S)
        assert ending.status == 0, ending.text
        sweep.check_complete()
        return first - began, ending.seconds


@pytest.mark.parametrize("target", ["driver", "worker", "raylet", "head"])
def test_killed_at_random_moments(sweep: DisturbedSweep, target: str, start_and_end_s: tuple[float, float]) -> None:
    generator = np.random.default_rng(["driver", "worker", "raylet", "head"].index(target))
    # One moment in each fifth of the life that is left, in random order.
    fractions = (generator.permutation(_N_MOMENTS) + generator.random(_N_MOMENTS)) / _N_MOMENTS
    for fraction in fractions:
        if sweep.n_files() == sweep.n_trials:
            # Nothing would be left to disturb: a sweep survives the loss of a worker, for one.
            sweep.begin_anew()
        # Two workers, half a second per fit of two trials.
        moment_s = fraction * (sum(start_and_end_s) + (sweep.n_trials - sweep.n_files()) / 2 / 2 * 0.5)
        n_before, due = sweep.n_files(), time.monotonic() + moment_s
        ending, was_killed = disturb(sweep, target, partial(is_past, due))
        print(
            f"{target} {'' if was_killed else 'not '}killed at {fraction:.0%} of its life, {moment_s:.0f} s and "
            f"{sweep.n_files() - n_before} trials: status {ending.status} {ending.seconds:.1f} s later {ending.errors}"
        )
        if target == "driver" and was_killed:
            assert (ending.status, ending.errors) == (-signal.SIGKILL, [])
        else:
            sweep.check_ending(ending)
        assert target != "worker" or ending.status == 0, ending.text
        sweep.check_store()
        sweep.wait_for_processes_to_end()
    ending = sweep.run()
    assert ending.status == 0, ending.text
    sweep.check_complete()


def is_past(moment: float) -> bool:
    return time.monotonic() >= moment


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_cluster(sweep: DisturbedSweep, port: int) -> None:
    """Start a Ray of its own on this machine, marked as the command's processes are."""
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", f"--port={port}", "--num-cpus=2"]
    command += [f"--temp-dir={sweep.temporary}/ray", "--include-dashboard=false", "--disable-usage-stats"]
    done = subprocess.run(command, env=sweep.full_environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
