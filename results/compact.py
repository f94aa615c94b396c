"""Compact a store: many files of one trial each become one file, in place or in another store to be released."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from results.comparing import differences, short
from results.errors import StoreError
from results.store import ResultStore, latest
from results.store_files import COMPACTED


class Compacted(NamedTuple):
    """What a compaction did: rows now in one file, files deleted, files left because they were replaced meanwhile."""

    n_rows: int
    n_deleted: int = 0
    n_replaced: int = 0


def release(source: ResultStore, target: ResultStore) -> Compacted:
    """Write all rows of ``source`` into one file of ``target``. The names of the machines stay behind.

    Raises:
        StoreError: ``target`` holds what ``source`` does not, or files of single trials, which would stand above the
            released rows; or a store cannot be read or written.
    """
    rows = source.read()
    if target.exists():
        others = [name for name in target.files.data_names() if name != COMPACTED]
        lost = set(target.read().column("trial_id").to_pylist()) - set(rows.column("trial_id").to_pylist())
        if others or lost:
            what = f"files besides {COMPACTED}" if others else f"{len(lost)} trials that {source.uri!r} does not"
            raise StoreError(f"store {target.uri!r} holds {what}: compact into another folder, or delete it first")
    host = rows.schema.get_field_index("host")
    target.write_compacted(rows.set_column(host, rows.field(host), pa.nulls(rows.num_rows, pa.string())))
    return Compacted(rows.num_rows)


def compact(store: ResultStore) -> Compacted:
    """Write all rows of ``store`` into one file of it, then delete the files that are in it.

    Stopped at any moment nothing is lost: until the one file is whole and on the disk, no other is touched. A row that
    another process writes meanwhile keeps its own file. On an object store a few milliseconds are not covered: compact
    one while nothing writes to it.

    Raises:
        StoreError: a file is damaged, two files that are not a rerun of each other disagree on a trial, another process
            compacts or deletes, or the store cannot be locked or written; no row is lost then.
    """
    with store.files.only_compaction():
        try:
            files = {name: store.files.read(name) for name in store.files.data_names()}
        except FileNotFoundError as error:
            # Where there are no locks another compaction has moved its rows: what was listed is not all there is.
            raise StoreError(f"store {store.uri!r} changes while it is compacted: run the command again") from error
        tables = {name: store.rows_in(name, data) for name, data in files.items()}
        _check_agreement(tables)
        singles = {name: data for name, data in files.items() if name != COMPACTED}
        if not singles:
            return Compacted(sum(table.num_rows for table in tables.values()))
        rows = latest(pa.concat_tables(list(tables.values()))).sort_by("trial_id")
        store.write_compacted(rows)
        if not store.read_file(COMPACTED).equals(rows):
            raise StoreError(f"store {store.uri!r}: {COMPACTED} was not written as it should be; nothing is deleted")
        gone = [store.files.delete_if(name, data) for name, data in singles.items()]
    return Compacted(rows.num_rows, n_deleted=sum(gone), n_replaced=len(gone) - sum(gone))


def _check_agreement(tables: dict[str, pa.Table]) -> None:
    """Raise where the order of names would decide which of two rows is kept. A trial's own file is a rerun."""
    seen: dict[str, tuple[str, pa.Table]] = {}
    for name, table in tables.items():
        for index, trial_id in enumerate(table.column("trial_id").to_pylist()):
            if name.partition(".")[0] == trial_id:
                continue
            row = table.slice(index, 1)
            other, earlier = seen.setdefault(trial_id, (name, row))
            if other == name:
                continue
            first, second = earlier.to_pylist()[0], row.to_pylist()[0]
            if differing := differences(first, second):
                column = differing[0]
                told = f"{column}: {short(column, first[column])} | {short(column, second[column])}"
                raise StoreError(f"{other} and {name} disagree on trial {trial_id} ({told}): delete the wrong one")
