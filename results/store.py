"""The result store: one Parquet file per trial in a folder or bucket. No locks, no index, no pickles."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from results.errors import StoreError
from results.record import RunRecord
from results.schema import SCHEMA, migrate

_COMPACTED = "compacted.parquet"


def open_store(uri: str | os.PathLike[str]) -> ResultStore:
    """Return the store at ``uri``: a local folder, or a URI that pyarrow (s3://, gs://) or fsspec (memory://) knows.

    Nothing is created before the first write.

    Raises:
        StoreError: the address cannot be understood.
    """
    text = os.fspath(uri)
    if "://" not in text:
        return ResultStore(text, pafs.LocalFileSystem(), str(Path(text).expanduser().absolute()))
    try:
        filesystem, path = pafs.FileSystem.from_uri(text)
    except pa.ArrowInvalid:
        filesystem, path = _from_fsspec(text)
    return ResultStore(text, filesystem, path)


def _from_fsspec(uri: str) -> tuple[pafs.FileSystem, str]:
    try:
        import fsspec
    except ImportError as error:
        raise StoreError(f"store {uri!r}: package 'fsspec' is needed for it: run 'pip install fsspec'") from error
    try:
        filesystem, path = fsspec.core.url_to_fs(uri)
    except (ValueError, ImportError) as error:
        raise StoreError(f"store {uri!r} is not an address that pyarrow or fsspec knows: {error}") from error
    return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), path


class ResultStore:
    """Records as ``<trial_id>.parquet``: a rerun overwrites, two writers of different trials never meet."""

    def __init__(self, uri: str, filesystem: pafs.FileSystem, path: str) -> None:
        self.uri = uri
        self._fs = filesystem
        self._path = path.rstrip("/")

    def write(self, record: RunRecord) -> None:
        """Write ``record``, replacing an earlier one of the same trial.

        On a local file system the file is written under a temporary name and renamed; elsewhere it is one PUT. A
        reader never sees half a file.

        Raises:
            StoreError: the store cannot be written.
        """
        self._write_table(f"{record.trial_id}.parquet", record.to_table())

    def write_compacted(self, table: pa.Table) -> None:
        """Write many records into one file, e.g. to release them. A trial's own file beside it stands above it.

        Args:
            table: rows as ``read`` gives them.
        """
        self._write_table(_COMPACTED, table)

    def _write_table(self, name: str, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        # A row's bytes are mostly the file's own description of it; reading casts to the schema, so it is left out.
        pq.write_table(
            table, sink, compression="zstd", use_dictionary=False, write_statistics=False, store_schema=False
        )
        try:
            self._fs.create_dir(self._path, recursive=True)
            self._put(name, sink.getvalue())
        except OSError as error:
            raise self._unwritable(error) from error

    def check_writable(self) -> None:
        """Write and remove a probe file, so that a long run does not end at its first result.

        Raises:
            StoreError: the store cannot be written.
        """
        try:
            self._fs.create_dir(self._path, recursive=True)
            probe = f".probe-{uuid.uuid4().hex}"
            self._put(probe, pa.py_buffer(b"probe"))
            self._fs.delete_file(f"{self._path}/{probe}")
        except OSError as error:
            raise self._unwritable(error) from error

    def read(self) -> pa.Table:
        """Return all records in today's schema, sorted by trial_id.

        Raises:
            StoreError: no such folder, or a file in it is not a whole Parquet file.
            SchemaError: a file is of a version this code does not know.
        """
        tables = []
        for path in self._files():
            try:
                with self._fs.open_input_file(path) as source:
                    table = pq.read_table(source)
            except (OSError, pa.ArrowException) as error:
                raise StoreError(
                    f"{path} is not a whole Parquet file ({_one_line(error)}): delete it and rerun the sweep"
                ) from error
            tables.append(migrate(table, path))
        table = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
        return _latest(table).sort_by("trial_id")

    def finished_ids(self) -> set[str]:
        """Return the trial_ids whose status is 'ok': those a rerun need not repeat. An absent store has none."""
        if not self.exists():
            return set()
        table = self.read()
        return set(table.filter(pc.field("status") == "ok").column("trial_id").to_pylist())

    def exists(self) -> bool:
        """Return whether the folder or bucket prefix is there."""
        return self._fs.get_file_info(self._path).type == pafs.FileType.Directory

    def _files(self) -> list[str]:
        if not self.exists():
            raise StoreError(f"store {self.uri!r} does not exist: run a sweep into it first, or correct --store")
        infos = self._fs.get_file_info(pafs.FileSelector(self._path))
        paths = (
            info.path
            for info in infos
            if info.type == pafs.FileType.File and info.extension == "parquet" and not info.base_name.startswith(".")
        )
        # Compacted rows first: a trial's own file beside them is a later rerun.
        return sorted(paths, key=lambda path: (not path.endswith(f"/{_COMPACTED}"), path))

    def _put(self, name: str, data: pa.Buffer) -> None:
        target = f"{self._path}/{name}"
        if not isinstance(self._fs, pafs.LocalFileSystem):
            with self._fs.open_output_stream(target) as stream:
                stream.write(data)
            return
        temporary = f"{self._path}/.{name}.{uuid.uuid4().hex}.tmp"
        try:
            with self._fs.open_output_stream(temporary) as stream:
                stream.write(data)
            os.replace(temporary, target)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"store {self.uri!r} cannot be written ({_one_line(error)}): choose another --store or mend its permissions"
        )


def _latest(table: pa.Table) -> pa.Table:
    """Return the last row of every trial_id."""
    last = {trial_id: index for index, trial_id in enumerate(table.column("trial_id").to_pylist())}
    return table if len(last) == table.num_rows else table.take(sorted(last.values()))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
