"""The result store: one Parquet file per trial in a folder or bucket. No index, no pickles, writers never wait."""

from __future__ import annotations

import contextlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from results.addresses import located, shown
from results.errors import StoreError, one_line
from results.record import RunRecord
from results.schema import SCHEMA, SCHEMA_VERSION, migrate
from results.store_files import COMPACTED, StoreFiles

_T = TypeVar("_T")
_FINISHED = ["trial_id", "status"]
_FILE_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
# How often to begin again where a compaction moves rows from file to file under a reader.
_ATTEMPTS = 10
# What is condensed at once; a file of fewer bytes is read at once.
_PART_ROWS, _PART_BYTES = 10_000, 2**20
_CONDENSING = 2
# Requests to an object store under way at once.
_REQUESTS = 16


def open_store(uri: str | os.PathLike[str]) -> ResultStore:
    """Return the store at ``uri``: a local folder, or a URI that pyarrow (s3://, gs://) or fsspec (memory://) knows.

    Nothing is created before the first write.

    Raises:
        StoreError: the address cannot be understood.
    """
    filesystem, path = located(uri)
    return ResultStore(StoreFiles(os.fspath(uri), filesystem, path.rstrip("/") or path))


class ResultStore:
    """Records as ``<trial_id>.parquet``: a rerun overwrites, two writers of different trials never meet.

    Attributes:
        files: the store's files.
        uri: the address as it may be shown.
    """

    def __init__(self, files: StoreFiles) -> None:
        self.files = files
        self.uri = shown(files.address)
        self._compacted_ok: tuple[tuple[object, ...], set[str]] = ((), set())

    def write(self, record: RunRecord) -> None:
        """Write ``record``, replacing an earlier one of the same trial.

        On a local file system the file is written under a temporary name, flushed and renamed; elsewhere it is one
        PUT. A reader never sees half a file.

        Raises:
            StoreError: the store cannot be written.
        """
        self.write_row(record.to_table())

    def write_row(self, row: pa.Table) -> None:
        """Write a table of one row, as ``write`` writes a record.

        Raises:
            StoreError: the store cannot be written, or the row's trial_id is no file name.
        """
        (trial_id,) = row.column("trial_id").to_pylist()
        self._write_table(_own_name(trial_id), row)

    def write_compacted(self, table: pa.Table) -> None:
        """Write many records into one file, e.g. to release them. A trial's own file beside it stands above it.

        Args:
            table: rows as ``read`` gives them.
        """
        self._write_table(COMPACTED, table)

    def _write_table(self, name: str, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        # A row's bytes are mostly the file's own description of it; reading casts to the schema, so it is left out.
        pq.write_table(
            table, sink, compression="zstd", use_dictionary=False, write_statistics=False, store_schema=False
        )
        self.files.put(name, sink.getvalue())

    def check_writable(self) -> None:
        """Write and remove a probe file, so that a long run does not end at its first result.

        Raises:
            StoreError: the store cannot be written.
        """
        self.files.probe()

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all records in today's schema, sorted by trial_id. Costs about 3 ms for every file of one trial.

        Args:
            columns: what is wanted of them, in this order; a few columns cost about 0.7 ms a file. None for all.

        Raises:
            StoreError: no such folder, or a file in it is not a whole Parquet file.
            SchemaError: a file is of a version this code does not know.
        """
        if columns is None:
            return self._rows(lambda names: _joined(self._each(self.read_file, names), SCHEMA)).sort_by("trial_id")
        schema = pa.schema([SCHEMA.field(name) for name in dict.fromkeys(["trial_id", *columns])])

        def read(name: str) -> pa.Table:
            return self._read_columns(name, schema)

        return self._rows(lambda names: _joined(self._each(read, names), schema)).sort_by("trial_id").select(columns)

    def read_condensed(self, columns: Sequence[str], condense: Callable[[pa.Table], pa.Table]) -> pa.Table:
        """Return what ``condense`` makes of all records, sorted by trial_id; long columns are never all in memory.

        Args:
            columns: what ``condense`` is given, trial_id among them.
            condense: from some thousand rows to a table of as many, with their trial_id.

        Raises:
            StoreError: no such folder, or a file in it is not a whole Parquet file.
            SchemaError: a file is of a version this code does not know.
        """
        schema = pa.schema([SCHEMA.field(name) for name in columns])
        return _sorted(self._rows(lambda names: self._condensed(names, schema, condense)))

    def finished_ids(self) -> set[str]:
        """Return the trial_ids whose status is 'ok': those a rerun need not repeat. An absent store has none."""
        return _ok_ids(self.read(_FINISHED)) if self.exists() else set()

    def is_ok(self, trial_id: str) -> bool:
        """Return whether the trial is finished now: by its own file, or without one by the compacted rows.

        Lists nothing: two small requests, and the compacted file once when it has changed. Collections with other names
        are not looked into: no sweep and no compaction writes them.

        Raises:
            StoreError: the trial_id is no file name, or the store cannot be read, a bucket for as long as for a write.
        """
        return self.files.patiently(lambda: self._is_ok(trial_id))

    def _is_ok(self, trial_id: str) -> bool:
        schema = pa.schema([SCHEMA.field(name) for name in _FINISHED])
        with contextlib.suppress(FileNotFoundError):
            return trial_id in _ok_ids(self._read_columns(_own_name(trial_id), schema))
        stamp = self.files.stamp()
        if stamp != self._compacted_ok[0]:
            ids: set[str] = set()
            with contextlib.suppress(FileNotFoundError):
                ids = _ok_ids(self._read_columns(COMPACTED, schema))
            self._compacted_ok = (stamp, ids)
        return trial_id in self._compacted_ok[1]

    def exists(self) -> bool:
        """Return whether the folder is there, or a file under the bucket's prefix."""
        return self.files.exists()

    def read_file(self, name: str) -> pa.Table:
        """Return the rows of one file in today's schema.

        Raises:
            FileNotFoundError: it is gone.
            StoreError: it is not a whole Parquet file.
            SchemaError: it is of a version this code does not know.
        """
        return self.rows_in(name, self.files.read(name))

    def rows_in(self, name: str, data: pa.Buffer) -> pa.Table:
        """Return the rows that ``data``, the bytes of the file ``name``, hold; errors as those of ``read_file``."""
        return migrate(self._parsed(name, data), self._shown(name))

    def _rows(self, read: Callable[[list[str]], pa.Table]) -> pa.Table:
        """Return what ``read`` gives of all files, the last row of every trial, as of one moment."""
        for _ in range(_ATTEMPTS):
            before = self.files.stamp()
            names = self.files.data_names()
            try:
                table = read(names)
            except FileNotFoundError:
                continue  # Compacted since it was listed.
            if self.files.stamp() == before:
                return latest(table)
        raise StoreError(f"store {self.uri!r} changes while it is read: run the command again when it is compacted")

    def _each(self, read: Callable[[str], _T], names: list[str]) -> Iterator[_T]:
        if self.files.is_local:
            # Here parsing takes the time, and threads make it no faster.
            yield from map(read, names)
            return
        with ThreadPoolExecutor(_REQUESTS) as pool:
            yield from pool.map(read, names)

    def _condensed(self, names: list[str], schema: pa.Schema, condense: Callable[[pa.Table], pa.Table]) -> pa.Table:
        with_data = self._each(lambda name: (name, self.files.read(name)), names)
        parts = (part for name, data in with_data for part in self._parts(name, data, schema))
        done: list[pa.Table] = []
        under_way: deque[Future[pa.Table]] = deque()
        # Arrow and NumPy let other threads run; more parts than threads would wait in memory.
        with ThreadPoolExecutor(_CONDENSING) as pool:
            for rows in _gathered(parts):
                under_way.append(pool.submit(condense, rows))
                if len(under_way) > _CONDENSING:
                    done.append(under_way.popleft().result())
            done += [each.result() for each in under_way]
        return pa.concat_tables(done or [condense(schema.empty_table())])

    def _parts(self, name: str, data: pa.Buffer, schema: pa.Schema) -> Iterator[pa.Table]:
        """Yield columns of a file, some thousand rows at a time."""
        if len(data) < _PART_BYTES or not self._is_current(self._parsed(name, data, columns=["schema_version"])):
            yield self._columns_of(name, data, schema)
            return
        with self._parsing(name):
            for batch in pq.ParquetFile(pa.BufferReader(data)).iter_batches(_PART_ROWS, columns=schema.names):
                yield pa.Table.from_batches([batch]).select(schema.names).cast(schema)

    def _read_columns(self, name: str, schema: pa.Schema) -> pa.Table:
        return self._columns_of(name, self.files.read(name), schema)

    def _columns_of(self, name: str, data: pa.Buffer, schema: pa.Schema) -> pa.Table:
        wanted = {*schema.names, "schema_version"}
        table = self._parsed(name, data, columns=list(wanted))
        if set(table.column_names) == wanted and self._is_current(table):
            with contextlib.suppress(pa.ArrowInvalid):
                return table.select(schema.names).cast(schema)
        # An earlier version, or a fault that the whole file's migration tells.
        return self.rows_in(name, data).select(schema.names)

    @staticmethod
    def _is_current(table: pa.Table) -> bool:
        return table.column_names != [] and table.column("schema_version").unique().to_pylist() == [SCHEMA_VERSION]

    def _parsed(self, name: str, data: pa.Buffer, columns: list[str] | None = None) -> pa.Table:
        with self._parsing(name):
            return pq.ParquetFile(pa.BufferReader(data)).read(columns=columns, use_threads=False)

    @contextlib.contextmanager
    def _parsing(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"{self._shown(name)} is not a whole Parquet file ({one_line(error)}): delete it and rerun the sweep"
            ) from error

    def _shown(self, name: str) -> str:
        return f"{self.uri if '://' in self.uri else self.files.path}/{name}"


def _own_name(trial_id: str | None) -> str:
    if trial_id is None or not _FILE_NAME.fullmatch(trial_id):
        raise StoreError(f"trial_id {trial_id!r:.60} is no file name: it must be letters, digits, '_' and '-'")
    return f"{trial_id}.parquet"


def _ok_ids(table: pa.Table) -> set[str]:
    return set(table.filter(pc.field("status") == "ok").column("trial_id").to_pylist())


def _gathered(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows in tables of some thousand: files of one trial are put together."""
    pending: list[pa.Table] = []
    n_rows = 0
    for part in parts:
        pending.append(part)
        n_rows += part.num_rows
        if n_rows >= _PART_ROWS:
            yield pa.concat_tables(pending)
            pending, n_rows = [], 0
    if pending:
        yield pa.concat_tables(pending)


def _joined(tables: Iterable[pa.Table], schema: pa.Schema) -> pa.Table:
    parts = list(tables)
    return pa.concat_tables(parts) if parts else schema.empty_table()


def _sorted(table: pa.Table) -> pa.Table:
    ids = table.column("trial_id")
    # As compacted rows are: to sort them is to copy them.
    is_sorted = pc.all(pc.less(ids.slice(0, max(0, len(ids) - 1)), ids.slice(1))).as_py()
    return table if is_sorted else table.sort_by("trial_id")


def latest(table: pa.Table) -> pa.Table:
    """Return the last row of every trial_id."""
    last = {trial_id: index for index, trial_id in enumerate(table.column("trial_id").to_pylist())}
    return table if len(last) == table.num_rows else table.take(sorted(last.values()))
