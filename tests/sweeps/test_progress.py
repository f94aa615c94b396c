"""Progress: what a log and a real terminal show, and that nothing that happens to them touches the run."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
import re
import sys
import time
from typing import Any

import pytest

from benchmark import Trial
from results import ResultStore, RunRecord
from sweeps import launch
from sweeps.executors.base import Load
from sweeps.executors.loop import LoopExecutor
from sweeps.progress import Progress
from sweeps.watching.standing import Standing
from tests.sweeps.progress_factory import Clock, record_of, trial_of
from tests.sweeps.screen import Screen
from tests.sweeps.sweep_factory import noisy_sweep, tiny_scenes


# Made when first asked for: the entrant is known only once the tests run.
@functools.cache
def groups() -> list[tuple[Trial, ...]]:
    return [tuple(trial_of(level=level, index=index) for index in range(4)) for level in (0.0, 1.0, 8.0, 9.0)]


def trials() -> list[Trial]:
    return [trial for group in groups() for trial in group]


def records() -> list[RunRecord]:
    """Two of the sixteen fail, in two ways."""
    made = [record_of(trial, oa=0.5 + index / 100) for index, trial in enumerate(trials())]
    made[5] = record_of(trials()[5], oa=None)
    made[9] = record_of(trials()[9], oa=None, error="\x1b[2J\x07bad\nnews " + "y" * 200, error_type="OSError")
    return made


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what the terminal of whoever runs the tests is like."""
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def follow(
    stream: Any, *, seconds: float = 2.5, told: list[RunRecord] | None = None, load: Load | None = None, **settings: Any
) -> None:
    clock = Clock()
    progress = Progress(groups(), stream, label="noisy", clock=clock, **settings)
    progress.start()
    for record in told or records():
        progress.note_load(load or Load(n_running=4))
        clock.now_s += seconds
        is_ok = record.status == "ok"
        progress.add(dataclasses.replace(record, fit_s=0.0, protocol_s=seconds) if is_ok else record)
    progress.finish()


def test_a_log_gets_the_facts_in_whole_lines() -> None:
    stream = io.StringIO()
    finished = [trial_of("raw_spectra", index=index) for index in range(3)]
    accuracies = dict.fromkeys((trial.trial_id for trial in finished), 0.99)
    load = Load(n_running=4, n_nodes=2, cpus=(8.0, 12.0), gpus=(1.5, 2.0))
    follow(stream, seconds=5.0, finished=finished, accuracies=accuracies, load=load)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "noisy: 16 trials in 4 fits, 3 finished before"
    # Three trials of a configuration are not compared with four.
    assert lines[4] == (
        "noisy: 4/16 trials done · 0 failed · 3 running · 9 left · 20 s elapsed · 1 min 00 s to go · 2 nodes · "
        "CPU 8/12 · GPU 1.5/2 · best on validation: 51.5% OA (mean of 4; 1 of 5 compared), noisy level=0.0 on tiny"
    )
    assert lines[-1] == (
        "noisy: 14/16 trials done · 2 failed · 1 min 20 s elapsed · "
        "best on validation: 63.5% OA (mean of 4; 2 of 5 compared), noisy level=9.0 on tiny"
    )
    # One at the start, fifteen on the way, one at the end, and the errors.
    assert len(lines) == 1 + 15 + 1 + 2


def test_a_log_of_short_trials_stays_short_and_holds_text_only() -> None:
    stream = io.StringIO()
    follow(stream, seconds=0.5)
    lines = stream.getvalue().split("\n")
    assert len(lines) - 1 == 1 + 1 + 1 + 2
    assert all(line.isprintable() for line in lines)
    assert any(line.startswith("failed: noisy on tiny, seed 0, split 1 (trial ") for line in lines)


@pytest.mark.parametrize("columns", [120, 100, 40, 20])
def test_a_terminal_shows_the_last_state_and_what_was_said_above_it(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = Screen(columns, rows=40)
    follow(screen.stream)
    lines = screen.lines()
    assert all(len(line) <= columns for line in lines)
    text = " ".join(" ".join(lines).split())
    # Nothing is lost by narrowness but, in the end, the bar.
    facts = "14/16 trials done|2 failed|40 s elapsed|63.5% OA|mean of 4; 2 of 4 compared|noisy level=9.0"
    for fact in facts.split("|"):
        assert text.count(fact) == 1, fact
    assert text.count("on purpose") == 1
    # A long line goes over the edge, as lines on a terminal do.
    assert "".join(lines).replace(" ", "").startswith("noisy:16trialsin4fitsfailed:noisyontiny,seed0,split1(trial")
    assert "to go" not in text
    assert "running" not in text
    assert ("━" in text) == (columns > 20)


def test_a_wide_terminal_gets_everything_in_a_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    screen = Screen(400)
    follow(screen.stream, told=[record_of(trial) for trial in trials()])
    assert screen.lines() == [
        "noisy: 16 trials in 4 fits",
        f"noisy  {'━' * 40}  16/16 trials done · 0 failed · 40 s elapsed",
        "best on validation: 50.0% OA (mean of 4; all 4 compared), noisy level=0.0 on tiny",
    ]


def test_no_colour_no_unicode_no_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen(120, encoding="ascii")
    follow(screen.stream)
    lines = screen.lines()
    assert lines[-2] == f"noisy  {'-' * 40}  14/16 trials done | 2 failed | 40 s elapsed"
    assert not re.search(rb"\x1b\[[0-9;]*[0-9]m", screen.written.replace(b"\x1b[0m", b""))
    assert b"\x1b[?25l" not in screen.written
    for name, value in (("TERM", "dumb"), ("TTY_COMPATIBLE", "0")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            screen = Screen(400)
            follow(screen.stream, seconds=0.5)
            assert b"\x1b" not in screen.written
            assert len(screen.lines()) == 5


def test_without_rich_a_terminal_gets_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sweeps.watching.terminal_view", raising=False)
    monkeypatch.setitem(sys.modules, "rich.live", None)
    screen = Screen(400)
    follow(screen.stream, seconds=0.5)
    assert len(screen.lines()) == 5
    assert b"\x1b" not in screen.written


def test_a_terminal_is_painted_at_most_four_times_a_second_and_adding_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    screen = Screen(120)
    progress = Progress(groups(), screen.stream)
    progress.start()
    start_s = time.monotonic()
    record, worst_s, n_added = records()[0], 0.0, 0
    while time.monotonic() - start_s < 1.2:
        progress.note_load(Load(n_running=1))
        before_s = time.thread_time()
        progress.add(record)
        worst_s = max(worst_s, time.thread_time() - before_s)
        n_added += 1
        progress._standing._pace._trials_left[0] = 4
    took_s = time.monotonic() - start_s
    progress.finish()
    screen.lines()
    # At the start, every quarter of a second, and twice at the end: rich paints once more when it stops.
    assert 3 <= screen.written.count(b"trials done") <= took_s * 4 + 3
    assert n_added > 500
    assert worst_s < 0.1


def launch_noisy(store: ResultStore, stream: Any) -> None:
    outcome = launch(noisy_sweep(), store, tiny_scenes(), LoopExecutor(), stream=stream)
    assert (outcome.n_ok, outcome.n_failed) == (16, 0)
    assert store.read().num_rows == 16


class Broken(io.StringIO):
    """Fails from the n-th write on, as a pipe does whose reader has gone."""

    def __init__(self, n_writes: int, is_terminal: bool) -> None:
        super().__init__()
        self._n_left, self._is_terminal = n_writes, is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        self._n_left -= 1
        if self._n_left < 0:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("n_writes", [0, 1, 2, 3])
def test_a_broken_pipe_ends_no_run(store: ResultStore, n_writes: int, is_terminal: bool) -> None:
    before = sys.stdout, sys.stderr
    launch_noisy(store, Broken(n_writes, is_terminal))
    assert (sys.stdout, sys.stderr) == before


def test_a_closed_terminal_ends_no_run(store: ResultStore) -> None:
    screen = Screen(80)
    screen.hang_up()
    with pytest.raises(OSError, match="Input/output error"):
        os.write(screen.stream.fileno(), b"x")
    launch_noisy(store, screen.stream)
    # What was buffered when the terminal went cannot be written any more.
    with pytest.raises(OSError, match="Input/output error"):
        screen.stream.close()


def test_a_closed_stream_ends_no_run(store: ResultStore) -> None:
    stream = io.StringIO()
    stream.close()
    launch_noisy(store, stream)


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("n_good", [0, 1, 3])
def test_a_mistake_in_showing_ends_no_run(
    store: ResultStore, is_terminal: bool, n_good: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, n_asked = Standing.facts, 0

    def fail(*arguments: Any, **keywords: Any) -> Any:
        nonlocal n_asked
        n_asked += 1
        return facts(*arguments, **keywords) if n_asked <= n_good else 1 / 0

    class Lingering(LoopExecutor):
        def execute(self, *arguments: Any, **settings: Any) -> None:
            super().execute(*arguments, **settings)
            # Time for the view's own thread to make the mistake.
            time.sleep(0.6)

    stream = Broken(1000, is_terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(Standing, "facts", fail)
    outcome = launch(noisy_sweep(), store, tiny_scenes(), Lingering(), stream=stream)
    assert (outcome.n_ok, store.read().num_rows) == (16, 16)
    assert sys.stderr is stream


def test_what_others_print_goes_above_the_view_and_a_redirected_output_stays_what_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    screen, out = Screen(100), io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen.stream)
    monkeypatch.setattr(sys, "stdout", out)
    progress = Progress(groups(), screen.stream)
    progress.start()
    print("a result")
    print("a [bold]note[/bold]", file=sys.stderr)
    progress.add(records()[0])
    progress.finish()
    assert out.getvalue() == "a result\n"
    lines = screen.lines()
    assert lines[0] == "16 trials in 4 fits"
    assert lines[1] == "a [bold]note[/bold]"
    assert "1/16 trials done" in lines[2]
    assert len(lines) == 4


def test_the_executors_load_reaches_the_view(store: ResultStore) -> None:
    told: list[str] = []

    class Busy(LoopExecutor):
        def execute(self, groups: Any, scenes: Any, *, on_record: Any, on_load: Any, **settings: Any) -> None:
            def keep(record: RunRecord) -> None:
                on_load(Load(n_running=3, cpus=(3.0, 8.0)))
                on_record(record)

            super().execute(groups, scenes, on_record=keep, on_load=on_load, **settings)

    class Listening(Standing):
        def note_load(self, load: Load) -> None:
            super().note_load(load)
            told.extend(self.facts(0.0).load)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeps.progress.Standing", Listening)
        launch(noisy_sweep(), store, tiny_scenes(), Busy())
    assert told == ["CPU 3/8"] * 16


def test_running_trials_are_counted_down_until_the_load_is_told_anew() -> None:
    planned = trials()[:8]
    standing = Standing(groups()[:2], planned, {}, "")

    def counts() -> list[int]:
        words = " ".join(standing.facts(1.0).counts)
        found = [re.search(rf"(\d+)(?:/8 trials)? {state}", words) for state in ("done", "failed", "running", "left")]
        return [int(match[1]) if match else 0 for match in found]

    assert counts() == [0, 0, 0, 8]
    standing.note_load(Load(n_running=4))
    assert counts() == [0, 0, 4, 4]
    standing.add(record_of(planned[0]), 1.0)
    standing.add(record_of(planned[1], oa=None), 1.0)
    assert counts() == [1, 1, 2, 4]
    standing.note_load(Load(n_running=80))
    assert counts() == [1, 1, 6, 0]
