"""A search sees the mean over seeds and splits of a configuration: neither luck nor a failed seed wins it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import optuna
import pytest

from results import ResultStore
from results.metrics import overall_accuracy
from sweeps import SearchSettings, Sweep, run_sweep
from sweeps.executors.loop import LoopExecutor
from tests.sweeps.sweep_factory import SPLIT, noisy_sweep, tiny_scenes

LUCK = ("lucky", "diverges", "fails", "")
SETTINGS = [
    ("random", "none"), ("optuna", "none"), ("grid", "sha"), ("grid", "asha"), ("grid", "median"), ("optuna", "median"),
]  # fmt: skip


def lucky_sweep() -> Sweep:
    return noisy_sweep(
        name="lucky", method="lucky", axes={"luck": LUCK}, params={"steps": 9}, controls=(),
        split_specs=(dataclasses.replace(SPLIT, val_per_class=20),),
    )  # fmt: skip


def scores(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return the validation OA of the search's trials in full, NaN for those without, by ``luck``."""
    found: dict[str, list[float]] = {luck: [] for luck in LUCK}
    for row in rows:
        params = json.loads(row["params_json"])
        if row["purpose"] == "search" and params["steps"] == 9:
            matrix = row["confusion_val"]
            found[params["luck"]].append(overall_accuracy(matrix) if matrix else float("nan"))
    return found


@pytest.mark.parametrize(("search", "scheduler"), SETTINGS)
def test_one_lucky_seed_wins_nothing(store: ResultStore, search: str, scheduler: str) -> None:
    settings = SearchSettings(search=search, scheduler=scheduler, n_configs=8)
    run_sweep(lucky_sweep(), store, tiny_scenes(), LoopExecutor(), settings=settings)
    rows = store.read().to_pylist()
    assert {json.loads(row["params_json"])["luck"] for row in rows if row["purpose"] == "trial"} == {""}


def test_the_lucky_seed_is_better_than_any_of_the_chosen_one(store: ResultStore) -> None:
    """What the test above rests on: by its best seed, and by the seeds that did not fail, another would be chosen."""
    run_sweep(lucky_sweep(), store, tiny_scenes(), LoopExecutor(), settings=SearchSettings(search="random"))
    found = scores(store.read().to_pylist())
    assert all(len(values) == 4 for values in found.values())
    assert np.sort(found["lucky"])[-2] > np.max(found[""])
    assert np.mean(found["lucky"]) < np.mean(found[""])
    for luck in ("diverges", "fails"):
        assert np.isnan(found[luck]).sum() == 2
        assert np.nanmean(found[luck]) > np.mean(found[""])


def test_optuna_is_told_the_mean_and_that_a_failed_seed_fails_all(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, set[Any]] = {}
    tell = optuna.study.Study.tell

    def listen(study: Any, trial: Any, values: Any = None, **settings: Any) -> Any:
        told.setdefault(LUCK[trial.params["luck"]], set()).add(values and tuple(values))
        return tell(study, trial, values, **settings)

    monkeypatch.setattr(optuna.study.Study, "tell", listen)
    settings = SearchSettings(search="optuna", n_configs=12)
    run_sweep(lucky_sweep(), store, tiny_scenes(), LoopExecutor(), settings=settings)
    found = scores(store.read().to_pylist())
    assert told.keys() == set(LUCK)
    assert told.pop("diverges") == told.pop("fails") == {None}
    for luck, (values, *others) in told.items():
        assert not others
        assert values == (pytest.approx(np.mean(found[luck])),)
