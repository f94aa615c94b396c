"""Importances are those of a known response, of Optuna's evaluator, and of validation scores only."""

from __future__ import annotations

import csv
import itertools
import json
import re
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import pytest

from report import build_report
from report.importance import (
    N_TREES,
    REST,
    Importance,
    build_importances,
    importance,
    importance_cells,
    main_effects,
    shares_of_forest,
)
from report.importance_rows import tried_configurations
from report.rows import tidy
from results import RunRecord, open_store
from tests.record_factory import make_record

A, B, C = (0.0, 0.5, 1.0), (16, 64), ("mean", "max")
GRID = [dict(zip("abc", values, strict=True)) for values in itertools.product(A, B, C)]


def effect(params: dict[str, Any]) -> float:
    """Validation OA in thousandths: +-60 by a's ends, +-30 by b, 0 by c; no interaction, no noise."""
    return 0.5 + 0.06 * (2 * params["a"] - 1) + 0.03 * (1 if params["b"] == 64 else -1)


# Variances over the grid by hand: 0.06^2 * 2/3 = 0.0024 and 0.03^2 = 0.0009, of 0.0033 together.
SHARES = {"a": 24 / 33, "b": 9 / 33, "c": 0.0, REST: 0.0}


def matrix(oa: float) -> list[list[int]]:
    right = round(oa * 1000)
    return [[right, 1000 - right], [1000 - right, right]]


def records(grid: list[dict[str, Any]], *, cells: int = 2, purpose: str = "search", **changes: Any) -> list[RunRecord]:
    found = []
    for params, split in itertools.product(grid, range(cells)):
        is_search = purpose == "search"
        values = {"confusion_val": matrix(effect(params)), "confusion_test": None if is_search else matrix(0.5)}
        values |= {"purpose": purpose, "params": params, "split_index": split, **changes}
        found.append(make_record(**values))
    return found


def frame_of(rows: list[RunRecord]) -> Any:
    return tidy(pa.concat_tables([record.to_table() for record in rows]))


def only(rows: list[RunRecord]) -> Importance:
    (tried,) = tried_configurations(frame_of(rows))
    found = importance(tried)
    assert isinstance(found, Importance)
    return found


@pytest.mark.parametrize("purpose", ["search", "trial"])
def test_a_full_grid_gives_the_shares_computed_by_hand(purpose: str) -> None:
    found = only(records(GRID, purpose=purpose))
    assert found.is_full_grid
    assert {name: share.mean for name, share in found.shares.items()} == pytest.approx(SHARES, abs=1e-9)
    # 12 configurations: one degree of freedom of 11 per contrast.
    assert found.by_chance == pytest.approx({"a": 2 / 11, "b": 1 / 11, "c": 1 / 11})


def test_main_effects_of_a_table_are_those_of_plain_loops() -> None:
    table = np.random.default_rng(3).normal(size=(3, 4, 2))
    mean = table.sum() / table.size
    total = sum((value - mean) ** 2 for value in table.flat) / table.size
    expected = []
    for axis, size in enumerate(table.shape):
        square = 0.0
        for place in range(size):
            square += (sum(table.take(place, axis=axis).flat) / (table.size / size) - mean) ** 2
        expected.append(square / size / total)
    assert main_effects(table) == pytest.approx([*expected, 1 - sum(expected)])
    assert np.isnan(main_effects(np.full((2, 2), 0.1))).all()


@pytest.mark.parametrize(
    ("sizes", "n_configurations", "tolerance"),
    # A tree that never saw a value between two others may cut through it: Optuna then gives half of it to either side.
    [((2, 2, 2, 2), 9, 1e-9), ((2, 2, 2, 2), 16, 1e-9), ((4, 3, 2), 12, 0.01), ((4, 3, 2), 24, 0.01)],
)
def test_a_forest_gives_the_shares_of_optunas_evaluator(
    sizes: tuple[int, ...], n_configurations: int, tolerance: float
) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng = np.random.default_rng(n_configurations)
    every = np.array(list(itertools.product(*map(range, sizes))))
    codes = every[rng.permutation(len(every))[:n_configurations]]
    response = codes[:, 0] ** 2 + 2.0 * codes[:, 1] * codes[:, 2] + rng.normal(size=len(codes))
    study = optuna.create_study()
    for place, value in zip(codes, response, strict=True):
        # Half a step beyond the ends: every value weighs the same.
        params = {f"p{index}": float(code) for index, code in enumerate(place)}
        spaces = {f"p{i}": optuna.distributions.FloatDistribution(-0.5, size - 0.5) for i, size in enumerate(sizes)}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=spaces, value=value))
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=N_TREES, seed=0)
    optunas = evaluator.evaluate(study)
    ours = shares_of_forest(codes, sizes, response, n_trees=N_TREES, seed=0)
    assert ours[:-1] == pytest.approx([optunas[f"p{index}"] for index in range(len(sizes))], abs=tolerance)
    assert ours.sum() == pytest.approx(1)


def test_a_forest_over_part_of_a_grid_comes_near_the_shares_of_the_whole() -> None:
    wide = [{"a": a, "b": b, "c": c} for a, b, c in itertools.product(np.linspace(0, 1, 6).tolist(), B, range(4))]
    table = np.array([effect(params) for params in wide]).reshape(6, 2, 4)
    exact = main_effects(table)
    picked = [wide[index] for index in np.random.default_rng(0).permutation(len(wide))[:36]]
    found = only(records(picked, cells=1))
    assert not found.is_full_grid
    estimated = np.array([share.mean for share in found.shares.values()])
    assert np.abs(estimated - exact).max() < 0.12
    assert found.shares["a"].low > found.by_chance["a"]
    assert found.shares["a"].low <= found.shares["a"].mean <= found.shares["a"].high <= 1
    # c has no effect: it gets no more than a parameter gets by chance.
    assert found.shares["c"].mean < found.by_chance["c"]


def test_noise_alone_gives_about_the_shares_by_chance() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        shares.append(main_effects(rng.normal(size=(3, 2, 2))))
    assert np.mean(shares, axis=0)[:3] == pytest.approx([2 / 11, 1 / 11, 1 / 11], abs=0.03)


def test_an_interval_comes_from_splits_and_seeds_where_the_grid_is_full() -> None:
    assert not only(records(GRID, cells=1)).shares["a"].is_defined
    # Without noise all splits agree.
    still = only(records(GRID, cells=3)).shares["a"]
    assert (still.low, still.high) == (pytest.approx(still.mean), pytest.approx(still.mean))
    rng = np.random.default_rng(0)
    noisy = [
        record
        for split, params in itertools.product(range(4), GRID)
        for record in records(
            [params], cells=1, split_index=split, confusion_val=matrix(effect(params) + rng.normal(0, 0.05))
        )
    ]
    share = only(noisy).shares["a"]
    assert share.low < share.mean < share.high


def test_test_scores_play_no_part() -> None:
    plain = records(GRID, purpose="trial")
    wild = [
        record
        for index, params in enumerate(GRID)
        for record in records([params], purpose="trial", confusion_test=matrix(index / len(GRID)))
    ]
    assert only(plain).shares == only(wild).shares


def test_of_a_search_only_what_ran_in_full_counts() -> None:
    rows = records([{**params, "steps": 90} for params in GRID])
    # On the lower rungs the effect of c is all there is; more configurations are there.
    for steps in (10, 30):
        for params in [*GRID, {"a": 2.0, "b": 16, "c": "mean"}]:
            oa = matrix(0.9 if params["c"] == "max" else 0.1)
            rows += records([{**params, "steps": steps}], confusion_val=oa)
    # What was chosen and run again is not part of the search.
    rows += records([{**GRID[0], "steps": 90}], purpose="trial", cells=5)
    found = only(rows)
    assert found.tried.source == "search"
    assert {name: share.mean for name, share in found.shares.items()} == pytest.approx(SHARES, abs=1e-9)


def test_steps_that_are_an_axis_are_a_parameter() -> None:
    picked = [{**params, "steps": steps} for params, steps in zip(GRID, itertools.cycle((10, 90)), strict=False)]
    assert "steps" in only(records(picked)).shares


def test_a_configuration_with_a_failed_trial_is_left_out() -> None:
    rows = records(GRID)
    last = rows.pop()
    rows.append(make_record(params=json.loads(last.params_json), purpose="search", split_index=1, status="failed"))
    found = only(rows)
    assert (len(found.tried.params), found.tried.n_left_out) == (11, 1)
    assert not found.is_full_grid


def test_too_little_is_said_instead_of_numbered() -> None:
    few = records(GRID[:7]) + records(GRID[:1], method="untuned")
    found, notes = build_importances(frame_of(few))
    assert found == ()
    assert notes == (
        "toy_method (linear) on toy_scene, block split, 10 labels per class: 7 configurations; at least 8 are needed",
    )
    flat = [r for p in GRID for r in records([p], confusion_val=matrix(0.5))]
    _, notes = build_importances(frame_of(flat))
    assert "all configurations have the same validation OA" in notes[0]
    many = [GRID[j] | {f"p{i}": j for i in range(5)} for j in range(9)]
    _, notes = build_importances(frame_of(records(many)))
    assert "combinations of values are more than" in notes[0]


def test_a_bound_is_no_candidate_and_scenes_stand_apart() -> None:
    rows = records(GRID) + records(GRID, scene="other") + records(GRID, method="oracle", sees_labels="all")
    found, notes = build_importances(frame_of(rows))
    assert [item.tried.key["scene"] for item in found] == ["other", "toy_scene"]
    assert notes == ()


def test_the_page_and_its_csv_show_the_shares(tmp_path: Any) -> None:
    store = open_store(tmp_path / "store")
    for record in records(GRID) + records(GRID[:2], method="<b>few"):
        store.write(record)
    page = build_report(tmp_path / "store", tmp_path / "out").read_text()
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert "toy_method (linear): toy_scene, block split, 10 labels per class" in text
    assert "a 0, 0.5, 1 73 [73, 73] 18" in text
    assert "&lt;b&gt;few (linear)" in page
    with (tmp_path / "out" / "importance.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["parameter"] for row in rows] == ["a", "b", "c", REST]
    assert [float(row["share"]) for row in rows] == pytest.approx(list(SHARES.values()), abs=1e-9)


def test_cells_are_text() -> None:
    assert importance_cells(only(records(GRID)))[0] == ("a", "0, 0.5, 1", "73 [73, 73]", "18")
    assert importance_cells(only(records(GRID)))[-1][:2] == (REST, "-")
