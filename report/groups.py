"""Groups of comparable trials, each a grid of cells on which configurations are laid out.

A sweep crosses splits and seeds: its cells are splits x seeds. ``hsicl bench`` gives every repeat a split and a seed of
its own: its cells are the repeats, in one column.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from report.rows import GROUP_COLUMNS
from results.metrics import SCORES


class Rows:
    """Some rows of a frame, column by column: to cut every configuration out of a wide frame takes far longer.

    Args:
        columns: of all rows, as arrays; see ``ArraysOf``.
        places: (n,) which rows.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]], places: NDArray[np.int64]) -> None:
        self._columns = columns
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return (n,) values of a column."""
        return self._columns[name][self._places]

    def usable(self, name: str) -> NDArray[np.float64]:
        """Return the numbers of a column in the rows that may enter a table, without those that are missing."""
        values = self[name][self["is_usable"].astype(bool)].astype(np.float64)
        return values[~np.isnan(values)]

    def mean(self, name: str) -> float:
        """Return the mean of ``usable``, NaN where there is none."""
        values = self.usable(name)
        return float(values.mean()) if values.size else float("nan")


class ArraysOf(dict[str, NDArray[Any]]):
    """The columns of a frame as arrays, each made when it is first asked for."""

    def __init__(self, frame: pd.DataFrame) -> None:
        super().__init__()
        self._frame = frame

    def __missing__(self, name: str) -> NDArray[Any]:
        self[name] = self._frame[name].to_numpy()
        return self[name]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One method with fixed parameters under one protocol, on the grid of its group.

    Attributes:
        kind: what the method is to the comparison, e.g. "classical"; None in rows of old schema versions.
        params: of the method, and of the protocol as "protocol.NAME": either may be swept.
        scores: score name to (splits, seeds) or (repeats, 1) test scores, fractions, NaN where the grid has a hole.
        val_oa: validation OA, likewise.
        holes: reason to number of cells without a score, e.g. {"MemoryError": 2, "not run": 1}.
        rows: the rows of the configuration, failed ones included.
    """

    config_id: str
    method: str
    protocol: str
    sees_labels: str
    kind: str | None
    params: dict[str, Any]
    scores: dict[str, NDArray[np.float64]] = field(repr=False)
    val_oa: NDArray[np.float64] = field(repr=False)
    holes: dict[str, int]
    rows: Rows = field(repr=False)
    _medians: dict[str, float | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def is_bound(self) -> bool:
        """Whether fitting saw all labels, so that the scores bound what a method could reach."""
        return self.sees_labels == "all"

    @property
    def is_complete(self) -> bool:
        """Whether every cell of the group's grid has a score."""
        return not self.holes

    @property
    def oa(self) -> NDArray[np.float64]:
        """Test OA, fractions, laid out as all scores are."""
        return self.scores["OA"]

    def median(self, name: str) -> float | None:
        """Return the median of a measured column over the usable rows, None where none says."""
        if name not in self._medians:
            known = self.rows.usable(name)
            self._medians[name] = float(np.median(known)) if known.size else None
        return self._medians[name]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Trials that differ only in method, parameters, protocol, split index and seed.

    Attributes:
        key: values of ``GROUP_COLUMNS``, None where a column is null.
        splits: split indices of the grid: all that any trial of the group names, failed ones included.
        seeds: seeds of the grid, likewise.
        is_paired: whether every split has a seed of its own, so that cells are repeats instead of splits x seeds.
        configurations: sorted by method, protocol, config_id.
        tuned: (method, protocol, sees_labels) to the config_ids that a search tried on validation.
    """

    key: dict[str, Any]
    splits: tuple[int, ...]
    seeds: tuple[int, ...]
    is_paired: bool = False
    configurations: tuple[Configuration, ...]
    tuned: dict[tuple[str, str, str], frozenset[str]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return len(self.splits), 1 if self.is_paired else len(self.seeds)

    @property
    def n_cells(self) -> int:
        """Cells of the grid."""
        return self.shape[0] * self.shape[1]

    @property
    def cells(self) -> str:
        """The grid in words."""
        return f"{len(self.splits)} repeats" if self.is_paired else "{} x {}".format(*self.shape)

    @property
    def title(self) -> str:
        """The group in words."""
        return f"{self.key['scene']}, {self.kind}"

    @property
    def kind(self) -> str:
        """Split rule and label budget in words."""
        return f"{self.key['split_rule']} split, {self._budget}"

    @property
    def _budget(self) -> str:
        if self.key["masks"] is not None:
            return f"masks {self.key['masks']}"
        if self.key["labels_percent"] is not None:
            return f"{self.key['labels_percent']:g}% of every class labelled"
        return f"{self.key['labels_per_class']} labels per class"


def build_groups(rows: pd.DataFrame) -> tuple[Group, ...]:
    """Return the groups of the rows whose purpose is 'trial', sorted by key; of a search's rows only what was tried.

    Args:
        rows: frame of ``report.rows.tidy``.
    """
    trials = rows[rows["purpose"] == "trial"]
    if trials.empty:
        return ()
    searches = rows[rows["purpose"] == "search"]
    tried = {_key(key): _tuned(part) for key, part in searches.groupby(list(GROUP_COLUMNS), dropna=False)}
    return tuple(
        _group(dict(zip(GROUP_COLUMNS, _key(key), strict=True)), part, tried.get(_key(key), {}))
        for key, part in trials.groupby(list(GROUP_COLUMNS), dropna=False, sort=True)
    )


def narrowed(groups: Iterable[Group], wanted: Mapping[str, Sequence[str]]) -> tuple[Group, ...]:
    """Return the groups with some of their configurations, each group's grid as it is; bounds stay whatever the kind.

    Args:
        groups: of one store.
        wanted: ``"method"``, ``"protocol"`` or ``"kind"`` to the values that are kept; an empty one keeps all.
    """

    def is_kept(item: Configuration) -> bool:
        return all(
            not values or getattr(item, word) in values or (word == "kind" and item.is_bound)
            for word, values in wanted.items()
        )

    kept = (replace(group, configurations=tuple(filter(is_kept, group.configurations))) for group in groups)
    return tuple(group for group in kept if group.configurations)


def _key(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(_plain(name, value) for name, value in zip(GROUP_COLUMNS, values, strict=True))


def _tuned(searches: pd.DataFrame) -> dict[tuple[str, str, str], frozenset[str]]:
    found: dict[tuple[str, str, str], set[str]] = {}
    for *entrant, config_id in searches[["method", "protocol", "sees_labels", "config_id"]].itertuples(index=False):
        found.setdefault(tuple(entrant), set()).add(config_id)
    return {entrant: frozenset(ids) for entrant, ids in found.items()}


def _plain(name: str, value: Any) -> Any:
    """Return a key's value as it was before pandas met a null in its column: None for NaN, whole numbers whole."""
    if value != value:
        return None
    return int(value) if name == "labels_per_class" and value is not None else value


def choose_by_validation(configurations: list[Configuration]) -> Configuration:
    """Return the configuration of highest mean validation OA; of equal ones the first by config_id.

    Test scores play no part.

    Args:
        configurations: at least one, all complete.
    """
    # Rounded: means of equal scores summed in another order differ in the last bit.
    return min(configurations, key=lambda item: (-round(float(item.val_oa.mean()), 12), item.config_id))


def _group(key: dict[str, Any], members: pd.DataFrame, tuned: dict[tuple[str, str, str], frozenset[str]]) -> Group:
    pairs = sorted(
        {(int(split), int(seed)) for split, seed in zip(members["split_index"], members["seed"], strict=True)}
    )
    splits, seeds = (tuple(sorted({pair[index] for pair in pairs})) for index in (0, 1))
    # A bijection between more than one split and as many seeds.
    is_paired = len(pairs) == len(splits) == len(seeds) > 1
    cells = {pair: (splits.index(pair[0]), 0 if is_paired else seeds.index(pair[1])) for pair in pairs}
    shape = len(splits), 1 if is_paired else len(seeds)
    columns = ArraysOf(members)
    by_config: dict[Any, Any] = dict(members.groupby(["method", "protocol", "config_id"], sort=True).indices)
    configurations = tuple(_configuration(Rows(columns, by_config[key]), cells, shape) for key in sorted(by_config))
    return Group(
        key=key, splits=splits, seeds=seeds, is_paired=is_paired, configurations=configurations, tuned=tuned
    )  # fmt: skip


def _configuration(rows: Rows, cells: dict[tuple[int, int], tuple[int, int]], shape: tuple[int, int]) -> Configuration:
    matrices = {name: np.full(shape, np.nan) for name in (*SCORES, "val_OA")}
    reasons = Counter({"not run": shape[0] * shape[1] - len(rows)})
    pairs = zip(rows["split_index"], rows["seed"], strict=True)
    places = np.array([cells[int(split), int(seed)] for split, seed in pairs])
    is_usable = rows["is_usable"].astype(bool)
    lost = zip(rows["error_type"][~is_usable], rows["status"][~is_usable], strict=True)
    reasons.update(error or status for error, status in lost)
    for name, matrix in matrices.items():
        matrix[tuple(places[is_usable].T)] = rows[name][is_usable]
    first = {name: rows[name][0] for name in ("config_id", "method", "protocol", "sees_labels", "kind", "params")}
    return Configuration(
        **first,
        scores={name: matrices[name] for name in SCORES},
        val_oa=matrices["val_OA"],
        holes={reason: count for reason, count in sorted(reasons.items()) if count > 0},
        rows=rows,
    )


def swept_names(configurations: Iterable[Configuration]) -> tuple[str, ...]:
    """Return the sorted names of the parameters with more than one value; a missing parameter counts as None."""
    items = list(configurations)
    names = sorted({name for item in items for name in item.params})
    return tuple(name for name in names if len({value_key(item.params.get(name)) for item in items}) > 1)


def value_key(value: Any) -> str:
    """Return a parameter's value as canonical JSON: hashable, and equal for equal values."""
    return json.dumps(value, sort_keys=True)
