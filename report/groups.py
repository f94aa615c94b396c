"""Groups of comparable trials, each a grid of cells on which configurations are laid out.

A sweep crosses splits and seeds: its cells are splits x seeds. ``hsicl bench`` gives every repeat a split and a seed of
its own: its cells are the repeats, in one column.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from report.row_arrays import ArraysOf, Rows, parts_of
from report.rows import GROUP_COLUMNS
from results.metrics import SCORES


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
    columns = ArraysOf(rows)
    trials, searches = (parts_of(rows, columns, GROUP_COLUMNS, purpose) for purpose in ("trial", "search"))
    tried = {key: _tuned(Rows(columns, places)) for key, places in searches}
    return tuple(
        _group(dict(zip(GROUP_COLUMNS, key, strict=True)), columns, places, tried.get(key, {}))
        for key, places in trials
    )  # fmt: skip


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


def _tuned(searches: Rows) -> dict[tuple[str, str, str], frozenset[str]]:
    found: dict[tuple[str, str, str], set[str]] = {}
    names = ("method", "protocol", "sees_labels", "config_id")
    for *entrant, config_id in zip(*(searches[name] for name in names), strict=True):
        found.setdefault(tuple(entrant), set()).add(config_id)
    return {entrant: frozenset(ids) for entrant, ids in found.items()}


def choose_by_validation(configurations: list[Configuration]) -> Configuration:
    """Return the configuration of highest mean validation OA; of equal ones the first by config_id.

    Test scores play no part.

    Args:
        configurations: at least one, all complete.
    """
    # Rounded: means of equal scores summed in another order differ in the last bit.
    return min(configurations, key=lambda item: (-round(float(item.val_oa.mean()), 12), item.config_id))


def _group(
    key: dict[str, Any], columns: ArraysOf, places: NDArray[np.int64], tuned: dict[tuple[str, str, str], frozenset[str]]
) -> Group:
    members = Rows(columns, places)
    splits, split_places = np.unique(members["split_index"].astype(np.int64), return_inverse=True)
    seeds, seed_places = np.unique(members["seed"].astype(np.int64), return_inverse=True)
    n_pairs = len(np.unique(split_places * len(seeds) + seed_places))
    # A bijection between more than one split and as many seeds.
    is_paired = n_pairs == len(splits) == len(seeds) > 1
    shape = len(splits), 1 if is_paired else len(seeds)
    cells = np.stack([split_places, np.zeros_like(seed_places) if is_paired else seed_places])
    names = ["method", "protocol", "config_id"]
    by_config = pd.DataFrame({name: pd.Series(members[name], dtype=object) for name in names}).groupby(names, sort=True)
    found: dict[Any, Any] = dict(by_config.indices)
    return Group(
        key=key,
        splits=tuple(splits.tolist()),
        seeds=tuple(seeds.tolist()),
        is_paired=is_paired,
        configurations=tuple(
            _configuration(Rows(columns, places[found[each]]), cells[:, found[each]], shape) for each in sorted(found)
        ),
        tuned=tuned,
    )


def _configuration(rows: Rows, cells: NDArray[np.int64], shape: tuple[int, int]) -> Configuration:
    matrices = {name: np.full(shape, np.nan) for name in (*SCORES, "val_OA")}
    reasons = Counter({"not run": shape[0] * shape[1] - len(rows)})
    is_usable = rows["is_usable"].astype(bool)
    if not is_usable.all():
        lost = zip(rows["error_type"][~is_usable], rows["status"][~is_usable], strict=True)
        reasons.update(error or status for error, status in lost)
    where = tuple(cells[:, is_usable])
    for name, matrix in matrices.items():
        matrix[where] = rows[name][is_usable]
    first = {name: rows.first(name) for name in ("config_id", "method", "protocol", "sees_labels", "kind", "params")}
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
    if not items:
        return ()
    first, *others = (item.params for item in items)
    names = sorted({name for params in (first, *others) for name in params})
    return tuple(name for name in names if any(_differ(first.get(name), params.get(name)) for params in others))


def _differ(one: Any, other: Any) -> bool:
    # Equal values of the rows of a store are one object.
    return one is not other and value_key(one) != value_key(other)


def value_key(value: Any) -> str:
    """Return a parameter's value as canonical JSON: hashable, and equal for equal values."""
    if isinstance(value, str | int | float):
        # Of equal values of different types, as 1, 1.0 and True are, and of the zeros, each has a text of its own.
        return _key_of_scalar(type(value).__name__, value) if value else json.dumps(value)
    return json.dumps(value, sort_keys=True)


@functools.lru_cache(maxsize=2**14)
def _key_of_scalar(kind: str, value: str | float) -> str:
    return json.dumps(value)
