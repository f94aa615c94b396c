"""Rows of a frame as arrays and places in them: a part of a wide frame would be a copy of all its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


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

    def first(self, name: str) -> Any:
        """Return the first row's value of a column."""
        return self._columns[name][self._places[0]]

    def where(self, kept: NDArray[np.bool_]) -> Rows:
        """Return those of the rows for which ``kept`` (n,) is true."""
        return Rows(self._columns, self._places[kept])

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


def parts_of(
    rows: pd.DataFrame, columns: ArraysOf, names: Sequence[str], purpose: str | None = None
) -> list[tuple[tuple[Any, ...], NDArray[np.int64]]]:
    """Return the values of some columns, sorted, None where null, and for each the places of the rows that have them.

    Args:
        rows: frame of ``report.rows.tidy``.
        columns: the same as arrays.
        names: the columns.
        purpose: of the rows that are looked at; None for all.
    """
    chosen = np.arange(len(rows)) if purpose is None else np.flatnonzero(columns["purpose"] == purpose)
    if not chosen.size:
        return []
    # Not the frame itself: every column of it would be copied.
    looked_at = pd.DataFrame({name: pd.Series(columns[name][chosen], dtype=object) for name in names})
    numbers = looked_at.groupby(list(names), dropna=False, sort=True).ngroup().to_numpy()
    order = np.argsort(numbers, kind="stable")
    places = np.split(chosen[order], np.flatnonzero(np.diff(numbers[order])) + 1)
    return [(tuple(_plain(columns[name][part[0]]) for name in names), part) for part in places]


def _plain(value: Any) -> Any:
    """Return a key's value, None for NaN."""
    return None if value != value else value
