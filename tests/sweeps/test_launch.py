"""A launch runs what is missing, keeps what it gets, and says how it went."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest

from benchmark import InvalidValueError, UnknownNameError
from results import ResultStore, RunRecord, StoreError, open_store
from sweeps import EXECUTORS, Outcome, describe_plan, launch, plan
from sweeps.executors.base import Executor
from sweeps.executors.loop import LoopExecutor
from sweeps.progress import Progress
from tests.sweeps.sweep_factory import noisy_sweep, tiny_scenes

SCENES = tiny_scenes()
LOOP = LoopExecutor()


class CountingExecutor(LoopExecutor):
    """Notes what it is asked to run."""

    asked: list[str] = []  # noqa: RUF012

    def execute(self, groups: Any, scenes: Any, **settings: Any) -> None:
        self.asked[:] = [trial.trial_id for group in groups for trial in group]
        super().execute(groups, scenes, **settings)


def statuses(store: ResultStore) -> list[str]:
    return store.read().column("status").to_pylist()


def test_every_planned_trial_is_stored_once(store: ResultStore) -> None:
    outcome = launch(noisy_sweep(), store, SCENES, LOOP)
    assert outcome == Outcome(n_planned=16, n_skipped=0, n_ok=16, n_failed=0)
    planned = sorted(trial.trial_id for trial in plan(noisy_sweep(), SCENES))
    assert store.read().column("trial_id").to_pylist() == planned


def test_planned_trials_can_be_launched_without_a_sweep(store: ResultStore) -> None:
    trials = plan(noisy_sweep(), SCENES)[:3]
    outcome = launch([*trials, *trials], store, SCENES, LOOP)
    assert outcome == Outcome(n_planned=3, n_skipped=0, n_ok=3, n_failed=0)
    assert len(statuses(store)) == 3


def test_a_rerun_runs_only_what_is_missing(store: ResultStore, tmp_path: Path) -> None:
    launch(noisy_sweep(), store, SCENES, LOOP)
    gone = sorted((tmp_path / "store").glob("*.parquet"))[::5]
    for file in gone:
        file.unlink()
    executor = CountingExecutor()
    outcome = launch(noisy_sweep(), store, SCENES, executor)
    assert outcome == Outcome(n_planned=16, n_skipped=12, n_ok=4, n_failed=0)
    assert sorted(executor.asked) == [file.stem for file in gone]
    executor.asked.clear()
    assert launch(noisy_sweep(), store, SCENES, executor).n_skipped == 16
    assert executor.asked == []


def test_failing_trials_are_recorded_and_run_again(store: ResultStore, tmp_path: Path) -> None:
    axes = {"fault": ("", "fail_once")}
    sweep = noisy_sweep(axes=axes, params={"marker": str(tmp_path / "failed")}, controls=(), n_seeds=1)
    assert launch(sweep, store, SCENES, LOOP) == Outcome(n_planned=4, n_skipped=0, n_ok=2, n_failed=2)
    failed = [row for row in store.read().to_pylist() if row["status"] == "failed"]
    assert {row["error_type"] for row in failed} == {"ValueError"}
    assert all("on purpose" in row["error"] and row["confusion_test"] is None for row in failed)
    assert launch(sweep, store, SCENES, LOOP) == Outcome(n_planned=4, n_skipped=2, n_ok=2, n_failed=0)
    assert statuses(store) == ["ok"] * 4


def test_an_unwritable_store_ends_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    executor = CountingExecutor()
    executor.asked.clear()
    with pytest.raises(StoreError, match="cannot be written") as caught:
        launch(noisy_sweep(), open_store(tmp_path / "store"), SCENES, executor)
    assert "\n" not in str(caught.value)
    assert executor.asked == []


def test_a_wrong_plan_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="method"):
        launch(noisy_sweep(method="nosy"), open_store(tmp_path / "store"), SCENES, LOOP)
    assert not (tmp_path / "store").exists()


def test_an_interruption_keeps_what_is_finished_and_says_how_to_go_on(store: ResultStore) -> None:
    class Interrupted(LoopExecutor):
        def execute(self, groups: Any, scenes: Any, **settings: Any) -> None:
            super().execute(groups[:2], scenes, **settings)
            raise KeyboardInterrupt

    stream = io.StringIO()
    outcome = launch(noisy_sweep(), store, SCENES, Interrupted(), stream=stream)
    assert outcome == Outcome(n_planned=16, n_skipped=0, n_ok=4, n_failed=0, interrupted=True)
    assert "the same command goes on" in stream.getvalue()
    assert launch(noisy_sweep(), store, SCENES, LOOP).n_ok == 12


def test_a_store_that_fails_under_way_ends_the_run(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def write(record: RunRecord) -> None:
        written.append(record.trial_id)
        if len(written) == 3:
            raise StoreError("disk full")

    monkeypatch.setattr(store, "write", write)
    with pytest.raises(StoreError, match="disk full"):
        launch(noisy_sweep(), store, SCENES, LOOP)
    assert len(written) == 3


def test_records_are_written_as_they_arrive(store: ResultStore) -> None:
    seen: list[int] = []

    class Watching(Executor):
        def execute(self, groups: Any, scenes: Any, *, device: str, on_record: Any) -> None:
            def watch(record: RunRecord) -> None:
                on_record(record)
                seen.append(len(statuses(store)))

            LOOP.execute(groups, scenes, device=device, on_record=watch)

    launch(noisy_sweep(), store, SCENES, Watching())
    assert seen == list(range(1, 17))


def test_the_loop_refuses_what_it_cannot_serve() -> None:
    with pytest.raises(InvalidValueError, match="--executor ray"):
        LoopExecutor(address="auto")
    with pytest.raises(InvalidValueError, match="--executor ray"):
        LoopExecutor(gpus_per_trial=0.5)


def test_executors_are_found_by_name() -> None:
    assert EXECUTORS.names() == ["loop", "ray"]
    assert EXECUTORS.get("loop") is LoopExecutor


def test_the_plan_is_described_per_scene_and_method(store: ResultStore) -> None:
    trials = plan(noisy_sweep(), SCENES)
    finished = {trial.trial_id for trial in trials[:5]}
    lines = describe_plan(trials, finished, question="Does noise hurt?").splitlines()
    assert lines[0] == "Does noise hurt?"
    assert [line.split() for line in lines[1:]] == [
        ["scene", "method", "protocol", "configurations", "trials", "fits", "done"],
        ["tiny", "noisy", "knn", "3", "12", "6", "5"],
        ["tiny", "raw_spectra", "knn", "1", "4", "2", "0"],
        ["all", "4", "16", "8", "5"],
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def records_of_run(store: ResultStore) -> list[RunRecord]:
    launch(noisy_sweep(), store, SCENES, LOOP)
    by_id = {row["trial_id"]: RunRecord.from_row(row) for row in store.read().to_pylist()}
    return [by_id[trial.trial_id] for trial in plan(noisy_sweep(), SCENES)]


def follow(records: list[RunRecord], stream: io.StringIO, seconds_per_record: float) -> None:
    trials = plan(noisy_sweep(), SCENES)
    clock = Clock()
    progress = Progress([tuple(trials[i : i + 2]) for i in range(0, 16, 2)], 3, stream, label="noisy", clock=clock)
    progress.start()
    for record in records:
        clock.now_s += seconds_per_record
        progress.add(dataclasses.replace(record, fit_s=seconds_per_record, embed_s=0.0, protocol_s=0.0))
    progress.finish()


def test_a_log_gets_whole_lines_with_the_time_left(store: ResultStore) -> None:
    stream = io.StringIO()
    follow(records_of_run(store), stream, 10.0)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "noisy: 16 trials in 8 fits, 3 finished before"
    assert len(lines) == 1 + 8 + 1
    assert lines[2].startswith("noisy: 4/16 trials · 0 failed · 40 s elapsed · 2 min 00 s left · best validation OA ")
    assert "left" not in lines[-1]
    assert "\r" not in stream.getvalue()


def test_a_log_of_short_trials_stays_short(store: ResultStore) -> None:
    stream = io.StringIO()
    follow(records_of_run(store), stream, 0.5)
    assert len(stream.getvalue().splitlines()) == 1 + 1 + 1


def test_a_terminal_gets_one_line_rewritten(store: ResultStore) -> None:
    stream = Terminal()
    follow(records_of_run(store), stream, 0.5)
    assert stream.getvalue().count("\n") == 2
    assert stream.getvalue().count("\r\x1b[K") == 16 + 2


def test_the_best_is_a_mean_and_no_bound(store: ResultStore) -> None:
    records = records_of_run(store)
    perfect = [[5, 0], [0, 5]]
    half = [[5, 0], [5, 0]]
    marked = [dataclasses.replace(record, confusion_val=half) for record in records]
    # One lucky split of four is no best; a bound is none at all.
    marked[0] = dataclasses.replace(marked[0], confusion_val=perfect)
    marked[4:8] = [dataclasses.replace(item, confusion_val=perfect, sees_labels="all") for item in marked[4:8]]
    stream = io.StringIO()
    follow(marked, stream, 10.0)
    assert stream.getvalue().splitlines()[-1].endswith("best validation OA 62.5% (noisy)")


def test_equal_errors_are_told_once(store: ResultStore) -> None:
    sweep = noisy_sweep(axes={"fault": ("fail",)}, controls=())
    stream = io.StringIO()
    assert launch(sweep, store, SCENES, LOOP, stream=stream).n_failed == 4
    told = [line for line in stream.getvalue().splitlines() if "on purpose" in line]
    assert len(told) == 1
    assert told[0].startswith("failed: noisy on tiny, seed 0, split 0 (trial ")
