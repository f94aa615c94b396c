"""Ray runs the same trials as the loop, with the same numbers, and loses none of them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from benchmark import InvalidValueError, group_trials, run_group
from results import ResultStore, RunRecord, StoreError
from results.schema import VOLATILE_COLUMNS
from sweeps import EXECUTORS, Outcome, launch, plan
from sweeps.executors.base import Executor
from sweeps.executors.loop import LoopExecutor
from tests.scene_factory import tiny_scene
from tests.sweeps.local_ray import MARKS, local_ray
from tests.sweeps.sweep_factory import learning_sweep, noisy_sweep, tiny_scenes

pytestmark = MARKS

SCENES = tiny_scenes()


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def executor(temporary: Path) -> Iterator[Executor]:
    """One Ray for the module, with two workers on any machine; test_kill.py starts the executor's own."""
    with pytest.MonkeyPatch.context() as patch, local_ray(temporary.parent, num_cpus=2):
        patch.setattr("tempfile.tempdir", str(temporary))
        yield EXECUTORS.get("ray")()


def run(work: Any, executor: Executor, scenes: Any = SCENES) -> dict[str, RunRecord]:
    """Return the records by trial_id, each having come once."""
    records: dict[str, RunRecord] = {}

    def keep(record: RunRecord) -> None:
        assert record.trial_id not in records
        records[record.trial_id] = record

    executor.execute(work, scenes, device="cpu", on_record=keep)
    return records


def clusters_outlive(seconds: float) -> bool:
    """Return whether a Ray cluster still runs on this machine after so long; our own needs a moment to end."""
    deadline = time.monotonic() + seconds
    while any(process_name(folder) == "gcs_server" for folder in Path("/proc").glob("[0-9]*")):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.2)
    return False


def process_name(folder: Path) -> str:
    """Return the name of the process that ``folder`` describes, "" where it has just ended."""
    try:
        return (folder / "comm").read_text().strip()
    except OSError:
        return ""


def measured(record: RunRecord) -> dict[str, Any]:
    """Return all columns but those that a rerun may change."""
    row = dataclasses.asdict(record)
    return {name: value for name, value in row.items() if name not in VOLATILE_COLUMNS}


def test_ray_gives_the_numbers_of_the_loop_in_fresh_and_reused_workers(executor: Executor, tmp_path: Path) -> None:
    groups = group_trials(plan(learning_sweep(), SCENES))
    noting = noisy_sweep(params={"fault": "note_process", "marker": str(tmp_path)}, controls=(), n_seeds=1)
    groups += group_trials(plan(noting, SCENES))
    by_ray = run(groups, executor)
    # Nine groups, two workers: neither was thrown away after its first.
    assert len(list(tmp_path.iterdir())) <= 2
    by_loop = run(groups, LoopExecutor())
    assert {record.status for record in by_loop.values()} == {"ok"}
    assert by_loop.keys() == by_ray.keys()
    for trial_id, record in by_loop.items():
        assert measured(by_ray[trial_id]) == measured(record)
    # Alone, in a fresh worker: the last trial of the last group that learns.
    alone = groups[5][-1]
    assert alone.method == "nt_xent"
    assert measured(run([(alone,)], executor)[alone.trial_id]) == measured(by_loop[alone.trial_id])
    assert measured(run([(alone,)], LoopExecutor())[alone.trial_id]) == measured(by_loop[alone.trial_id])


def test_a_lost_worker_is_a_record_and_harms_nobody(executor: Executor, tmp_path: Path, store: ResultStore) -> None:
    sweep = noisy_sweep(
        axes={"fault": ("", "exit", "exit_once", "fail")}, params={"marker": str(tmp_path / "exited")}, controls=(),
        n_seeds=1,
    )  # fmt: skip
    outcome = launch(sweep, store, SCENES, executor)
    # Two splits each: the healthy and the one that is retried go well.
    assert outcome == Outcome(n_planned=8, n_skipped=0, n_ok=4, n_failed=4)
    rows = store.read().to_pylist()
    lost = [row for row in rows if '"fault":"exit"' in row["params_json"]]
    assert [row["error_type"] for row in lost] == ["WorkerLostError"] * 2
    assert "the worker was lost 3 times" in lost[0]["error"]
    assert [row["error_type"] for row in rows if '"fault":"fail"' in row["params_json"]] == ["ValueError"] * 2


def test_shared_memory_is_read_only_and_a_fit_works_on_a_copy(executor: Executor) -> None:
    view = ray.get(ray.put(tiny_scene(seed=3)))
    assert not view.cube.flags.writeable
    before = view.cube.copy()
    sweep = noisy_sweep(axes={"spoils_cube": (True,)}, controls=(), n_seeds=1)
    (group,) = group_trials(plan(sweep, {"tiny": view}))
    # The fit fills its cube through torch, which heeds no read-only flag.
    assert [record.status for record in run_group(group, view)] == ["ok", "ok"]
    assert np.array_equal(view.cube, before)


def test_a_store_that_fails_ends_the_run_with_its_own_error(
    executor: Executor, store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(record: RunRecord) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(store, "write", write)
    with pytest.raises(StoreError, match=r"^disk full$"):
        launch(noisy_sweep(n_seeds=1, controls=()), store, SCENES, executor)


def test_nothing_is_left_behind(executor: Executor, temporary: Path) -> None:
    # After all the runs above. PyTorch keeps a folder of its own there.
    assert list(temporary.glob("hsicl-*")) == []
    assert not (Path.home() / "ray_results").exists()


def test_more_gpus_than_there_are_is_one_line(executor: Executor) -> None:
    greedy = EXECUTORS.get("ray")(gpus_per_trial=64.0)
    with pytest.raises(InvalidValueError, match="--gpus-per-trial 64: this machine has"):
        run(group_trials(plan(noisy_sweep(), SCENES)), greedy)
    with pytest.raises(InvalidValueError, match="must be auto, 0"):
        EXECUTORS.get("ray")(gpus_per_trial=-1.0)


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:1", "nowhere.invalid:6379", "nonsense"])
def test_an_address_without_a_cluster_is_one_line(address: str) -> None:
    """Without the module's session: a connection inside one is no new one."""
    ray.shutdown()
    if address == "auto" and clusters_outlive(20):
        pytest.skip("another Ray runs on this machine, and 'auto' finds it")
    with pytest.raises(InvalidValueError, match=f"--address {address}: no Ray to be had there") as caught:
        run(group_trials(plan(noisy_sweep(), SCENES)), EXECUTORS.get("ray")(address=address))
    assert "\n" not in str(caught.value)
