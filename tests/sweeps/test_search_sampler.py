"""A user's own Optuna sampler decides what is suggested; whatever is wrong with it is one line before anything runs."""

from __future__ import annotations

import json
from typing import Any

import optuna
import pytest

from benchmark import InvalidValueError
from results import ResultStore
from sweeps import SearchSettings, run_sweep
from sweeps.executors.loop import LoopExecutor
from tests.sweeps.sweep_factory import noisy_sweep, tiny_scenes

LEVELS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
HERE = "tests.sweeps.test_search_sampler"
seeds: list[int] = []


def last_value(seed: int) -> optuna.samplers.BaseSampler:
    """A sampler that always suggests the last level."""
    seeds.append(seed)
    return optuna.samplers.PartialFixedSampler(
        {"level": len(LEVELS) - 1}, optuna.samplers.RandomSampler(seed=seed)
    )  # fmt: skip


def needs_more(seed: int, size: int) -> None: ...


def takes_nothing() -> None: ...


def breaks(seed: int) -> None:
    raise RuntimeError(f"no luck with {seed}")


def gives_none(seed: int) -> None: ...


NOT_CALLABLE = 3


def search(store: ResultStore, sampler: str | None, **changes: Any) -> set[float]:
    settings = SearchSettings(**{"search": "optuna", "sampler": sampler, "n_configs": 8, **changes})
    sweep = noisy_sweep(axes={"level": LEVELS}, controls=(), n_splits=1, n_seeds=1)
    run_sweep(sweep, store, tiny_scenes(), LoopExecutor(), settings=settings)
    rows = store.read().to_pylist()
    return {json.loads(row["params_json"])["level"] for row in rows if row["purpose"] == "search"}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_samplers_own_suggestions_are_run_with_the_users_seed(store: ResultStore) -> None:
    seeds.clear()
    assert search(store, f"{HERE}:last_value", seed=7) == {LEVELS[-1]}
    assert set(seeds) == {7}


@pytest.mark.parametrize("objective", ["accuracy", "accuracy,seconds"])
def test_optunas_samplers_need_no_code(store: ResultStore, objective: str) -> None:
    assert len(search(store, "optuna.samplers:NSGAIISampler", objective=objective)) > 1


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        ("optuna.samplers", "is not PACKAGE.MODULE:FACTORY: write e.g. optuna.samplers:NSGAIISampler"),
        (":TPESampler", "is not PACKAGE.MODULE:FACTORY"),
        ("optuna.samplers:", "is not PACKAGE.MODULE:FACTORY"),
        ("nowhere.at_all:Sampler", "'nowhere.at_all' cannot be imported .* PYTHONPATH"),
        ("optuna.samplers:Sampler", "has no 'Sampler': it has .*TPESampler"),
        ("optuna.samplers:GridSampler", "must be callable with seed= and nothing else .*search_space"),
        (f"{HERE}:needs_more", "must be callable with seed= and nothing else .*size"),
        (f"{HERE}:takes_nothing", "must be callable with seed= and nothing else"),
        (f"{HERE}:NOT_CALLABLE", "must be callable with seed= and nothing else"),
        (f"{HERE}:breaks", "RuntimeError .no luck with 0.: mend it"),
        (f"{HERE}:gives_none", "gives NoneType, which is no optuna.samplers.BaseSampler"),
    ],
)
def test_what_is_wrong_with_a_sampler_is_one_line(store: ResultStore, sampler: str, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words) as caught:
        search(store, sampler)
    assert "\n" not in str(caught.value)
    assert not store.exists()


@pytest.mark.parametrize("by", ["grid", "random"])
def test_a_sampler_has_no_part_in_other_searches(store: ResultStore, by: str) -> None:
    with pytest.raises(InvalidValueError, match=r"has no part in --search .*: add --search optuna"):
        search(store, "optuna.samplers:NSGAIISampler", search=by)
