"""How much of the spread of validation OA each swept parameter explains: functional ANOVA.

A share is one of all differences between configurations, noise included: a parameter without any effect has some
share too. What it would have by chance is told beside it. Test scores play no part.

**Source:** Hutter, Hoos and Leyton-Brown 2014, An Efficient Approach for Assessing Hyperparameter Importance (ICML).
**Differs:** every value that was tried weighs the same, since all are picked from lists. On a full grid the shares are
those of the table of means itself. Otherwise a forest completes the table; Optuna's evaluator, which sees stretches of
a line instead of values, gives the same shares where parameters have two values and nearly the same elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from report.groups import value_key
from report.importance_rows import Tried, tried_configurations
from report.rows import GROUP_COLUMNS
from report.statistics import Interval
from report.text import number, one_line, shortened, value_text, with_interval

Floats = NDArray[np.float64]

# With fewer configurations a share says nothing.
MIN_CONFIGURATIONS = 8
# A forest answers for every combination of values: for as many as this.
MAX_COMBINATIONS = 20_000
REST = "interactions and noise"
N_TREES, _N_TREES_RESAMPLED = 64, 16
_N_RESAMPLED = 40
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Importance:
    """The shares of one entrant's parameters on one scene under one kind of split.

    Attributes:
        tried: the configurations.
        is_full_grid: whether every combination of values was tried, so that the shares are exact.
        shares: parameter, or ``REST``, to its share of the variance of mean validation OA, a fraction, with a 95%
            interval from resampling: of splits and seeds on a full grid (none with a single trial per configuration),
            else of configurations.
        by_chance: parameter to the mean share that it would have if the scores were shuffled.
    """

    tried: Tried
    is_full_grid: bool
    shares: dict[str, Interval]
    by_chance: dict[str, float]


def build_importances(rows: pd.DataFrame) -> tuple[tuple[Importance, ...], tuple[str, ...]]:
    """Return the importances of every entrant that tried enough, and a note for each that did not.

    Args:
        rows: frame of ``report.rows.tidy``.
    """
    found, notes = [], []
    for tried in tried_configurations(rows):
        result = importance(tried)
        if isinstance(result, Importance):
            found.append(result)
        else:
            notes.append(f"{tried.entrant} on {tried.where}: {result}")
    return tuple(found), tuple(notes)


def importance(tried: Tried) -> Importance | str:
    """Return the importances, or why there are none. Takes about a second where the grid is not full."""
    names, n_configurations = tried.swept, len(tried.params)
    if n_configurations < MIN_CONFIGURATIONS:
        left_out = f", {tried.n_left_out} more lack trials" if tried.n_left_out else ""
        return f"{n_configurations} configurations{left_out}; at least {MIN_CONFIGURATIONS} are needed"
    codes, sizes = _codes(tried, names)
    if math.prod(sizes) > MAX_COMBINATIONS:
        return f"{math.prod(sizes)} combinations of values are more than {MAX_COMBINATIONS}"
    means = tried.val_oa.mean(axis=1)
    if np.ptp(means) == 0:
        return "all configurations have the same validation OA"
    rng = np.random.default_rng(_SEED)
    if len(means) == math.prod(sizes):
        estimate = _shares_of_grid(codes, sizes, means)
        resampled = [_shares_of_grid(codes, sizes, means) for means in _other_trials(tried, rng)]
        chance = (np.array(sizes) - 1) / (len(means) - 1)
    else:
        estimate = shares_of_forest(codes, sizes, means, n_trees=N_TREES, seed=_SEED)
        picks = [rng.integers(len(means), size=len(means)) for _ in range(_N_RESAMPLED)]
        resampled = [_small_forest(codes[pick], sizes, means[pick], rng) for pick in picks]
        shuffled = [_small_forest(codes, sizes, rng.permutation(means), rng) for _ in range(_N_RESAMPLED)]
        chance = np.nanmean(shuffled, axis=0)
    return Importance(
        tried=tried,
        is_full_grid=len(means) == math.prod(sizes),
        shares=dict(zip((*names, REST), _intervals(estimate, resampled), strict=True)),
        by_chance={name: float(share) for name, share in zip(names, chance, strict=False)},
    )


def main_effects(table: Floats) -> Floats:
    """Return the share of the variance of ``table`` that each of its axes explains alone, then the rest.

    Args:
        table: a response at every combination of values, one axis per parameter.

    Returns:
        (axes + 1,) fractions whose sum is 1; NaN where the table is constant.
    """
    axes = range(table.ndim)
    # Equal numbers have a variance of rounding errors.
    if np.ptp(table) == 0:
        return np.full(table.ndim + 1, np.nan)
    shares = [table.mean(axis=tuple(other for other in axes if other != axis)).var() for axis in axes] / table.var()
    return np.append(shares, max(0.0, 1.0 - shares.sum()))


def shares_of_forest(codes: NDArray[np.int64], sizes: tuple[int, ...], response: Floats, *, n_trees: int,
                     seed: int) -> Floats:  # fmt: skip
    """Return the mean of ``main_effects`` over the trees of a regression forest; NaN if all trees are constant.

    Args:
        codes: (configurations, parameters) places of the values among those of the parameter.
        sizes: numbers of values per parameter.
        response: (configurations,) what the forest learns.
        n_trees: trees of the forest.
        seed: of the forest.
    """
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(n_estimators=n_trees, max_depth=64, random_state=seed).fit(codes, response)
    grid = np.indices(sizes).reshape(len(sizes), -1).T.astype(np.float32)
    effects = np.array([main_effects(tree.tree_.predict(grid).reshape(sizes)) for tree in forest.estimators_])
    told = effects[np.isfinite(effects[:, 0])]
    return np.asarray(told.mean(axis=0)) if len(told) else np.full(len(sizes) + 1, np.nan)


def _small_forest(
    codes: NDArray[np.int64], sizes: tuple[int, ...], response: Floats, rng: np.random.Generator
) -> Floats:
    seed = int(rng.integers(2**31))
    return shares_of_forest(codes, sizes, response, n_trees=_N_TREES_RESAMPLED, seed=seed)


def _shares_of_grid(codes: NDArray[np.int64], sizes: tuple[int, ...], means: Floats) -> Floats:
    table = np.empty(sizes)
    table[tuple(codes.T)] = means
    return main_effects(table)


def _other_trials(tried: Tried, rng: np.random.Generator) -> Iterable[Floats]:
    """Give the mean accuracies with splits and seeds drawn anew, with replacement; nothing for a single trial."""
    if len(tried.cells) == 1:
        return
    splits, seeds = (np.unique(column, return_inverse=True)[1] for column in np.array(tried.cells).T)
    if len(tried.cells) == splits.max() + 1 == seeds.max() + 1:
        # Every repeat has a split and a seed of its own: they are drawn together.
        seeds = np.zeros_like(seeds)
    for _ in range(_N_RESAMPLED):
        weights = _drawn(splits, rng) * _drawn(seeds, rng)
        if weights.any():
            yield np.average(tried.val_oa, axis=1, weights=weights)


def _drawn(members: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    n = members.max() + 1
    return np.bincount(rng.integers(n, size=n), minlength=n)[members]


def _intervals(estimate: Floats, resampled: list[Floats]) -> list[Interval]:
    if not resampled:
        return [Interval(float(share), float("nan"), float("nan")) for share in estimate]
    low, high = np.nanpercentile(resampled, [2.5, 97.5], axis=0)
    # Resampled forests know fewer configurations, and may all lie on one side.
    return [
        Interval(float(share), float(min(share, bottom)), float(max(share, top)))
        for share, bottom, top in zip(estimate, low, high, strict=True)
    ]


def _codes(tried: Tried, names: tuple[str, ...]) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    columns, sizes = [], []
    for name in names:
        values = {value_key(params.get(name)): params.get(name) for params in tried.params}
        order = {key: place for place, key in enumerate(sorted(values, key=lambda key: _position(values[key])))}
        columns.append([order[value_key(params.get(name))] for params in tried.params])
        sizes.append(len(order))
    return np.array(columns, dtype=np.int64).T, tuple(sizes)


def _position(value: Any) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return not is_number, float(value) if is_number else 0.0, value_key(value)


def importance_cells(item: Importance) -> list[tuple[str, str, str, str]]:
    """Return what the page shows of an entrant: parameter, values tried, share in %, share by chance in %."""
    cells = []
    for name, share in item.shares.items():
        values = sorted((params.get(name) for params in item.tried.params), key=_position)
        shown = ", ".join(dict.fromkeys(map(value_text, values))) if name != REST else "-"
        chance = number(100 * item.by_chance[name], 0) if name in item.by_chance else "-"
        cells.append((one_line(name), shortened(shown), with_interval(share.in_points(), 0), chance))
    return cells


def importance_frame(importances: Iterable[Importance]) -> pd.DataFrame:
    """Return one row per parameter, shares as fractions, the rest last of each entrant."""
    names = ["method", "protocol", "source", "n_configurations", "n_left_out", "n_trials", "is_full_grid", "parameter",
             "n_values", "share", "low", "high", "by_chance"]  # fmt: skip
    records = []
    for item in importances:
        tried = item.tried
        for name, share in item.shares.items():
            n_values = len({value_key(params.get(name)) for params in tried.params}) if name != REST else None
            records.append((
                *(tried.key[column] for column in GROUP_COLUMNS), tried.key["method"], tried.key["protocol"],
                tried.source, len(tried.params), tried.n_left_out, len(tried.cells), item.is_full_grid, name, n_values,
                *share, item.by_chance.get(name),
            ))  # fmt: skip
    return pd.DataFrame(records, columns=[*GROUP_COLUMNS, *names])
