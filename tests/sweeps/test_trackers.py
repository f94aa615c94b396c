"""Trackers show runs elsewhere through Ray's own callbacks: parameters, curves, validation accuracy, no test number."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark import InvalidValueError, UnknownNameError
from results import ResultStore
from results.metrics import overall_accuracy
from sweeps import EXECUTORS, launch
from sweeps.executors.loop import LoopExecutor
from sweeps.registries import TRACKERS
from tests.sweeps.local_ray import MARKS, local_ray
from tests.sweeps.sweep_factory import learning_sweep, tiny_scenes

pytestmark = [
    *MARKS,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

SCENES = tiny_scenes()


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with local_ray(tmp_path_factory.mktemp("home"), num_cpus=2):
        yield


def tracked(store: ResultStore, *names: str) -> list[dict[str, Any]]:
    """Run six fits with trackers and return their rows: two splits each."""
    executor = EXECUTORS.get("ray")(trackers=names, experiment="learning")
    assert launch(learning_sweep(), store, SCENES, executor).n_ok == 12
    return store.read().to_pylist()


def fits_of(rows: list[dict[str, Any]]) -> dict[tuple[str, str, int], float]:
    """Return the mean validation accuracy of every fit."""
    parts: dict[tuple[str, str, int], list[float]] = {}
    for row in rows:
        key = (row["method"], row["params_json"], row["seed"])
        parts.setdefault(key, []).append(overall_accuracy(row["confusion_val"]))
    return {key: sum(values) / len(values) for key, values in parts.items()}


def events_of(path: Path) -> list[Any]:
    """Return the events of a TensorBoard file: length, its checksum, the event, the checksum of that."""
    from tensorboardX.proto.event_pb2 import Event

    data, events, at = path.read_bytes(), [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        events.append(Event.FromString(data[at + 12 : at + 12 + length]))
        at += 16 + length
    return events


def test_tensorboard_shows_every_fit(tmp_path: Path, store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = tracked(store, "tensorboard")
    shown: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for path in (tmp_path / "tracking/tensorboard/learning").rglob("events.out.tfevents.*"):
        for event in events_of(path):
            for value in event.summary.value:
                points = shown.setdefault(path.parent.name, {}).setdefault(value.tag.removeprefix("ray/tune/"), [])
                points.append((event.step, value.simple_value))
    assert len(shown) == 6
    accuracies = sorted(tags["validation_overall_accuracy"][-1][1] for tags in shown.values())
    assert accuracies == pytest.approx(sorted(fits_of(rows).values()), abs=1e-6)
    # The curves that are in the store are the ones that are shown, their steps counted from 1.
    row = next(row for row in rows if row["method"] == "nt_xent")
    (tags,) = (tags for name, tags in shown.items() if name.startswith("nt_xent") and f"seed{row['seed']}" in name)
    for name in {point["name"] for point in row["curves"]}:
        stored = [(point["step"] + 1, point["value"]) for point in row["curves"] if point["name"] == name]
        assert [step for step, _ in tags[name]] == [step for step, _ in stored]
        assert [value for _, value in tags[name]] == pytest.approx([value for _, value in stored], rel=1e-5)
    assert not any("test" in tag for tags in shown.values() for tag in tags)


def test_mlflow_shows_every_fit(tmp_path: Path, store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    rows = tracked(store, "mlflow")
    client = mlflow.MlflowClient((tmp_path / "runs").as_uri())
    experiment = client.get_experiment_by_name("learning")
    runs = client.search_runs([experiment.experiment_id])
    accuracies = sorted(run.data.metrics["validation_overall_accuracy"] for run in runs)
    assert accuracies == pytest.approx(sorted(fits_of(rows).values()))
    assert sorted(run.data.params["method"] for run in runs) == ["mined_negatives"] * 4 + ["nt_xent"] * 2
    assert {run.data.params["temperature"] for run in runs} == {"0.1", "0.5"}
    assert not any("test" in name for run in runs for name in run.data.metrics)


def test_wandb_writes_every_fit_offline(tmp_path: Path, store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    tracked(store, "wandb")
    assert len(list(tmp_path.rglob("run-*.wandb"))) == 6


def test_without_trackers_nothing_is_written(
    tmp_path: Path, store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tracked(store)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize("name", [name for name in TRACKERS.names() if name != "tensorboard"])
def test_a_tracker_whose_package_is_missing_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(Exception, match=f"--track {name}") as caught:
        TRACKERS.get(name)().callback("learning")
    assert "\n" not in str(caught.value)


def test_a_tracker_that_does_not_exist_is_told_before_anything_runs() -> None:
    with pytest.raises(UnknownNameError, match="tensorboard"):
        EXECUTORS.get("ray")(trackers=("tensorbord",))


def test_the_loop_has_no_trackers() -> None:
    with pytest.raises(InvalidValueError, match="--track tensorboard"):
        LoopExecutor(trackers=("tensorboard",))
