"""The files of a store, wherever they are: names, bytes in, bytes out. What a file system raises becomes one line."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from results.addresses import is_passing, remedy, shown
from results.errors import StoreError, one_line
from results.local_files import only_one, put_whole

COMPACTED = "compacted.parquet"
# Object stores have no folders: making one there costs requests, and rights that a writer may not have.
_WITHOUT_FOLDERS = ("s3", "gcs")
_PAUSE_S = 2.0
_T = TypeVar("_T")


@dataclass(frozen=True)
class StoreFiles:
    """The folder, or prefix of a bucket, that a store is.

    Attributes:
        address: what the user wrote.
        filesystem: where it is.
        path: of the folder there, without a slash at its end.
        patience_s: seconds for which a bucket that cannot be reached is tried again: a row may be hours of work.
    """

    address: str
    filesystem: pafs.FileSystem
    path: str
    patience_s: float = 120.0

    @property
    def is_local(self) -> bool:
        """Whether files can be renamed."""
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    def exists(self) -> bool:
        """Return whether the folder is there, or a file under the prefix.

        Raises:
            StoreError: nobody answers.
        """
        return self._info(self.path).type == pafs.FileType.Directory

    def names(self) -> list[str]:
        """Return the names of all files, sorted; also hidden ones and what is no record.

        Raises:
            StoreError: the store does not exist, or nobody answers.
        """
        self._check_exists()
        selector = pafs.FileSelector(self.path, allow_not_found=True)
        with self._readable():
            infos = self.filesystem.get_file_info(selector)
        return sorted(info.base_name for info in infos if info.type == pafs.FileType.File)

    def data_names(self) -> list[str]:
        """Return the names of the files with rows, those that stand above others last.

        A trial's own file beside compacted rows is a later rerun.
        """
        names = [name for name in self.names() if name.endswith(".parquet") and not name.startswith(".")]
        return sorted(names, key=lambda name: (name != COMPACTED, name))

    def stamp(self) -> tuple[object, ...]:
        """Return what changes when the compacted file does."""
        info = self._info(f"{self.path}/{COMPACTED}")
        return (info.type, info.size, info.mtime_ns)

    def read(self, name: str) -> pa.Buffer:
        """Return a file's bytes, as one moment had them.

        Raises:
            FileNotFoundError: it is gone.
            StoreError: it cannot be read.
        """
        with self._readable(), self.filesystem.open_input_stream(f"{self.path}/{name}") as stream:
            return stream.read_buffer()

    def put(self, name: str, data: pa.Buffer) -> None:
        """Write a file whole: renamed on a local file system, one PUT elsewhere, for ``patience_s`` again and again.

        Raises:
            StoreError: it cannot be written; on a local disk nothing is left of it then.
        """
        try:
            if self.filesystem.type_name not in _WITHOUT_FOLDERS:
                self.filesystem.create_dir(self.path, recursive=True)
            if self.is_local:
                put_whole(Path(self.path, name), memoryview(data))
                return
            self.patiently(lambda: self._put_at_once(name, data))
        except OSError as error:
            raise StoreError(
                f"store {shown(self.address)!r} cannot be written ({one_line(error)}): {remedy(error)}"
            ) from error

    def _put_at_once(self, name: str, data: pa.Buffer) -> None:
        with self.filesystem.open_output_stream(f"{self.path}/{name}") as stream:
            stream.write(data)

    def patiently(self, act: Callable[[], _T]) -> _T:
        """Return what ``act`` returns, done again for ``patience_s`` where a bucket cannot be reached."""
        end = time.monotonic() + self.patience_s
        while True:
            try:
                return act()
            except OSError as error:
                # What became a StoreError also names the address, in which any word may stand.
                if self.is_local or not is_passing(error.__cause__ or error) or time.monotonic() > end:
                    raise
            time.sleep(_PAUSE_S)

    def delete(self, name: str) -> None:
        """Delete a file; one that is gone already is no error.

        Raises:
            StoreError: it cannot be deleted.
        """
        try:
            self.filesystem.delete_file(f"{self.path}/{name}")
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._undeletable(name, error) from error

    def _undeletable(self, name: str, error: OSError) -> StoreError:
        return StoreError(f"{shown(self.address)}/{name} cannot be deleted ({one_line(error)}): {remedy(error)}")

    def delete_if(self, name: str, expected: pa.Buffer) -> bool:
        """Delete a file unless it was replaced since its bytes were ``expected``; return whether it is gone.

        On a local file system no moment is left in which a replacement could be lost. An object store cannot rename:
        there a few milliseconds lie between the look and the deletion.

        Raises:
            StoreError: it cannot be deleted; readers find it as before.
        """
        if not self.is_local:
            with contextlib.suppress(FileNotFoundError):
                if not self.read(name).equals(expected):
                    return False
            self.delete(name)
            return True
        try:
            return self._deleted_aside(Path(self.path, name), expected)
        except StoreError:
            raise
        except OSError as error:
            raise self._undeletable(name, error) from error

    def _deleted_aside(self, original: Path, expected: pa.Buffer) -> bool:
        # Still a file with rows, read before the one it was: whenever this ends, nothing is hidden from readers.
        aside = original.with_name(f"{original.stem}.{time.time_ns():020d}.parquet")
        try:
            os.rename(original, aside)
        except FileNotFoundError:
            return True
        if not self.read(aside.name).equals(expected):
            try:
                os.link(aside, original)
            except FileExistsError:
                pass  # A newer one stands there already.
            except OSError:
                return False  # No hard links here: it is read under this name too.
            os.unlink(aside)
            return False
        os.unlink(aside)
        return True

    @contextlib.contextmanager
    def only_compaction(self) -> Iterator[None]:
        """Keep other compactions out, on a local file system.

        Raises:
            StoreError: one is under way, the store does not exist, or its folder cannot be locked.
        """
        if not self.is_local:
            yield
            return
        self._check_exists()
        with only_one(Path(self.path, ".compact.lock")):
            yield

    def probe(self) -> None:
        """Write and delete a file.

        Raises:
            StoreError: the store cannot be written.
        """
        name = f".probe-{uuid.uuid4().hex}"
        replace(self, patience_s=0.0).put(name, pa.py_buffer(b"probe"))
        self.delete(name)

    def _check_exists(self) -> None:
        if not self.exists():
            raise StoreError(
                f"store {shown(self.address)!r} does not exist: run a sweep into it first, or correct the address"
            )

    def _info(self, path: str) -> pafs.FileInfo:
        with self._readable():
            return self.filesystem.get_file_info(path)

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreError(
                f"store {shown(self.address)!r} cannot be read ({one_line(error)}): {remedy(error)}"
            ) from error
