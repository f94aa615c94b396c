"""Groups of comparable trials, each a full grid of splits x seeds on which configurations are laid out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from report.rows import GROUP_COLUMNS
from results.metrics import SCORES


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One method with fixed parameters under one protocol, on the grid of its group.

    Attributes:
        params: of the method, and of the protocol as "protocol.NAME": either may be swept.
        scores: score name to (splits, seeds) test scores, fractions, NaN where the grid has a hole.
        val_oa: (splits, seeds) validation OA, fractions.
        holes: reason to number of cells without a score, e.g. {"MemoryError": 2, "not run": 1}.
        rows: the rows of the configuration, failed ones included.
    """

    config_id: str
    method: str
    protocol: str
    sees_labels: str
    params: dict[str, Any]
    scores: dict[str, NDArray[np.float64]] = field(repr=False)
    val_oa: NDArray[np.float64] = field(repr=False)
    holes: dict[str, int]
    rows: pd.DataFrame = field(repr=False)

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
        """(splits, seeds) test OA, fractions."""
        return self.scores["OA"]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Trials that differ only in method, parameters, protocol, split index and seed.

    Attributes:
        key: values of ``GROUP_COLUMNS``, None where a column is null.
        splits: split indices of the grid: all that any trial of the group names, failed ones included.
        seeds: seeds of the grid, likewise.
        configurations: sorted by method, protocol, config_id.
    """

    key: dict[str, Any]
    splits: tuple[int, ...]
    seeds: tuple[int, ...]
    configurations: tuple[Configuration, ...]

    @property
    def n_cells(self) -> int:
        """Cells of the grid."""
        return len(self.splits) * len(self.seeds)

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
    """Return the groups of the rows whose purpose is 'trial', sorted by key.

    Args:
        rows: frame of ``report.rows.tidy``.
    """
    trials = rows[rows["purpose"] == "trial"]
    if trials.empty:
        return ()
    return tuple(
        _group({name: _plain(name, value) for name, value in zip(GROUP_COLUMNS, key, strict=True)}, part)
        for key, part in trials.groupby(list(GROUP_COLUMNS), dropna=False, sort=True)
    )


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


def _group(key: dict[str, Any], members: pd.DataFrame) -> Group:
    splits = tuple(sorted(int(value) for value in members["split_index"].unique()))
    seeds = tuple(sorted(int(value) for value in members["seed"].unique()))
    by_config = members.groupby(["method", "protocol", "config_id"], sort=True)
    configurations = tuple(_configuration(part, splits, seeds) for _, part in by_config)
    return Group(key=key, splits=splits, seeds=seeds, configurations=configurations)


def _configuration(part: pd.DataFrame, splits: tuple[int, ...], seeds: tuple[int, ...]) -> Configuration:
    shape = (len(splits), len(seeds))
    cells = {name: np.full(shape, np.nan) for name in (*SCORES, "val_OA")}
    reasons = Counter({"not run": shape[0] * shape[1]})
    for row in part.to_dict("records"):
        cell = splits.index(int(row["split_index"])), seeds.index(int(row["seed"]))
        reasons["not run"] -= 1
        if not row["is_usable"]:
            reasons[row["error_type"] or row["status"]] += 1
            continue
        for name, matrix in cells.items():
            matrix[cell] = row[name]
    first = part.iloc[0]
    return Configuration(
        config_id=first["config_id"],
        method=first["method"],
        protocol=first["protocol"],
        sees_labels=first["sees_labels"],
        params=first["params"],
        scores={name: cells[name] for name in SCORES},
        val_oa=cells["val_OA"],
        holes={reason: count for reason, count in sorted(reasons.items()) if count > 0},
        rows=part,
    )


def swept_names(configurations: Iterable[Configuration]) -> tuple[str, ...]:
    """Return the sorted names of the parameters with more than one value; a missing parameter counts as None."""
    items = list(configurations)
    names = sorted({name for item in items for name in item.params})
    return tuple(name for name in names if len({value_key(item.params.get(name)) for item in items}) > 1)


def value_key(value: Any) -> str:
    """Return a parameter's value as canonical JSON: hashable, and equal for equal values."""
    return json.dumps(value, sort_keys=True)
