"""The configurations whose validation scores say how much a parameter matters: a search's in full, else a grid's."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from report.groups import Group, value_key
from report.row_arrays import ArraysOf, Rows, parts_of
from report.rows import GROUP_COLUMNS, INCOMPLETE
from report.text import one_line

# What early stopping shares out: a configuration that was stopped has less of it.
BUDGET = "steps"
# Rows of purpose "search" are what a search tried; ordinary rows are what a sweep ran of its whole grid.
SOURCES = {"search": "search", "trial": "trials"}
_ENTRANT = [*GROUP_COLUMNS, "method", "protocol", "sees_labels"]


@dataclass(frozen=True, kw_only=True)
class Tried:
    """Configurations of one entrant on one scene under one kind of split, each scored in the same cells.

    Attributes:
        key: values of ``GROUP_COLUMNS``, then method, protocol and sees_labels.
        source: a value of ``SOURCES``.
        params: of the configurations, the protocol's as "protocol.NAME".
        cells: (split index, seed) of the columns of ``val_oa``.
        val_oa: (configurations, cells) validation OA, fractions, no NaN.
        n_left_out: configurations with failed or missing trials.
    """

    key: dict[str, Any]
    source: str
    params: tuple[dict[str, Any], ...]
    cells: tuple[tuple[int, int], ...]
    val_oa: NDArray[np.float64] = field(repr=False)
    n_left_out: int

    @property
    def where(self) -> str:
        """The scene, the split rule and the label budget in words."""
        return one_line(Group(key=self.key, splits=(), seeds=(), configurations=()).title)

    @property
    def entrant(self) -> str:
        """The method and the protocol in words."""
        return one_line(f"{self.key['method']} ({self.key['protocol']})")

    @property
    def swept(self) -> tuple[str, ...]:
        """The sorted names of the parameters with more than one value."""
        names = sorted({name for params in self.params for name in params})
        return tuple(name for name in names if len({value_key(params.get(name)) for params in self.params}) > 1)


def tried_configurations(rows: pd.DataFrame) -> list[Tried]:
    """Return, sorted, the configurations of every entrant that tried more than one.

    Of an entrant that a search tried, its rows of full budget and no ordinary one: those are what it chose.
    Configurations without a score in the most frequent set of cells are left out. Entrants that saw all labels are no
    candidates.

    Args:
        rows: frame of ``report.rows.tidy``.
    """
    found = []
    columns = ArraysOf(rows)
    for values, places in parts_of(rows, columns, _ENTRANT):
        key = dict(zip(_ENTRANT, values, strict=True))
        if key["sees_labels"] == "all":
            continue
        of_search = places[columns["purpose"][places] == "search"]
        if of_search.size:
            tried = _tried(key, SOURCES["search"], _in_full(Rows(columns, of_search)))
        else:
            of_trials = places[columns["purpose"][places] == "trial"]
            tried = _tried(key, SOURCES["trial"], Rows(columns, of_trials))
        if len(tried.params) + tried.n_left_out > 1:
            found.append(tried)
    return found


def _tried(key: dict[str, Any], source: str, members: Rows) -> Tried:
    splits, split_places = np.unique(members["split_index"].astype(np.int64), return_inverse=True)
    seeds, seed_places = np.unique(members["seed"].astype(np.int64), return_inverse=True)
    pairs, cell_places = np.unique(split_places * len(seeds) + seed_places, return_inverse=True)
    config_places, configs = pd.factorize(members["config_id"], sort=True)
    # To the tables a row of a search, which has no test score, is an incomplete one.
    is_told = (members["status"] == "ok") | (members["error_type"] == INCOMPLETE)
    # Where a cell has several rows, the last one counts.
    scores = np.full((len(configs), len(pairs)), np.nan)
    scores[config_places, cell_places] = np.where(is_told, members["val_OA"], np.nan)
    params = np.empty(len(configs), dtype=object)
    params[config_places[::-1]] = members["params"][::-1]
    scored = [frozenset(np.flatnonzero(row).tolist()) for row in ~np.isnan(scores)]
    counts = Counter(cells for cells in scored if cells)
    common = max(counts, key=lambda cells: (counts[cells], len(cells), sorted(cells)), default=frozenset())
    order = sorted(common)
    kept = [place for place, cells in enumerate(scored) if common and cells >= common]
    return Tried(
        key=key,
        source=source,
        params=tuple(params[kept]),
        cells=tuple((int(splits[pair // len(seeds)]), int(seeds[pair % len(seeds)])) for pair in pairs[order]),
        val_oa=scores[np.ix_(kept, order)],
        n_left_out=len(configs) - len(kept),
    )


def _in_full(searched: Rows) -> Rows:
    """Return the rows on the last rung, where the budgets are rungs: fewer and fewer settings reach the next one."""
    settings: dict[float, set[str]] = {}
    budgets = [params.get(BUDGET) for params in searched["params"]]
    if not all(isinstance(budget, int | float) for budget in budgets):
        return searched
    for params in searched["params"]:
        rest = {name: value for name, value in params.items() if name != BUDGET}
        settings.setdefault(params[BUDGET], set()).add(json.dumps(rest, sort_keys=True))
    rungs = sorted(settings)
    are_nested = all(settings[high] <= settings[low] for low, high in itertools.pairwise(rungs))
    if not are_nested or len(settings[rungs[-1]]) == len(settings[rungs[0]]):
        return searched
    return searched.where(np.array(budgets) == rungs[-1])
