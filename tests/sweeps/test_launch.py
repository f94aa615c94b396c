"""A launch runs what is missing, keeps what it gets, and says how it went."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest

from benchmark import InvalidValueError, UnknownNameError
from results import ResultStore, RunRecord, StoreError, open_store
from results.compact import compact
from sweeps import EXECUTORS, Outcome, describe_plan, launch, plan
from sweeps.executors.base import Executor
from sweeps.executors.loop import LoopExecutor
from sweeps.search.scoring import validation_accuracies
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


def test_the_best_so_far_counts_what_was_finished_before(store: ResultStore, tmp_path: Path) -> None:
    streams = [io.StringIO(), io.StringIO()]
    launch(noisy_sweep(), store, SCENES, LOOP, stream=streams[0])
    for file in sorted((tmp_path / "store").glob("*.parquet"))[::5]:
        file.unlink()
    launch(noisy_sweep(), store, SCENES, LOOP, stream=streams[1])
    first, again = (stream.getvalue().splitlines()[-1].partition("best on ")[2] for stream in streams)
    assert "(mean of 4; all 4 compared)" in first
    assert again == first


def test_failing_trials_are_recorded_and_run_again(store: ResultStore, tmp_path: Path) -> None:
    axes = {"fault": ("", "fail_once")}
    sweep = noisy_sweep(axes=axes, params={"marker": str(tmp_path / "failed")}, controls=(), n_seeds=1)
    assert launch(sweep, store, SCENES, LOOP) == Outcome(n_planned=4, n_skipped=0, n_ok=2, n_failed=2)
    failed = [row for row in store.read().to_pylist() if row["status"] == "failed"]
    assert {row["error_type"] for row in failed} == {"ValueError"}
    assert all("on purpose" in row["error"] and row["confusion_test"] is None for row in failed)
    assert launch(sweep, store, SCENES, LOOP) == Outcome(n_planned=4, n_skipped=2, n_ok=2, n_failed=0)
    assert statuses(store) == ["ok"] * 4


class Overtaken(LoopExecutor):
    """Another sweep finishes every trial, then all of them fail here, or fail there too."""

    def __init__(self, other: ResultStore, status: str, *, compacts: bool = False) -> None:
        super().__init__()
        self.other, self.status, self.compacts = other, status, compacts

    def execute(self, groups: Any, scenes: Any, *, on_record: Any, **settings: Any) -> None:
        def lost(record: RunRecord) -> None:
            self.other.write(dataclasses.replace(record, status=self.status, host="other"))
            if self.compacts:
                compact(self.other)
            on_record(dataclasses.replace(record, status="failed", error="worker lost", host="here"))

        super().execute(groups, scenes, on_record=lost, **settings)


@pytest.mark.parametrize("compacts", [False, True])
@pytest.mark.parametrize(("status", "kept"), [("ok", "other"), ("failed", "here"), ("diverged", "here")])
def test_a_failure_does_not_replace_the_result_of_another_sweep(
    store: ResultStore, status: str, kept: str, compacts: bool
) -> None:
    trials = plan(noisy_sweep(), SCENES)[:4]
    overtaken = Overtaken(open_store(store.uri), status, compacts=compacts)
    stream = io.StringIO()
    outcome = launch(trials, store, SCENES, overtaken, stream=stream)
    assert outcome == Outcome(n_planned=4, n_skipped=0, n_ok=0, n_failed=4)
    assert "worker lost" in stream.getvalue()
    assert store.read().column("host").to_pylist() == [kept] * 4
    assert set(statuses(store)) == {"ok" if kept == "other" else "failed"}


def test_a_result_replaces_a_result_unlooked(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "is_ok", lambda _: pytest.fail("an ok record is written without a look"))
    assert launch(noisy_sweep(), store, SCENES, LOOP).n_ok == 16


def test_a_launch_and_a_search_read_a_few_columns(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    launch(noisy_sweep(), store, SCENES, LOOP)
    monkeypatch.setattr("results.store.migrate", lambda *_: pytest.fail("all columns were read"))
    assert launch(noisy_sweep(), store, SCENES, LOOP).n_skipped == 16
    assert len(validation_accuracies(store)) == 16


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
        def execute(self, groups: Any, scenes: Any, *, device: str, on_record: Any, on_load: Any) -> None:
            def watch(record: RunRecord) -> None:
                on_record(record)
                seen.append(len(statuses(store)))

            LOOP.execute(groups, scenes, device=device, on_record=watch, on_load=on_load)

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


def test_equal_errors_are_told_once(store: ResultStore) -> None:
    sweep = noisy_sweep(axes={"fault": ("fail",)}, controls=())
    stream = io.StringIO()
    assert launch(sweep, store, SCENES, LOOP, stream=stream).n_failed == 4
    told = [line for line in stream.getvalue().splitlines() if "on purpose" in line]
    assert len(told) == 1
    assert told[0].startswith("failed: noisy on tiny, seed 0, split 0 (trial ")
