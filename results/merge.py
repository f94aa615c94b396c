"""Merge stores from several clusters into one. Rows of one trial that disagree are reported, never chosen between."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from results.comparing import differences, short
from results.errors import StoreError
from results.store import ResultStore


class _Found(NamedTuple):
    """A row of a trial: the store it is in (0: the target), that store's rows, and which of them."""

    origin: int
    rows: pa.Table
    place: int

    @property
    def row(self) -> pa.Table:
        return self.rows.slice(self.place, 1)

    @property
    def is_ok(self) -> bool:
        return bool(self.rows.column("status")[self.place].as_py() == "ok")


@dataclass(kw_only=True)
class Merged:
    """What a merge did, in trials.

    Attributes:
        n_new: written, the target had no row of them.
        n_replaced: written in place of a failed or diverged row of the target.
        n_there: left as they were; the sources say the same, or only that they failed there.
        conflicts: one line for each trial whose rows disagree; nothing was written of them.
    """

    n_new: int = 0
    n_replaced: int = 0
    n_there: int = 0
    conflicts: list[str] = field(default_factory=list)


def merge(target: ResultStore, sources: Sequence[ResultStore], *, dry_run: bool = False) -> Merged:
    """Write into ``target`` what ``sources`` hold beyond it.

    Rows of one trial are those with one trial_id. An 'ok' row stands above one that failed or diverged, as a rerun's
    would; 'ok' rows must agree (``results.comparing``), of others the first is kept. Killed in the middle, it goes on
    when run again. A trial that a sweep finishes in ``target`` meanwhile keeps its row and counts as there.

    Args:
        target: is made if it does not exist.
        sources: in order of preference: of rows that agree, or failed, the first one is written, with its seconds.
        dry_run: only count.

    Raises:
        StoreError: ``target`` is among ``sources``, or a store cannot be read or written.
        SchemaError: a file is of a version this code does not know.
    """
    for source in sources:
        if _is_same(source, target):
            raise StoreError(f"store {source.uri!r} is TARGET and SOURCE: name only other stores as sources")
    tables = [target.read() if target.exists() else None, *(source.read() for source in sources)]
    addresses = [target.uri, *(source.uri for source in sources)]
    found: dict[str, list[_Found]] = {}
    for origin, table in enumerate(tables):
        for index, trial_id in enumerate([] if table is None else table.column("trial_id").to_pylist()):
            found.setdefault(trial_id, []).append(_Found(origin, table, index))
    merged = Merged()
    for trial_id, rows in found.items():
        ok = [row for row in rows if row.is_ok]
        best = (ok or rows)[0]
        if (conflict := _conflict(trial_id, ok, addresses)) is not None:
            merged.conflicts.append(conflict)
        elif best.origin == 0 or (not dry_run and target.is_ok(trial_id)):
            merged.n_there += rows[-1].origin > 0
        else:
            if not dry_run:
                target.write_row(best.row)
            merged.n_replaced += rows[0].origin == 0
            merged.n_new += rows[0].origin > 0
    return merged


def _conflict(trial_id: str, rows: Sequence[_Found], addresses: Sequence[str]) -> str | None:
    if len(rows) < 2:
        return None
    values: list[dict[str, Any]] = [found.row.to_pylist()[0] for found in rows]
    for (one, first), (other, second) in itertools.combinations(zip(rows, values, strict=True), 2):
        if names := differences(first, second):
            told = "; ".join(f"{name}: {short(name, first[name])} | {short(name, second[name])}" for name in names)
            machines = " | ".join(f"{row['device']}, {row['n_threads']} threads" for row in (first, second))
            return f"{trial_id} ({addresses[one.origin]} | {addresses[other.origin]}) {told} (on {machines})"
    return None


def _is_same(one: ResultStore, other: ResultStore) -> bool:
    if one.files.is_local and other.files.is_local:
        return Path(one.files.path).resolve() == Path(other.files.path).resolve()
    return bool(one.files.filesystem.equals(other.files.filesystem)) and one.files.path == other.files.path
