"""The leaderboard's trials: which entrants run, how they are tuned, what is repeated."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from benchmark import METHODS, PROTOCOLS, InvalidValueError, SplitSpec, UnknownNameError
from benchmark.methods.base import KINDS
from benchmark.planning import can_score
from results import ResultStore, RunRecord, open_store
from results.metrics import overall_accuracy
from sweeps import EXECUTORS
from sweeps.bench import TUNING_INDEX, Bench, Line, chosen_methods, lines_of, run_bench
from tests.scene_factory import tiny_scene

RANDOM = SplitSpec(rule="random", labels_per_class=3, val_per_class=3, patch_size=9)
BLOCK = dataclasses.replace(RANDOM, rule="block", patch_size=5)
SCENES = {"tiny": tiny_scene()}


def lines(*methods: str, splits: tuple[SplitSpec, ...] = (RANDOM,), **options: Any) -> tuple[Line, ...]:
    return lines_of(SCENES, splits, methods=methods, **options)


def bench(*methods: str, n_configs: int = 3, n_repeats: int = 2, **options: Any) -> Bench:
    return Bench(lines=lines(*methods, **options), scenes=SCENES, n_configs=n_configs, n_repeats=n_repeats)


def rows_of(store: ResultStore) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.read().to_pylist()
    return rows


def records_of(store: ResultStore) -> list[RunRecord]:
    return [RunRecord.from_row(row) for row in rows_of(store)]


def test_every_method_has_a_line_for_each_of_its_protocols() -> None:
    found = lines_of(SCENES, [RANDOM, BLOCK], methods=chosen_methods([], []))
    counts = Counter((line.method, line.protocol, line.split.rule) for line in found)
    assert set(counts.values()) == {1}
    expected = {
        (name, protocol, rule)
        for name in METHODS.names()
        for protocol in METHODS.get(name).protocols
        for rule in ("random", "block")
    }
    assert set(counts) == expected


def test_methods_are_chosen_by_name_and_by_kind() -> None:
    assert chosen_methods([], []) == METHODS.names()
    assert chosen_methods(["raw_spectra", "nt_xent", "raw_spectra"], []) == ["raw_spectra", "nt_xent"]
    by_kind = [chosen_methods([], [kind]) for kind in KINDS]
    assert sorted(name for names in by_kind for name in names) == METHODS.names()
    bounds = chosen_methods([], ["bound"])
    assert bounds == [name for name in METHODS.names() if METHODS.get(name).sees_labels == "all"] != []
    assert chosen_methods(["nt_xent"], ["bound"]) == ["nt_xent", *bounds]
    with pytest.raises(UnknownNameError, match="unknown kind 'classic': did you mean 'classical'"):
        chosen_methods([], ["classic"])


def test_given_protocols_score_the_methods_that_they_can_score() -> None:
    asked = sorted({"knn", "own_classifier"})
    for line in lines("nt_xent", "mined_joint", protocols=asked):
        assert can_score(line.protocol, line.method)
    assert [line.protocol for line in lines("nt_xent", protocols=asked)] == ["knn"]
    only = lines("nt_xent", protocols=["own_classifier"])
    with pytest.raises(InvalidValueError, match="'own_classifier' reads scores, which method 'nt_xent'"):
        Bench(lines=only, scenes=SCENES).repeats(open_store("/nonexistent/store"))
    with pytest.raises(UnknownNameError, match="did you mean"):
        lines("nt_xent", protocols=["linaer"])
    assert set(PROTOCOLS.names()) >= set(asked)


def test_a_setting_reaches_every_method_that_has_it_and_is_not_tuned() -> None:
    spectra, noisy = lines("raw_spectra", "noisy", settings={"level": "0.25"}, protocols=["linear"])
    assert (spectra.fixed, noisy.fixed) == ({}, {"level": 0.25})
    assert noisy.candidates(9) == [{"level": 0.25}]
    with pytest.raises(UnknownNameError, match="levels"):
        lines("raw_spectra", "noisy", settings={"levels": "0.25"})


def test_candidates_are_the_defaults_then_different_draws_that_only_the_method_decides() -> None:
    (line,) = lines("noisy")
    space = METHODS.get("noisy").search_space["level"]
    candidates = line.candidates(99)
    assert candidates[0] == {}
    assert sorted(params["level"] for params in candidates[1:]) == sorted(set(space) - {METHODS.get("noisy")().level})
    for n in range(1, len(candidates) + 1):
        assert line.candidates(n) == candidates[:n]
    elsewhere = dataclasses.replace(line, scene="other", split=BLOCK, protocol="knn")
    assert elsewhere.candidates(99) == candidates


def test_tuning_is_scored_on_a_split_and_a_seed_that_no_repeat_has() -> None:
    plan = bench("noisy", splits=(RANDOM, BLOCK))
    searches = plan.searches()
    assert len(searches) == 2 * 3
    assert {(trial.purpose, trial.seed, trial.split.index) for trial in searches} == {
        ("search", TUNING_INDEX, TUNING_INDEX)
    }
    repeats = plan.repeats(open_store("/nonexistent/store"))
    assert {(trial.purpose, trial.seed, trial.split.index) for trial in repeats} == {("trial", 0, 0), ("trial", 1, 1)}
    assert {trial.split.rule for trial in repeats} == {"random", "block"}


def test_one_configuration_is_no_tuning() -> None:
    assert bench("noisy", n_configs=1).searches() == []
    # A method without a search space has nothing to choose from.
    assert bench("raw_spectra", n_configs=5).searches() == []


@pytest.mark.parametrize(("name", "value"), [("n_configs", 0), ("n_repeats", 0), ("n_repeats", TUNING_INDEX + 1)])
def test_counts_out_of_range_are_refused(name: str, value: int) -> None:
    with pytest.raises(InvalidValueError, match=f"{name} must be .*1.*got {name}={value}"):
        bench("noisy", **{name: value})


def test_the_best_on_validation_is_repeated(store: ResultStore) -> None:
    plan = bench("noisy", splits=(RANDOM, BLOCK))
    outcome = run_bench(plan, store, EXECUTORS.get("loop")())
    assert (outcome.n_planned, outcome.n_ok, outcome.n_failed) == (4, 4, 0)
    rows = rows_of(store)
    searched = [row for row in rows if row["purpose"] == "search"]
    assert len(searched) == 6
    assert all(row["confusion_test"] is None for row in searched)
    for rule in ("random", "block"):
        tried = {
            row["params_json"]: overall_accuracy(row["confusion_val"]) for row in searched if row["split_rule"] == rule
        }
        assert len(set(tried.values())) > 1
        best = max(tried.values())
        repeated = [row for row in rows if row["purpose"] == "trial" and row["split_rule"] == rule]
        assert len(repeated) == 2
        assert {tried[row["params_json"]] for row in repeated} == {best}
        assert {(row["seed"], row["split_index"]) for row in repeated} == {(0, 0), (1, 1)}
        assert {row["kind"] for row in repeated} == {METHODS.get("noisy").kind}
        assert all(0 < row["choose_s"] <= row["protocol_s"] for row in repeated)


def test_the_same_command_again_runs_nothing(store: ResultStore) -> None:
    run_bench(bench("noisy"), store, EXECUTORS.get("loop")())
    before = store.read()
    outcome = run_bench(bench("noisy"), store, EXECUTORS.get("loop")())
    assert (outcome.n_planned, outcome.n_skipped) == (2, 2)
    assert store.read().equals(before)


def test_test_scores_have_no_part_in_the_choice(store: ResultStore) -> None:
    plan = bench("noisy")
    run_bench(plan, store, EXECUTORS.get("loop")())
    chosen = {trial.params for trial in plan.repeats(store)}
    for record in records_of(store):
        # Every configuration but the chosen one made perfect on test.
        if record.purpose == "search" and record.params_json not in chosen:
            record.confusion_test = (np.eye(4, dtype=int) * 50).tolist()
            store.write(record)
    assert {trial.params for trial in plan.repeats(store)} == chosen


def test_where_no_candidate_has_a_score_the_defaults_run_and_their_failure_is_a_row(store: ResultStore) -> None:
    plan = bench("noisy", settings={"fault": "fail"})
    outcome = run_bench(plan, store, EXECUTORS.get("loop")())
    assert (outcome.n_ok, outcome.n_failed) == (0, 2)
    failed = [row for row in rows_of(store) if row["purpose"] == "trial"]
    assert {row["error_type"] for row in failed} == {"ValueError"}
    assert {json.loads(row["params_json"])["level"] for row in failed} == {METHODS.get("noisy")().level}


def test_a_candidate_that_fails_is_not_chosen(store: ResultStore) -> None:
    plan = bench("noisy")
    run_bench(plan, store, EXECUTORS.get("loop")())
    best = next(iter({trial.params for trial in plan.repeats(store)}))
    for record in records_of(store):
        if record.purpose == "search" and record.params_json == best:
            store.write(dataclasses.replace(record, status="failed", error="on purpose"))
    assert best not in {trial.params for trial in plan.repeats(store)}
