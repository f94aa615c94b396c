"""What runs beside what: shares of a GPU, fits that lack memory, bundles. The GPU is one that Ray is told of."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark import InvalidValueError, group_trials
from benchmark.runner import failed_record
from results import ResultStore, RunRecord
from sweeps import EXECUTORS, Outcome, launch, plan
from sweeps.executors.base import Load
from sweeps.executors.ray import _bundle, _lacked_memory, _share_of_fit
from tests.sweeps.local_ray import MARKS, local_ray
from tests.sweeps.sweep_factory import noisy_sweep, tiny_scenes

pytestmark = MARKS

SCENES = tiny_scenes()
_LEVELS = tuple(float(level) for level in range(6))


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Four processors and a GPU, wherever this runs."""
    with local_ray(tmp_path_factory.mktemp("home"), num_cpus=4, num_gpus=1):
        yield


def peers(folder: Path) -> list[int]:
    """Return for every fit how many were under way at once, as they noted it."""
    return sorted(int(re.sub(r".*peers", "", path.name)) for path in folder.glob("*.peers*"))


def sweep_noting(folder: Path, fault: str = "note_peers", **changes: Any) -> Any:
    params = {"fault": fault, "marker": str(folder)}
    return noisy_sweep(axes={"level": _LEVELS}, params=params, controls=(), n_seeds=1, n_splits=1, **changes)


class AThirdOfTheGpu:
    """Pretends, in a worker, that a fit takes 300 of 1000 MiB."""

    def begin(self) -> float:
        return 1000.0

    def taken(self) -> float:
        return 300.0


class Broken:
    """No GPU is opened by who has none."""

    def begin(self) -> float:
        raise RuntimeError("a fit on processors asked for the GPU")

    def taken(self) -> float:
        raise RuntimeError("a fit on processors asked for the GPU")


def test_the_first_fit_is_measured_alone_and_the_rest_share(tmp_path: Path, store: ResultStore) -> None:
    executor = EXECUTORS.get("ray")(gpus_per_trial="auto", gpu_memory=AThirdOfTheGpu())
    loads: list[Load] = []
    groups = group_trials(plan(sweep_noting(tmp_path), SCENES))
    records: list[RunRecord] = []
    executor.execute(groups, SCENES, device="auto", on_record=records.append, on_load=loads.append)
    assert [record.status for record in records] == ["ok"] * 6
    # 0.9 * 1000 / (1.2 * 300) = 2.5: two beside each other, and the one that was measured had none.
    counts = peers(tmp_path)
    assert counts[0] == 1
    assert max(counts) == 2
    assert {load.n_nodes for load in loads} == {1}
    assert {load.cpus[1] for load in loads} == {4.0}
    assert {load.gpus[1] for load in loads} == {1.0}
    assert max(load.gpus[0] for load in loads) <= 1.0
    assert max(load.n_running for load in loads) in (1, 2)


def test_what_runs_out_of_memory_is_tried_again_with_half_as_many_beside_it(tmp_path: Path, store: ResultStore) -> None:
    executor = EXECUTORS.get("ray")(gpus_per_trial=0.5)
    outcome = launch(sweep_noting(tmp_path, "need_room"), store, SCENES, executor)
    assert outcome == Outcome(n_planned=6, n_skipped=0, n_ok=6, n_failed=0)
    # Some failed beside another one, and every one went well alone.
    assert max(peers(tmp_path)) == 2
    assert peers(tmp_path).count(1) == 6


@pytest.mark.parametrize(
    "message",
    ["CUDA error: out of memory", "cublas: CUBLAS_STATUS_ALLOC_FAILED when calling", "CUDNN_ALLOCATION_FAILED"],
)
def test_what_cuda_says_of_its_own_memory_counts_too(message: str) -> None:
    lacking = failed_record(plan(noisy_sweep(), SCENES)[0], "RuntimeError", message)
    assert _lacked_memory(lacking)
    assert not _lacked_memory(failed_record(plan(noisy_sweep(), SCENES)[0], "RuntimeError", "CUDA error: unknown"))


def test_what_runs_on_processors_asks_for_no_gpu(store: ResultStore) -> None:
    sweep = noisy_sweep(axes={"level": (1.0,)}, controls=(), n_seeds=1, n_splits=1)
    assert launch(sweep, store, SCENES, EXECUTORS.get("ray")(gpu_memory=Broken())).n_ok == 1


def test_a_fit_that_failed_measures_nothing(tmp_path: Path) -> None:
    executor = EXECUTORS.get("ray")(gpus_per_trial="auto", gpu_memory=AThirdOfTheGpu())
    failing = noisy_sweep(axes={"fault": ("fail",)}, controls=(), n_seeds=1, n_splits=1)
    noting = sweep_noting(tmp_path)
    groups = group_trials([*plan(failing, SCENES), *plan(noting, SCENES)])[:4]
    records: list[RunRecord] = []
    executor.execute(groups, SCENES, device="auto", on_record=records.append)
    assert sorted(record.status for record in records) == ["failed", "ok", "ok", "ok"]
    assert peers(tmp_path) == [1, 1, 1]


def test_cuda_without_a_share_is_one_line(store: ResultStore) -> None:
    with pytest.raises(InvalidValueError, match="add --gpus-per-trial 1"):
        launch(noisy_sweep(), store, SCENES, EXECUTORS.get("ray")(), device="cuda")


def test_what_lacks_memory_even_alone_is_a_failed_record(store: ResultStore) -> None:
    sweep = noisy_sweep(axes={"fault": ("out_of_memory",)}, controls=(), n_seeds=1, n_splits=1)
    outcome = launch(sweep, store, SCENES, EXECUTORS.get("ray")(gpus_per_trial=0.5))
    assert (outcome.n_ok, outcome.n_failed) == (0, 1)
    assert store.read().column("error_type").to_pylist() == ["OutOfMemoryError"]


def test_classical_methods_take_no_share_of_the_gpu(tmp_path: Path) -> None:
    groups = group_trials(plan(noisy_sweep(n_seeds=1), SCENES))
    bundles = [_bundle((group,), "auto", _share_of_fit(group, "auto", 1.0)) for group in groups]
    rooms = {bundle.first.method: (bundle.device, bundle.room.gpus) for bundle in bundles}
    assert rooms == {"noisy": ("auto", 1.0), "raw_spectra": ("cpu", 0.0)}


@pytest.mark.campaign
def test_a_bundle_goes_on_behind_a_lost_worker(tmp_path: Path) -> None:
    """Enough configurations that the seeds of each run in one worker, which dies with some of them."""
    noted = sweep_noting(tmp_path)
    many = dataclasses.replace(noted, axes={"level": tuple(range(14))}, params={}, n_seeds=3)
    faulty = dataclasses.replace(
        noted, axes={"fault": ("exit_once", "exit_at_seed_1")}, params={"marker": str(tmp_path / "once")}, n_seeds=3
    )
    trials = [*plan(many, SCENES), *plan(faulty, SCENES)]
    records: list[RunRecord] = []
    EXECUTORS.get("ray")().execute(group_trials(trials), SCENES, device="auto", on_record=records.append)
    assert sorted(record.trial_id for record in records) == sorted(trial.trial_id for trial in trials)
    assert (tmp_path / "once").exists()
    # One seed takes its worker with it every time; the seed behind it does not fail with it.
    (lost,) = (record for record in records if record.status != "ok")
    assert (lost.error_type, lost.seed) == ("WorkerLostError", 1)
    assert '"fault":"exit_at_seed_1"' in lost.params_json
    # The seeds of a configuration ran one after the other, in one worker.
    starts = {record.trial_id: record.started_utc for record in records if record.status == "ok"}
    assert len(starts) == len(trials) - 1
