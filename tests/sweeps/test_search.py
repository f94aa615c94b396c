"""A search suggests the same twice, looks at validation only, and ends in ordinary trials."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark import InvalidValueError
from results import ResultStore, open_store
from results.metrics import overall_accuracy
from sweeps import (
    Control,
    Executor,
    Outcome,
    SearchSettings,
    Sweep,
    describe_plan,
    describe_search,
    plan,
    run_sweep,
)
from sweeps.executors.loop import LoopExecutor
from tests.sweeps.sweep_factory import noisy_sweep, tiny_scenes

SCENES = tiny_scenes()
LEVELS = (8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 16.0, 32.0)


def searched(**changes: Any) -> Sweep:
    return noisy_sweep(axes={"level": LEVELS, "steps": (1, 2)}, n_splits=1, **changes)


def launch_search(sweep: Sweep, store: ResultStore, executor: Executor | None = None, **settings: Any) -> Outcome:
    return run_sweep(sweep, store, SCENES, executor or LoopExecutor(), settings=SearchSettings(**settings))


def run(sweep: Sweep, folder: Path, **settings: Any) -> list[dict[str, Any]]:
    outcome = launch_search(sweep, open_store(folder), **settings)
    assert outcome.n_failed == 0
    return open_store(folder).read().to_pylist()


def params_of(rows: list[dict[str, Any]], purpose: str) -> Counter[str]:
    return Counter(row["params_json"] for row in rows if row["purpose"] == purpose and row["method"] == "noisy")


def mean_val_accuracies(rows: list[dict[str, Any]]) -> dict[str, float]:
    scores: dict[str, list[float]] = {}
    for row in rows:
        scores.setdefault(row["params_json"], []).append(overall_accuracy(row["confusion_val"]))
    return {params: float(np.mean(values)) for params, values in scores.items()}


@pytest.mark.parametrize("search", ["random", "optuna"])
def test_the_same_seed_suggests_the_same_and_another_one_does_not(tmp_path: Path, search: str) -> None:
    first, second, other = (
        run(searched(), tmp_path / name, search=search, n_configs=6, seed=seed)
        for name, seed in (("first", 0), ("second", 0), ("other", 1))
    )
    assert params_of(first, "search") == params_of(second, "search")
    assert params_of(first, "search") != params_of(other, "search")
    assert [row["trial_id"] for row in first] == [row["trial_id"] for row in second]


def test_suggestions_do_not_depend_on_what_the_store_holds(tmp_path: Path) -> None:
    first = run(searched(), tmp_path / "store", search="optuna", n_configs=6)
    again = run(searched(), tmp_path / "store", search="optuna", n_configs=6)
    assert first == again


@pytest.mark.parametrize(
    ("search", "scheduler"),
    [
        ("random", "none"),
        ("optuna", "none"),
        ("grid", "sha"),
        ("random", "sha"),
        ("grid", "asha"),
        ("random", "asha"),
        ("optuna", "asha"),
        ("grid", "median"),
        ("random", "median"),
        ("optuna", "median"),
    ],
)
def test_a_search_never_sees_a_test_label_and_its_choice_is_run_again(
    tmp_path: Path, search: str, scheduler: str
) -> None:
    sweep = searched(controls=(Control(method="raw_spectra"),))
    if scheduler != "none":
        sweep = sweep.with_overrides(axes={"steps": "9"})
    rows = run(sweep, tmp_path, search=search, scheduler=scheduler, n_configs=6)
    parts = {purpose: [row for row in rows if row["purpose"] == purpose] for purpose in ("search", "trial")}
    assert parts["search"]
    assert all(row["confusion_test"] is None for row in parts["search"])
    assert all(row["confusion_test"] is not None for row in parts["trial"])
    assert Counter(row["method"] for row in parts["trial"]) == {"noisy": 2, "raw_spectra": 2}
    (chosen,) = params_of(rows, "trial")
    full = [row for row in parts["search"] if scheduler == "none" or json.loads(row["params_json"])["steps"] == 9]
    accuracies = mean_val_accuracies(full)
    assert accuracies[chosen] == max(accuracies.values())


def test_a_random_search_draws_without_replacement(tmp_path: Path) -> None:
    rows = run(searched(), tmp_path, search="random", n_configs=99)
    assert params_of(rows, "search") == dict.fromkeys(params_of(rows, "search"), 2)
    assert len(params_of(rows, "search")) == len(LEVELS) * 2


def test_halving_keeps_a_third_at_each_rung(tmp_path: Path) -> None:
    rows = run(searched().with_overrides(axes={"steps": "18"}), tmp_path, scheduler="sha")
    budgets = Counter(json.loads(params)["steps"] for params in params_of(rows, "search"))
    assert budgets == {2: 8, 6: 3, 18: 1}


@pytest.mark.parametrize("search", ["grid", "random", "optuna"])
def test_asynchronous_halving_gives_the_full_budget_to_a_few(tmp_path: Path, search: str) -> None:
    sweep = searched().with_overrides(axes={"steps": "18"})
    first, second = (
        run(sweep, tmp_path / name, search=search, scheduler="asha", n_configs=8) for name in ("first", "second")
    )
    assert [row["trial_id"] for row in first] == [row["trial_id"] for row in second]
    levels: dict[int, set[float]] = {}
    for params in map(json.loads, params_of(first, "search")):
        levels.setdefault(params["steps"], set()).add(params["level"])
    # Every suggestion starts at a ninth of the steps; a rung is reached only from the one below.
    assert sorted(levels) == [2, 6, 18]
    assert levels[18] <= levels[6] <= levels[2]
    assert len(levels[18]) < len(levels[2])
    if search == "grid":
        assert levels[2] == set(LEVELS)


def test_median_stopping_stops_what_is_below_the_median_of_those_that_ran_in_full(tmp_path: Path) -> None:
    # The first batch is the best half of the levels, so that a median of two of them is better than any later one.
    sweep = searched(controls=()).with_overrides(axes={"steps": "9"}).with_overrides(axes={"level": sorted(LEVELS)})
    rows = run(sweep, tmp_path, scheduler="median")
    searches = [row for row in rows if row["purpose"] == "search"]
    found: dict[int, dict[float, list[float]]] = {1: {}, 3: {}, 9: {}}
    for row in searches:
        params = json.loads(row["params_json"])
        found[params["steps"]].setdefault(params["level"], []).append(overall_accuracy(row["confusion_val"]))
    means = {steps: {level: np.mean(values) for level, values in of.items()} for steps, of in found.items()}
    first, second = sorted(LEVELS)[:4], sorted(LEVELS)[4:]
    # The first batch runs in full.
    assert set(first) <= set(means[9])
    best_so_far = dict.fromkeys(second, 0.0)
    expected: dict[int, set[float]] = {1: set(second), 3: set(), 9: set()}
    for rung, following in ((1, 3), (3, 9)):
        median = np.median([means[rung][level] for level in first])
        for level in expected[rung]:
            best_so_far[level] = max(best_so_far[level], means[rung][level])
            if best_so_far[level] >= median:
                expected[following].add(level)
    assert {steps: set(of) - set(first) for steps, of in means.items()} == expected
    # Something was stopped.
    assert len(means[9]) < len(LEVELS)


@pytest.mark.parametrize("scheduler", ["sha", "asha", "median"])
def test_rungs_need_one_budget(store: ResultStore, scheduler: str) -> None:
    with pytest.raises(InvalidValueError, match="--axis steps=200"):
        launch_search(searched(), store, scheduler=scheduler)


def test_a_failed_configuration_is_not_chosen(store: ResultStore) -> None:
    sweep = noisy_sweep(axes={"fault": ("fail", "", "fail")}, controls=(), n_splits=1)
    launch_search(sweep, store, search="optuna", n_configs=8)
    trials = [row for row in store.read().to_pylist() if row["purpose"] == "trial"]
    assert [json.loads(row["params_json"])["fault"] for row in trials] == ["", ""]


def test_a_search_where_all_fail_is_one_line(store: ResultStore) -> None:
    sweep = noisy_sweep(axes={"fault": ("fail",)}, controls=())
    with pytest.raises(InvalidValueError, match="no configuration could be scored") as caught:
        launch_search(sweep, store, search="random")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("search", "scheduler"), [("grid", "hyperband"), ("optuna", "sha"), ("bayes", "none")])
def test_what_is_not_available_names_what_is(store: ResultStore, search: str, scheduler: str) -> None:
    with pytest.raises(InvalidValueError, match="--search optuna --scheduler none, --search grid --scheduler asha"):
        launch_search(searched(), store, search=search, scheduler=scheduler)
    assert not store.exists()


def test_a_search_needs_a_suggestion(store: ResultStore) -> None:
    with pytest.raises(InvalidValueError, match="--n-configs must be >= 1, got 0"):
        launch_search(searched(), store, search="random", n_configs=0)


def test_without_search_the_whole_plan_is_run(store: ResultStore) -> None:
    stream = io.StringIO()
    outcome = run_sweep(noisy_sweep(), store, SCENES, LoopExecutor(), stream=stream)
    assert (outcome.n_planned, outcome.n_ok) == (16, 16)
    assert set(store.read().column("purpose").to_pylist()) == {"trial"}


def test_an_interrupted_search_stops_and_goes_on(store: ResultStore) -> None:
    class Interrupted(LoopExecutor):
        def execute(self, groups: Any, scenes: Any, **settings: Any) -> None:
            super().execute(groups[:1], scenes, **settings)
            raise KeyboardInterrupt

    assert launch_search(searched(), store, Interrupted(), search="optuna", n_configs=6).interrupted
    n_before = store.read().num_rows
    assert n_before == 1
    assert not launch_search(searched(), store, search="optuna", n_configs=6).interrupted


def test_what_cannot_be_planned_is_told_before_anything_runs(store: ResultStore) -> None:
    sweep = searched(controls=(Control(method="nt_xent", params={"temperature": -1.0}),))
    with pytest.raises(InvalidValueError, match="temperature"):
        launch_search(sweep, store, search="random")
    assert not store.exists()


@pytest.mark.parametrize(
    ("settings", "most", "n_chosen"),
    [
        ({"search": "random", "n_configs": 6}, 6, 1),
        ({"search": "random", "n_configs": 99}, 8, 1),
        ({"search": "optuna", "n_configs": 6, "objective": "accuracy,seconds"}, 6, 6),
        ({"search": "optuna", "n_configs": 99}, 8, 1),
        ({"search": "optuna", "n_configs": 6, "scheduler": "asha"}, 18, 1),
        ({"search": "grid", "scheduler": "median"}, 24, 1),
        ({"search": "grid", "scheduler": "sha"}, 24, 1),
    ],
)
def test_a_dry_run_says_the_most_that_a_search_runs(
    store: ResultStore, settings: dict[str, Any], most: int, n_chosen: int
) -> None:
    sweep = searched(controls=(Control(method="raw_spectra"),)).with_overrides(axes={"steps": "9"})
    text = describe_search(sweep, SCENES, set(), SearchSettings(**settings))
    assert f"at most {2 * most} trials, scored on validation only" in text
    assert f"then at most {2 * n_chosen} ordinary trials of what is chosen" in text
    assert "raw_spectra" in text
    assert not store.exists()
    launch_search(sweep, store, **settings)
    rows = store.read().to_pylist()
    counts = Counter((row["purpose"], row["method"]) for row in rows)
    assert 0 < counts["search", "noisy"] <= 2 * most
    assert 0 < counts["trial", "noisy"] <= 2 * n_chosen


def test_a_dry_run_without_a_search_is_the_plan() -> None:
    text = describe_search(noisy_sweep(), SCENES, set(), SearchSettings())
    assert text == describe_plan(plan(noisy_sweep(), SCENES), set(), question="Does noise hurt?")


@pytest.mark.parametrize("settings", [{"search": "random", "n_configs": 0}, {"search": "random", "objective": "x"}])
def test_a_dry_run_refuses_what_a_run_refuses(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        describe_search(searched(), SCENES, set(), SearchSettings(**settings))
