"""A row's identity, rebuilt from its columns, is the one that its trial was planned with."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from benchmark import BENCHMARK_VERSION, SplitSpec, plan_trial, run_trial
from benchmark.identity import rebuilt_identity
from benchmark.predictions import ExternalMethod
from benchmark.record_columns import trial_columns
from benchmark.trial import Trial
from tests.scene_factory import tiny_scene

SCENE = tiny_scene()
SPLITS = {
    "per class": SplitSpec(rule="random", labels_per_class=3, val_per_class=3, patch_size=5, index=2),
    "per cent": SplitSpec(rule="random", labels_percent=12.5, val_per_class=3, patch_size=5),
    "masks": SplitSpec(rule="given", masks="contest@0123456789abcdef", patch_size=5),
}


def row_of(trial: Trial) -> dict[str, Any]:
    return trial_columns(trial, sees_labels="none", kind="classical")


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("purpose", ["trial", "search"])
def test_as_the_trial_says(split: SplitSpec, purpose: str) -> None:
    trial = Trial(
        scene="s", scene_hash="h", split=split, method="m", params='{"x":1}', protocol="p", protocol_params="{}",
        seed=3, purpose=purpose,
    )  # fmt: skip
    assert rebuilt_identity(row_of(trial)) == {"trial_id": trial.trial_id, "config_id": trial.config_id}


def test_of_a_row_that_was_run_and_read() -> None:
    trial = plan_trial(SCENE, method="raw_spectra", protocol="knn", split=SPLITS["per class"], seed=4)
    (row,) = run_trial(trial, SCENE, device="cpu").to_table().to_pylist()
    assert rebuilt_identity(row) == {"trial_id": trial.trial_id, "config_id": trial.config_id}


def test_of_imported_predictions() -> None:
    method = ExternalMethod(name="theirs", params={"depth": 3}, transductive=False)
    trial = method.trial(SCENE, SPLITS["per class"], 5)
    assert rebuilt_identity(row_of(trial)) == {"trial_id": trial.trial_id, "config_id": trial.config_id}


COLUMNS = list(row_of(plan_trial(SCENE, method="raw_spectra", protocol="knn", split=SPLITS["per class"])))
# Ids themselves, and what the method's class says rather than the trial.
FREE = {"trial_id", "config_id", "sees_labels", "kind"}


@pytest.mark.parametrize("name", [name for name in COLUMNS if name not in FREE])
def test_every_column_of_the_trial_counts(name: str) -> None:
    trial = plan_trial(SCENE, method="raw_spectra", protocol="knn", split=SPLITS["per class"], seed=4)
    row = row_of(trial)
    changed = {"benchmark_version": "1", "labels_percent": 2.5, "purpose": "search"}.get(name, row[name])
    if changed == row[name]:
        changed = row[name] + 1 if isinstance(row[name], int) else f"{row[name]}x"
    rebuilt = rebuilt_identity({**row, name: changed})
    assert rebuilt is not None
    assert rebuilt["trial_id"] != trial.trial_id
    assert (rebuilt["config_id"] == trial.config_id) == (name in {"seed", "split_index", "purpose"})


def test_an_earlier_version_is_hashed_with_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("benchmark.trial.BENCHMARK_VERSION", "1")
        trial = plan_trial(SCENE, method="raw_spectra", protocol="knn", split=SPLITS["per class"])
        row = {**row_of(trial), "benchmark_version": "1"}
    assert rebuilt_identity(row) == {"trial_id": row["trial_id"], "config_id": row["config_id"]}
    assert row["trial_id"] != dataclasses.replace(trial).trial_id


@pytest.mark.parametrize("change", [{"benchmark_version": str(int(BENCHMARK_VERSION) + 1)}, {"scene_hash": None},
                                    {"benchmark_version": None}, {"split_index": None}])  # fmt: skip
def test_what_cannot_be_rebuilt(change: dict[str, Any]) -> None:
    trial = plan_trial(SCENE, method="raw_spectra", protocol="knn", split=SPLITS["per class"])
    assert rebuilt_identity({**row_of(trial), **change}) is None
