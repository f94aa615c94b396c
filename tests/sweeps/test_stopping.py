"""Ctrl-C and SIGTERM: what is finished stays, the user is told how to go on, and a second Ctrl-C does not wait."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results import ResultStore, RunRecord, open_store
from sweeps import launch
from sweeps.executors.loop import LoopExecutor
from sweeps.stopping import StopSignals
from tests.sweeps.sweep_factory import noisy_sweep, tiny_scenes
from tests.sweeps.test_kill import hear_interrupts

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def usual_handlers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the handlers that a Python program starts with, whatever the tests were started by."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    old = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    assert {number: signal.getsignal(number) for number in usual} == usual
    for number, handler in old.items():
        signal.signal(number, handler)


class Signalled(LoopExecutor):
    """Gets a signal after the third record."""

    number: signal.Signals = signal.SIGINT

    def execute(self, groups: Any, scenes: Any, *, on_record: Any, **settings: Any) -> None:
        n_records = 0

        def keep(record: RunRecord) -> None:
            nonlocal n_records
            on_record(record)
            n_records += 1
            if n_records == 3:
                os.kill(os.getpid(), self.number)

        super().execute(groups, scenes, on_record=keep, **settings)


class Terminated(Signalled):
    number = signal.SIGTERM


def test_ctrl_c_is_told_in_the_outcome(store: ResultStore) -> None:
    stream = io.StringIO()
    outcome = launch(
        noisy_sweep(), store, tiny_scenes(), Signalled(), stream=stream, resume="hsicl sweep noisy --seeds 2"
    )
    assert (outcome.interrupted, outcome.n_ok, outcome.n_failed) == (True, 3, 0)
    assert store.read().num_rows == 3
    before_last, last = stream.getvalue().splitlines()[-2:]
    assert "3/16 trials done · 0 failed · 13 left" in before_last
    assert last == (
        "stopped: what is finished is stored; the same command goes on from here: hsicl sweep noisy --seeds 2"
    )


def test_sigterm_stops_as_cleanly_and_gives_its_own_status(store: ResultStore) -> None:
    stream = io.StringIO()
    with pytest.raises(SystemExit) as caught:
        launch(noisy_sweep(), store, tiny_scenes(), Terminated(), stream=stream)
    assert caught.value.code == 143
    assert store.read().num_rows == 3
    assert stream.getvalue().endswith("stopped: what is finished is stored; the same command goes on from here\n")
    outcome = launch(noisy_sweep(), store, tiny_scenes(), LoopExecutor())
    assert (outcome.n_skipped, outcome.n_ok) == (3, 13)


def test_sigterm_is_the_same_under_a_handler_like_rays(store: ResultStore) -> None:
    class Handled(Terminated):
        def execute(self, *arguments: Any, **settings: Any) -> None:
            old = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
            assert callable(old)
            super().execute(*arguments, **settings)

    stream = io.StringIO()
    with pytest.raises(SystemExit) as caught:
        launch(noisy_sweep(), store, tiny_scenes(), Handled(), stream=stream)
    assert caught.value.code == 143
    assert store.read().num_rows == 3
    assert "the same command goes on" in stream.getvalue()


def test_another_exit_is_not_taken_for_a_stop() -> None:
    with pytest.raises(SystemExit) as caught, StopSignals(lambda: None):
        sys.exit(1)
    assert caught.value.code == 1


def test_handlers_of_others_and_ignored_signals_are_left_alone() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignals(lambda: None) as signals:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
        assert heard == [signal.SIGTERM]
        assert signals.received is None
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_it_does_nothing_in_another_thread(store: ResultStore) -> None:
    n_ok: list[int] = []
    thread = threading.Thread(
        target=lambda: n_ok.append(launch(noisy_sweep(), store, tiny_scenes(), LoopExecutor()).n_ok)
    )
    thread.start()
    thread.join()
    assert n_ok == [16]


# A sweep by the loop that says each record, and cleans up for ever when it is stopped.
SCRIPT = """
import sys, time
from results import open_store
from sweeps import launch
from sweeps.executors.loop import LoopExecutor
from tests.sweeps.sweep_factory import noisy_sweep, tiny_scenes

class Slow(LoopExecutor):
    def execute(self, groups, scenes, *, on_record, **settings):
        def keep(record):
            on_record(record)
            print("record", flush=True)
            time.sleep(0.05)
        try:
            super().execute(groups, scenes, on_record=keep, **settings)
        finally:
            print("cleaning up", flush=True)
            while sys.argv[2] == "slow":
                try:
                    time.sleep(60)
                except KeyboardInterrupt:
                    pass

outcome = launch(noisy_sweep(), open_store(sys.argv[1]), tiny_scenes(), Slow(), stream=sys.stderr)
sys.exit(130 if outcome.interrupted else 0)
"""


def stop(folder: Path, speed: str, act: Callable[[subprocess.Popen[str]], None]) -> tuple[int, str]:
    """Start the sweep, call ``act`` after two records, and return its exit status and what it said."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), speed],
        cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in range(2)] == ["record\n"] * 2
            act(process)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, told


def test_a_real_process_is_stopped_cleanly_by_sigterm(tmp_path: Path) -> None:
    returned, told = stop(tmp_path / "store", "quick", lambda process: process.send_signal(signal.SIGTERM))
    assert returned == 143, told
    assert "Traceback" not in told
    assert told.endswith("the same command goes on from here\n")
    assert 2 <= open_store(tmp_path / "store").read().num_rows < 16


def test_a_second_ctrl_c_ends_at_once_and_more_sigterms_do_nothing(tmp_path: Path) -> None:
    def act(process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        while process.stdout.readline() != "cleaning up\n":
            pass
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGINT)

    returned, told = stop(tmp_path / "store", "slow", act)
    assert returned == -signal.SIGINT, told
    assert "Traceback" not in told
    assert 2 <= open_store(tmp_path / "store").read().num_rows < 16


def test_a_reader_that_goes_away_changes_nothing(tmp_path: Path) -> None:
    """As ``hsicl sweep ... 2>&1 | head`` does, in the middle of the run; then Ctrl-C."""

    def act(process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        assert process.stdout is not None
        process.stderr.close()
        process.stderr = None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)

    returned, _ = stop(tmp_path / "store", "quick", act)
    assert returned == 130
    assert 3 <= open_store(tmp_path / "store").read().num_rows < 16
