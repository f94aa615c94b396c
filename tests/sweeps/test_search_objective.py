"""Accuracy against seconds: the whole Pareto front is run again, and a rerun reads the seconds that are stored."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark import InvalidValueError
from results import ResultStore, RunRecord, open_store
from results.metrics import overall_accuracy
from sweeps import SearchSettings, Sweep, run_sweep
from sweeps.executors.loop import LoopExecutor
from sweeps.search.scoring import Score, pareto_front
from tests.sweeps.sweep_factory import noisy_sweep, tiny_scenes

SCENES = tiny_scenes()
LEVELS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 32.0)


@dataclass(frozen=True, kw_only=True)
class TimedExecutor(LoopExecutor):
    """The loop, with a fit that takes as long as a function of level and seed says."""

    seconds: Callable[[float, int], float]

    def execute(self, groups: Any, scenes: Any, *, on_record: Callable[[RunRecord], None], **settings: Any) -> None:
        def timed(record: RunRecord) -> None:
            level = json.loads(record.params_json)["level"]
            on_record(dataclasses.replace(record, fit_s=self.seconds(level, record.seed)))

        super().execute(groups, scenes, on_record=timed, **settings)


def slow_where_accurate(level: float, seed: int) -> float:
    return 100.0 - level + seed


def slow_where_noisy(level: float, seed: int) -> float:
    return 100.0 + level + seed


def sweep() -> Sweep:
    return noisy_sweep(axes={"level": LEVELS}, controls=(), n_splits=1)


def search(store: ResultStore, seconds: Callable[[float, int], float], by: str = "optuna") -> list[dict[str, Any]]:
    settings = SearchSettings(search=by, objective="accuracy,seconds", n_configs=12)
    outcome = run_sweep(sweep(), store, SCENES, TimedExecutor(seconds=seconds), settings=settings)
    assert outcome.n_failed == 0
    return store.read().to_pylist()


def levels(rows: list[dict[str, Any]], purpose: str) -> set[float]:
    mine = [row for row in rows if row["purpose"] == purpose and row["method"] == "noisy"]
    return {json.loads(row["params_json"])["level"] for row in mine}


def naive_front(rows: list[dict[str, Any]]) -> set[float]:
    """Return the levels of the search's trials that no other level beats in both means."""
    found: dict[float, list[tuple[float, float]]] = {}
    for row in rows:
        if row["purpose"] == "search":
            pair = overall_accuracy(row["confusion_val"]), row["fit_s"]
            found.setdefault(json.loads(row["params_json"])["level"], []).append(pair)
    means = {level: np.mean(pairs, axis=0) for level, pairs in found.items()}
    front = set()
    for level, (accuracy, seconds) in means.items():
        beaten = False
        for other_accuracy, other_seconds in means.values():
            at_least = other_accuracy >= accuracy and other_seconds <= seconds
            beaten = beaten or (at_least and (other_accuracy > accuracy or other_seconds < seconds))
        if not beaten:
            front.add(level)
    return front


@pytest.mark.parametrize("by", ["random", "optuna"])
def test_every_configuration_of_the_front_is_run_again_and_no_other(store: ResultStore, by: str) -> None:
    rows = search(store, slow_where_accurate, by)
    assert levels(rows, "trial") == naive_front(rows)
    # There is a front to speak of, and something behind it: levels of equal accuracy but more seconds.
    assert 1 < len(levels(rows, "trial")) < len(levels(rows, "search"))
    assert all(row["confusion_test"] is None for row in rows if row["purpose"] == "search")


def test_where_the_accurate_is_the_fast_one_the_front_is_one(store: ResultStore) -> None:
    rows = search(store, slow_where_noisy, "random")
    assert levels(rows, "trial") == {0.0}


def test_a_rerun_reads_the_seconds_that_are_stored(tmp_path: Path) -> None:
    first = search(open_store(tmp_path / "one"), slow_where_accurate)
    # By now everything takes another time; what is stored was measured once.
    assert search(open_store(tmp_path / "one"), slow_where_noisy) == first
    # Another store has other seconds, and therefore another choice.
    other = search(open_store(tmp_path / "other"), slow_where_noisy)
    assert levels(other, "trial") != levels(first, "trial")


def test_optuna_is_told_the_mean_seconds_as_stored(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[float, tuple[float, ...]] = {}
    tell = optuna.study.Study.tell

    def listen(study: Any, trial: Any, values: Any = None, **settings: Any) -> Any:
        told[LEVELS[trial.params["level"]]] = tuple(values)
        assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
        return tell(study, trial, values, **settings)

    monkeypatch.setattr(optuna.study.Study, "tell", listen)
    search(store, slow_where_accurate)
    # The seeds 0 and 1 take 100 - level and 101 - level.
    assert {level: seconds for level, (_, seconds) in told.items()} == {level: 100.5 - level for level in told}
    assert len(told) > 2


scored = st.lists(st.builds(Score, st.sampled_from([0.1, 0.2, 0.3]), st.sampled_from([1.0, 2.0, 3.0])), min_size=1)


@given(scored)
def test_the_front_is_optunas(scores: list[Score]) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["maximize", "minimize"])
    for score in scores:
        study.add_trial(optuna.trial.create_trial(values=list(score)))
    assert pareto_front(scores) == sorted(trial.number for trial in study.best_trials)


@pytest.mark.parametrize(
    "settings",
    [
        {"search": "grid"},
        {"search": "optuna", "scheduler": "asha"},
        {"search": "random", "scheduler": "median"},
        {"search": "grid", "scheduler": "sha"},
    ],
)
def test_seconds_go_with_a_search_that_stops_nothing(store: ResultStore, settings: dict[str, str]) -> None:
    with pytest.raises(InvalidValueError, match="goes with --search random or optuna and --scheduler none") as caught:
        run_sweep(
            sweep(), store, SCENES, LoopExecutor(), settings=SearchSettings(objective="accuracy,seconds", **settings)
        )
    assert "\n" not in str(caught.value)
    assert not store.exists()


def test_an_objective_that_is_none_names_those_that_are(store: ResultStore) -> None:
    with pytest.raises(InvalidValueError, match="'kappa' is not available: choose accuracy or accuracy,seconds"):
        run_sweep(sweep(), store, SCENES, LoopExecutor(), settings=SearchSettings(search="random", objective="kappa"))
