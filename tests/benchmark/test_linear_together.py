"""Linear probes solved together: scikit-learn's solutions, each as if it were alone, none harmed by another."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmark import SplitSpec, Trial, classifier, plan_trial, run_group, run_trial
from benchmark.protocols import _logistic_together as solver
from benchmark.protocols.base import Chosen, Problem
from benchmark.protocols.linear import LinearProbe
from benchmark.protocols.linear_together import LinearProbeTogether
from benchmark.speed.claims import linear_probes
from hsicl_core.errors import InvalidValueError
from results import RunRecord
from results.schema import VOLATILE_COLUMNS
from tests.scene_factory import tiny_scene

SCENE = tiny_scene()
PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)


def draw(n: int, dim: int, n_classes: int, seed: int) -> solver.LogisticProblem:
    """Clouds that overlap; class indices have gaps."""
    generator = np.random.default_rng(seed)
    y = np.concatenate([np.arange(n_classes), generator.integers(n_classes, size=n - n_classes)])
    x = generator.normal(size=(n_classes, dim))[y] + generator.normal(size=(n, dim))
    return solver.LogisticProblem(x=x.astype(np.float32), y=3 * y + 2)


def models_of(found: list[solver.LogisticModel] | Exception) -> list[solver.LogisticModel]:
    assert not isinstance(found, Exception), found
    return found


def gradient_length(problem: solver.LogisticProblem, model: solver.LogisticModel, inverse_penalty: float) -> float:
    """Return how long the longest gradient of a class is, by the formula."""
    x, n = problem.x.astype(np.float64), len(problem.x)
    weights, intercepts = model.weights.astype(np.float64), model.intercepts.astype(np.float64)
    logits = x @ weights.T + intercepts
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    residuals = (shares - (problem.y[:, None] == model.classes)) / n
    penalty = (2 if len(model.classes) == 2 else 1) / (inverse_penalty * n)
    of_weights = residuals.T @ (x - x.mean(axis=0)) + penalty * weights
    return float(np.sqrt((of_weights**2).sum(axis=1) + residuals.sum(axis=0) ** 2).max())


@pytest.mark.parametrize(("n", "dim", "n_classes"), [(6, 4, 3), (40, 100, 5), (90, 20, 4), (30, 8, 2), (12, 60, 2)])
def test_the_models_are_those_of_scikit_learn(n: int, dim: int, n_classes: int) -> None:
    problem = draw(n, dim, n_classes, seed=n)
    x = np.random.default_rng(1).normal(size=(50, dim)).astype(np.float32)
    (found,) = solver.solve_together([problem], PENALTIES, tolerance=1e-7)
    (usual,) = solver.solve_together([problem], PENALTIES)
    for value, model, default in zip(PENALTIES, models_of(found), models_of(usual), strict=True):
        reference = LogisticRegression(C=value, tol=1e-10, max_iter=100_000).fit(
            problem.x.astype(np.float64), problem.y
        )
        np.testing.assert_allclose(model.shares(x), reference.predict_proba(x), atol=1e-4)
        np.testing.assert_allclose(default.shares(x), reference.predict_proba(x), atol=0.06)
        assert np.array_equal(model.classes, reference.classes_)
        weights, intercepts = model.weights, model.intercepts
        if n_classes == 2:
            weights, intercepts = weights[1:] - weights[:1], intercepts[1:] - intercepts[:1]
        scale = np.abs(reference.coef_).max()
        np.testing.assert_allclose(weights, reference.coef_, atol=1e-3 * scale)
        np.testing.assert_allclose(intercepts, reference.intercept_, atol=1e-3 * max(1, scale))


SIZES = st.tuples(st.integers(2, 40), st.integers(1, 24), st.integers(1, 5), st.integers(0, 99), st.integers(0, 2))


def drawn(size: tuple[int, int, int, int, int]) -> solver.LogisticProblem:
    """A problem in which some dimensions are constant and rows may come twice; some have one class only."""
    n, dim, n_classes, seed, kind = size
    problem = draw(max(n, n_classes), dim, n_classes, seed)
    x = problem.x.copy()
    x[:, ::2] = x[0, ::2] if kind == 1 else x[:, ::2]
    x[1::2] = x[: len(x[1::2])] if kind == 2 else x[1::2]
    return dataclasses.replace(problem, x=x)


def same(first: list[solver.LogisticModel] | Exception, second: list[solver.LogisticModel] | Exception) -> bool:
    if isinstance(first, Exception) or isinstance(second, Exception):
        return str(first) == str(second)
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for one, other in zip(first, second, strict=True)
        for name in ("classes", "weights", "intercepts")
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(SIZES, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_every_problem_is_solved_as_if_alone_in_any_order(sizes: list[Any], order: Any) -> None:
    problems = [drawn(size) for size in sizes]
    together = solver.solve_together(problems, (0.01, 1.0))
    places = list(range(len(problems)))
    order.shuffle(places)
    shuffled = solver.solve_together([problems[place] for place in places], (0.01, 1.0))
    for place, other in zip(places, shuffled, strict=True):
        assert same(together[place], other)
    for problem, found in zip(problems, together, strict=True):
        assert same(found, *solver.solve_together([problem], (0.01, 1.0)))
        if len(np.unique(problem.y)) == 1:
            assert isinstance(found, InvalidValueError)
            continue
        for value, model in zip((0.01, 1.0), models_of(found), strict=True):
            # In float32 the weights themselves are rounded.
            assert gradient_length(problem, model, value) < 1.05 * solver.TOLERANCE + 1e-6
            assert set(model.predict(problem.x)) <= set(problem.y)


def test_bits_do_not_depend_on_many_others_of_the_same_size() -> None:
    # More than are walked at once, of the size of real ones; each leaves at another time.
    problems = [draw(150 + seed % 3, 128, 13, seed) for seed in range(solver._AT_ONCE + 5)]
    together = solver.solve_together(problems, PENALTIES)
    backwards = solver.solve_together(problems[::-1], PENALTIES)[::-1]
    for place in (0, 1, solver._AT_ONCE - 1, solver._AT_ONCE, solver._AT_ONCE + 4):
        assert same(together[place], *solver.solve_together([problems[place]], PENALTIES))
        assert same(together[place], backwards[place])


@pytest.mark.parametrize("penalties", [(1.0, 0.01), (0.01, 1.0, 0.01), (10.0,)])
def test_models_come_in_the_order_of_the_penalties(penalties: tuple[float, ...]) -> None:
    problem = draw(30, 6, 3, seed=0)
    (found,) = solver.solve_together([problem], penalties)
    for value, model in zip(penalties, models_of(found), strict=True):
        assert gradient_length(problem, model, value) < 1.05 * solver.TOLERANCE


def test_what_float32_does_not_reach_is_solved_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[tuple[int, type]] = []
    walk = solver.walked

    def spied(members: Sequence[Any], *given: Any) -> Any:
        walked.append((len(members), given[-2]))
        return walk(members, *given)

    monkeypatch.setattr(solver, "walked", spied)
    problems = [draw(30, 6, 3, seed) for seed in range(2)]
    solver.solve_together(problems, (1.0,))
    assert walked == [(2, np.float32)]
    walked.clear()
    for found in solver.solve_together(problems, (1.0,), tolerance=1e-11):
        assert len(models_of(found)) == 1
    assert walked == [(2, np.float32), (1, np.float64), (1, np.float64)]


def test_what_does_not_converge_fails_in_one_line_and_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    easy, hard = draw(30, 6, 3, seed=0), draw(30, 6, 3, seed=1)
    easy = dataclasses.replace(easy, x=np.ones_like(easy.x))
    monkeypatch.setattr(solver, "_MOST", 8)
    alone = solver.solve_together([easy], PENALTIES)
    failed, found = solver.solve_together([hard, easy], PENALTIES)
    assert isinstance(failed, solver.NotSolvedError)
    assert "30 pixels" in str(failed)
    assert "\n" not in str(failed)
    assert same(found, alone[0])


def test_values_that_are_not_finite_fail_in_one_line() -> None:
    problem = draw(12, 3, 3, seed=0)
    problem.x[4, 1] = np.nan
    failed, found = solver.solve_together([problem, draw(12, 3, 3, seed=1)], PENALTIES)
    assert isinstance(failed, InvalidValueError)
    assert len(models_of(found)) == len(PENALTIES)


@pytest.mark.parametrize("values", [(), (1.0, 0.0), (-1.0,), (float("inf"),), ("1",)])
def test_inverse_penalties_are_numbers_above_0(values: Any) -> None:
    with pytest.raises(InvalidValueError, match="inverse_penalties"):
        LinearProbeTogether(inverse_penalties=values)


def test_it_chooses_among_the_penalties_of_the_linear_probe() -> None:
    assert LinearProbeTogether().inverse_penalties == LinearProbe().inverse_penalties
    train, val = draw(60, 10, 4, seed=0), draw(80, 10, 4, seed=0)
    problem = Problem(train_x=train.x, train_y=train.y, val_x=val.x, val_y=val.y)
    ours, theirs = (
        protocol.choose(train.x, train.y, val.x, val.y) for protocol in (LinearProbeTogether(), LinearProbe())
    )
    assert ours.parameters == theirs.parameters
    assert np.array_equal(ours.predict(val.x), theirs.predict(val.x))
    assert ours.confidence is not None
    assert theirs.confidence is not None
    np.testing.assert_allclose(ours.confidence(val.x), theirs.confidence(val.x), atol=0.02)
    (again,) = LinearProbeTogether().choose_together([problem])
    assert isinstance(again, Chosen)
    assert np.array_equal(again.confidence(val.x), ours.confidence(val.x))  # type: ignore[misc]


# In the runner.


def trials(protocol: str = "linear_together", *budgets: int, **protocol_params: Any) -> list[Trial]:
    return [
        plan_trial(
            SCENE, method="raw_spectra", protocol=protocol, protocol_params=protocol_params,
            split=SplitSpec(rule="random", labels_per_class=n, val_per_class=3, patch_size=5, index=index),
        )
        for n in budgets or (2, 4)
        for index in range(2)
    ]  # fmt: skip


def lasting(record: RunRecord) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(record).items() if name not in VOLATILE_COLUMNS}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many problems were solved together, call by call."""
    sizes: list[int] = []
    solve = LinearProbeTogether.choose_together

    def spied(self: LinearProbeTogether, problems: Sequence[Problem]) -> list[Chosen | Exception]:
        sizes.append(len(problems))
        return solve(self, problems)

    monkeypatch.setattr(LinearProbeTogether, "choose_together", spied)
    return sizes


def test_the_records_of_a_group_are_those_of_each_trial_alone(calls: list[int]) -> None:
    # Those of other parameters and of other protocols are in between.
    planned = [
        each
        for three in zip(trials(), trials(inverse_penalties=(1.0,)), trials("linear"), strict=True)
        for each in three
    ]
    records = list(run_group(planned, SCENE, device="cpu"))
    assert calls == [4, 4]
    assert [record.trial_id for record in records] == [trial.trial_id for trial in planned]
    assert {record.status for record in records} == {"ok"}
    for trial, record in zip(planned, records, strict=True):
        alone = run_trial(trial, SCENE, device="cpu")
        assert lasting(record) == lasting(alone)
    # An equal share of what all took, for each; who is alone has times of its own.
    for first in (0, 1):
        assert len({record.choose_s for record in records[first::3]}) == 1
    assert len({record.choose_s for record in records[2::3]}) == 4
    assert all(0 < record.choose_s < record.protocol_s for record in records)  # type: ignore[operator]


def test_others_are_still_chosen_for_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    choose = LinearProbe.choose

    def spied(self: LinearProbe, *given: Any) -> Chosen:
        done.append("chosen")
        return choose(self, *given)

    monkeypatch.setattr(LinearProbe, "choose", spied)
    for _ in run_group(trials("linear"), SCENE, device="cpu"):
        done.append("recorded")
    assert done == ["chosen", "recorded"] * 4


def test_a_trial_that_fails_leaves_those_it_was_solved_with(monkeypatch: pytest.MonkeyPatch, calls: list[int]) -> None:
    planned = trials()
    alone = [lasting(run_trial(trial, SCENE, device="cpu")) for trial in planned]
    split_of, reduce = classifier.split_of, solver.Reduced.of
    calls.clear()
    reduced: list[solver.LogisticProblem] = []

    def refuse(scene: Any, spec: SplitSpec) -> Any:
        if spec == planned[1].split:
            raise RuntimeError("no split")
        return split_of(scene, spec)

    def fail(problem: solver.LogisticProblem) -> Any:
        reduced.append(problem)
        if len(reduced) == 2:
            raise solver.NotSolvedError("not this one")
        return reduce(problem)

    monkeypatch.setattr(classifier, "split_of", refuse)
    monkeypatch.setattr(solver.Reduced, "of", fail)
    records = list(run_group(planned, SCENE, device="cpu"))
    assert calls == [3]
    assert [record.status for record in records] == ["ok", "failed", "failed", "ok"]
    assert "no split" in str(records[1].error)
    assert "not this one" in str(records[2].error)
    assert [lasting(records[0]), lasting(records[3])] == [alone[0], alone[3]]


def test_what_breaks_for_all_fails_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no rows")

    monkeypatch.setattr(LinearProbeTogether, "prepare", broken)
    records = list(run_group(trials(), SCENE, device="cpu"))
    assert [record.status for record in records] == ["failed"] * 4
    assert all("no rows" in str(record.error) for record in records)


def test_the_claim_tells_the_accuracy_that_is_gained() -> None:
    def always(label: int, value: float) -> Chosen:
        return Chosen(lambda x: np.full(len(x), label), {"C": value})

    x: NDArray[np.float32] = np.zeros((4, 1), dtype=np.float32)
    tests = [(x, np.array([1, 1, 0, 0])), (x, np.array([1, 1, 1, 0]))]
    note = linear_probes.accuracy_note([always(1, 1)] * 2, [always(0, 1), always(0, 2)], tests)
    assert "+25.00 points in the mean, a standard deviation of 35.36" in note
    assert "at most 50.00; the same penalty in 1 of 2" in note
    with pytest.raises(RuntimeError, match="broken"):
        linear_probes.all_chosen([always(1, 1), RuntimeError("broken")])
