"""``--fuse``: executors train fits as one where they can, and every trial still has its own record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark import InvalidValueError, group_trials
from hsicl import main
from results import RunRecord
from sweeps import EXECUTORS, plan
from sweeps.executors.base import Executor, Load
from sweeps.executors.loop import LoopExecutor
from tests.sweeps.local_ray import MARKS, local_ray
from tests.sweeps.sweep_factory import learning_sweep, noisy_sweep, tiny_scenes

SCENES = tiny_scenes()


def on_real_ray(test: Any) -> Any:
    for mark in MARKS:
        test = mark(test)
    return test


def records_of(executor: Executor, work: Any, on_load: Any = lambda load: None) -> dict[str, RunRecord]:
    records: dict[str, RunRecord] = {}

    def keep(record: RunRecord) -> None:
        assert record.trial_id not in records
        records[record.trial_id] = record

    executor.execute(work, SCENES, device="cpu", on_record=keep, on_load=on_load)
    return records


def learning_groups() -> list[Any]:
    return group_trials(plan(learning_sweep(), SCENES))


def fused_sizes(records: dict[str, RunRecord]) -> set[int | None]:
    return {record.n_fused for record in records.values() if record.method != "raw_spectra"}


def test_the_loop_trains_as_many_as_one_as_it_is_told() -> None:
    groups = learning_groups()
    loads: list[Load] = []
    together = records_of(LoopExecutor(fuse=2), groups, loads.append)
    alone = records_of(LoopExecutor(), groups)
    assert together.keys() == alone.keys() == {trial.trial_id for group in groups for trial in group}
    assert {record.status for record in together.values()} == {"ok"}
    assert max(size or 0 for size in fused_sizes(together)) == 2
    # On a CPU nothing is fused unless asked for.
    assert fused_sizes(alone) == {1}
    assert max(load.n_running for load in loads) > max(map(len, groups))
    for trial_id, record in together.items():
        # Rounding may move a pixel or two of the tiny scene, no more.
        other = alone[trial_id]
        assert (record.n_train, record.n_test, record.seed) == (other.n_train, other.n_test, other.seed)
        assert record.curves[0]["value"] == pytest.approx(other.curves[0]["value"], rel=1e-4) if record.curves else True


def test_packs_by_the_device_of_each_fit() -> None:
    groups = learning_groups()
    on_gpu = LoopExecutor().packs(groups, lambda group: "cuda")
    on_cpu = LoopExecutor().packs(groups, lambda group: "cpu")
    assert sum(map(len, on_gpu)) == sum(map(len, on_cpu)) == len(groups)
    assert max(map(len, on_gpu)) > 1 == max(map(len, on_cpu))
    assert max(map(len, LoopExecutor(fuse=3).packs(groups, lambda group: "cpu"))) == 3
    # What trackers show is one fit at a time.
    tracked = EXECUTORS.get("ray")(trackers=("tensorboard",), fuse=3)
    assert max(map(len, tracked.packs(groups, lambda group: "cuda"))) == 1


@pytest.mark.parametrize("fuse", [0, -1, "many", 1.5])
def test_a_size_that_is_none_is_one_line(fuse: Any) -> None:
    with pytest.raises(InvalidValueError, match="--fuse must be auto or a whole number >= 1"):
        LoopExecutor(fuse=fuse)


@pytest.mark.parametrize("text", ["0", "x"])
def test_the_command_line_refuses_it(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(["sweep", "smoke", "--executor", "loop", "--fuse", text, "--dry-run"])
    except SystemExit as ended:
        status = int(str(ended.code))
    assert status == 2
    told = capsys.readouterr().err
    assert "--fuse" in told
    assert told.count("\n") == 1


@pytest.fixture(scope="module")
def on_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("ray")
    with local_ray(folder, num_cpus=2):
        yield folder


@on_real_ray
def test_ray_trains_packs_and_gives_every_record_once(on_ray: Path) -> None:
    groups = learning_groups()
    together = records_of(EXECUTORS.get("ray")(fuse=2), groups)
    here = records_of(LoopExecutor(fuse=2), groups)
    assert together.keys() == here.keys()
    for trial_id, record in together.items():
        assert (record.status, record.confusion_test) == ("ok", here[trial_id].confusion_test)
        assert record.n_fused == here[trial_id].n_fused


@on_real_ray
def test_who_lacks_memory_in_a_pack_runs_again_alone(on_ray: Path) -> None:
    work = noisy_sweep(params={"fault": "crowded"}, controls=(), n_splits=2)
    records = records_of(EXECUTORS.get("ray")(fuse=4), group_trials(plan(work, SCENES)))
    assert len(records) == 12
    assert {record.status for record in records.values()} == {"ok"}
    # Packs of 4 and 2, of each of which the first had room; 2 trials each.
    assert sorted(record.n_fused or 0 for record in records.values()) == [1] * 8 + [2] * 2 + [4] * 2


@on_real_ray
def test_of_a_pack_that_fills_the_machine_too(on_ray: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.on_ray.packing.Room.doubled", lambda room, most_cpus: None)
    work = noisy_sweep(params={"fault": "crowded"}, controls=(), n_splits=1)
    records = records_of(EXECUTORS.get("ray")(fuse=6), group_trials(plan(work, SCENES)))
    assert [record.status for record in records.values()] == ["ok"] * 6
