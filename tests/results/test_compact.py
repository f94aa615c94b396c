"""Compaction loses nothing: whenever it is killed, whoever writes or reads meanwhile."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from results import ResultStore, StoreError, open_store
from results.compact import Compacted, compact, release
from results.store_files import COMPACTED, StoreFiles
from tests.record_factory import make_record

IDS = [f"{number:016x}" for number in range(3)]
# Whatever changes the folder.
STEPS = ("rename", "replace", "unlink", "link")


def filled(folder: Path, **changes: object) -> ResultStore:
    store = open_store(folder)
    for trial_id in IDS:
        store.write(make_record(trial_id=trial_id, **changes))
    return store


def test_in_place_one_file_is_left_and_the_rows_are_the_same(tmp_path: Path) -> None:
    store = filled(tmp_path, host="mine")
    rows = store.read()
    assert compact(store) == Compacted(len(IDS), n_deleted=len(IDS))
    assert [path.name for path in tmp_path.iterdir()] == [COMPACTED]
    assert store.read().equals(rows)
    # Again, with nothing to do; then with a rerun and a new trial beside it.
    assert compact(store) == Compacted(len(IDS))
    store.write(make_record(trial_id=IDS[0], seed=99))
    store.write(make_record(trial_id="new", seed=98))
    rows = store.read()
    assert compact(store) == Compacted(len(IDS) + 1, n_deleted=2)
    assert store.read().equals(rows)
    assert {row["seed"] for row in rows.to_pylist()} == {0, 98, 99}


def test_released_rows_are_the_rows_without_the_machines(tmp_path: Path) -> None:
    store, target = filled(tmp_path / "store", host="mine", diagnostics={"purity": 0.5}), open_store(tmp_path / "to")
    for _ in range(2):
        assert release(store, target) == Compacted(len(IDS))
        assert [path.name for path in (tmp_path / "to").iterdir()] == [COMPACTED]
    rows = target.read()
    assert rows.column("host").to_pylist() == [None] * len(IDS)
    assert rows.drop_columns("host").equals(store.read().drop_columns("host"))
    assert len(list((tmp_path / "store").iterdir())) == len(IDS)


def test_a_release_over_what_it_would_hide_or_lose_is_refused(tmp_path: Path) -> None:
    store = filled(tmp_path / "store")
    with pytest.raises(StoreError, match=r"holds files besides compacted\.parquet"):
        release(store, store)
    more = open_store(tmp_path / "more")
    more.write_compacted(make_record(trial_id="only here").to_table())
    with pytest.raises(StoreError, match="holds 1 trials that"):
        release(store, more)
    assert more.read().num_rows == 1
    with pytest.raises(StoreError, match="does not exist"):
        release(open_store(tmp_path / "nowhere"), more)


def test_a_damaged_file_stops_it_before_anything_is_touched(tmp_path: Path) -> None:
    store = filled(tmp_path)
    (tmp_path / f"{IDS[2]}.parquet").write_bytes(b"half")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(StoreError, match=IDS[2]):
        compact(store)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_two_collections_that_disagree_are_not_chosen_between(tmp_path: Path) -> None:
    for name, oa in (("one", 0.5), ("two", 0.75)):
        pq.write_table(make_record(trial_id=IDS[0], test_oa=oa).to_table(), tmp_path / f"{name}.parquet")
    with pytest.raises(StoreError, match=r"one\.parquet and two\.parquet .*OA 0\.5000 \| OA 0\.7500"):
        compact(open_store(tmp_path))
    assert len(list(tmp_path.iterdir())) == 2


class Killed(BaseException):
    """In place of a SIGKILL: nothing that follows changes the folder."""


def compact_disturbed(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], None], *, kill: bool = False
) -> bool:
    """Compact; before the step of that number ``act``. Return whether there was such a step."""
    steps = itertools.count()
    reached = []

    def step(original: Callable[..., object], *arguments: object) -> object:
        if not reached and next(steps) == number:
            reached.append(number)
            act()
        if reached and kill:
            raise Killed
        return original(*arguments)

    with monkeypatch.context() as patched, contextlib.suppress(Killed):
        for name in STEPS:
            patched.setattr(os, name, functools.partial(step, getattr(os, name)))
        compact(store)
    return bool(reached)


def test_killed_at_any_step_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in itertools.count():
        store = filled(tmp_path / str(number))
        store.write_compacted(make_record(trial_id=IDS[2], seed=99).to_table())
        rows = store.read()
        was_killed = compact_disturbed(store, monkeypatch, number, lambda: None, kill=True)
        assert store.read().equals(rows), number
        assert store.finished_ids() == set(IDS)
        compact(store)
        names = {path.name for path in (tmp_path / str(number)).iterdir() if path.suffix == ".parquet"}
        assert names == {COMPACTED}
        assert store.read().equals(rows), number
        if not was_killed:
            break
    # The rename of the one file, and two steps for each that is deleted.
    assert number > 2 * len(IDS)


@pytest.mark.parametrize("has_links", [True, False])
def test_what_a_writer_puts_there_at_any_step_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    def no_link(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not has_links:
        monkeypatch.setattr(os, "link", no_link)
    for number in itertools.count():
        store = filled(tmp_path / str(number))
        replaced = make_record(trial_id=IDS[1], seed=99)
        was_written = compact_disturbed(store, monkeypatch, number, functools.partial(store.write, replaced))
        seeds = {row["trial_id"]: row["seed"] for row in store.read().to_pylist()}
        assert seeds == dict.fromkeys(IDS, 0) | ({IDS[1]: 99} if was_written else {}), number
        # A later rerun stands above whatever name it has.
        store.write(make_record(trial_id=IDS[1], seed=100))
        compact(store)
        assert {row["trial_id"]: row["seed"] for row in store.read().to_pylist()}[IDS[1]] == 100
        if not was_written:
            break
    assert number > 2 * len(IDS)


def test_a_reader_sees_every_row_while_it_is_compacted(tmp_path: Path) -> None:
    store, done = filled(tmp_path), threading.Event()
    seen, errors = set(), []

    def look() -> None:
        reader = open_store(tmp_path)
        while not done.is_set():
            try:
                seen.add(frozenset(reader.finished_ids()))
            except StoreError as error:
                errors.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(8):
            compact(store)
            for trial_id in IDS[:2]:
                store.write(make_record(trial_id=trial_id))
    finally:
        done.set()
        thread.join()
    assert not errors
    assert seen == {frozenset(IDS)}


def test_one_compaction_at_a_time(tmp_path: Path) -> None:
    store = filled(tmp_path)
    with store.files.only_compaction(), pytest.raises(StoreError, match="compacted by another process: wait"):
        compact(open_store(tmp_path))
    assert len(list(tmp_path.iterdir())) == len(IDS)
    assert compact(store).n_deleted == len(IDS)


def test_a_lock_left_by_a_kill_holds_nobody_up(tmp_path: Path) -> None:
    store = filled(tmp_path)
    (tmp_path / ".compact.lock").touch()
    assert compact(store).n_deleted == len(IDS)
    assert [path.name for path in tmp_path.iterdir()] == [COMPACTED]


def test_a_compaction_that_lost_the_race_for_the_lock_keeps_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Were the files listed before the lock is held, another compaction and a rerun could come in between.
    store, data_names = filled(tmp_path), StoreFiles.data_names

    def overtaken(files: StoreFiles) -> list[str]:
        names = data_names(files)
        monkeypatch.setattr(StoreFiles, "data_names", data_names)
        with contextlib.suppress(StoreError):
            compact(open_store(tmp_path))
        store.write(make_record(trial_id=IDS[1], seed=99))
        return names

    monkeypatch.setattr(StoreFiles, "data_names", overtaken)
    compact(store)
    seeds = {row["trial_id"]: row["seed"] for row in open_store(tmp_path).read().to_pylist()}
    assert seeds == dict.fromkeys(IDS, 0) | {IDS[1]: 99}


def test_where_there_are_no_locks_a_vanished_file_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An object store: another compaction and a rerun run between the listing and the first look.
    store, data_names = filled(tmp_path), StoreFiles.data_names
    monkeypatch.setattr(StoreFiles, "only_compaction", lambda files: contextlib.nullcontext())

    def overtaken(files: StoreFiles) -> list[str]:
        names = data_names(files)
        monkeypatch.setattr(StoreFiles, "data_names", data_names)
        compact(open_store(tmp_path))
        store.write(make_record(trial_id=IDS[1], seed=99))
        return names

    monkeypatch.setattr(StoreFiles, "data_names", overtaken)
    with pytest.raises(StoreError, match="changes while it is compacted: run the command again"):
        compact(store)
    seeds = {row["trial_id"]: row["seed"] for row in store.read().to_pylist()}
    assert seeds == dict.fromkeys(IDS, 0) | {IDS[1]: 99}


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EACCES, errno.ENOSYS, errno.EROFS])
def test_a_folder_that_cannot_be_locked_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    # NFS without lockd, Lustre without -o flock; a read-only folder lets no file be made.
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    store = filled(tmp_path / "store")
    before = sorted(path.name for path in (tmp_path / "store").iterdir())
    if number == errno.EROFS:
        monkeypatch.setattr("results.local_files.open", refused, raising=False)
    else:
        monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(StoreError) as caught:
        compact(store)
    told = f"{tmp_path}/store cannot be locked ({os.strerror(number)}): compact it on its server, or give a TARGET"
    assert str(caught.value) == told
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == before
    # The remedy needs no lock.
    with monkeypatch.context() as patched:
        patched.delattr("results.local_files.open", raising=False)
        assert release(store, open_store(tmp_path / "target")).n_rows == len(IDS)


@pytest.mark.parametrize("step", ["rename", "unlink"])
def test_a_file_that_cannot_be_deleted_is_named_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store = filled(tmp_path)
    rows, original = store.read(), getattr(os, step)

    def refused(source: object, *arguments: object) -> None:
        if IDS[0] in str(source):
            raise PermissionError(errno.EPERM, "Operation not permitted")
        original(source, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(os, step, refused)
        with pytest.raises(StoreError, match=rf"{IDS[0]}\.parquet cannot be deleted .*mend its permissions$") as caught:
            compact(store)
    assert "\n" not in str(caught.value)
    assert store.read().equals(rows)
    compact(store)
    assert [path.name for path in tmp_path.iterdir()] == [COMPACTED]
