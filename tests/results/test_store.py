"""What is written is read, whatever the values; what cannot be written or read is named in one line."""

from __future__ import annotations

import dataclasses
import datetime as dt
import errno
import math
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results import RunRecord, SchemaError, StoreError, open_store
from results.compact import compact
from results.schema import SCHEMA, SCHEMA_VERSION
from results.store_files import StoreFiles
from tests.record_factory import make_record

ROOT = Path(__file__).resolve().parents[2]


def read_back(store_uri: object) -> list[RunRecord]:
    return [RunRecord.from_row(row) for row in open_store(store_uri).read().to_pylist()]


def full_record() -> RunRecord:
    return make_record(
        class_names=["Blé d’hiver", "小麦", "a,b\n\"c'"],
        unsupported_classes=["小麦"],
        unvalidated_classes=["a,b\n\"c'", "Blé d’hiver"],
        leakage_val=0.1,
        error="Ünïcode ☂ and\na second line",
        curves=[{"name": "loss", "step": 0, "value": 4.5}, {"name": "loss", "step": 10, "value": 1e-300}],
        diagnostics={"purity": 0.5, "ärger": -1.0},
        confusion_test=[[2**40, 0], [0, 0]],
        started_utc=dt.datetime(2026, 12, 31, 23, 59, 59, 123456, tzinfo=dt.UTC),
        versions={"python": "3.11", "torch": "2.13"},
    )


def test_round_trip(tmp_path: Path) -> None:
    record = full_record()
    store = open_store(tmp_path / "a" / "b")
    store.write(record)
    assert read_back(tmp_path / "a" / "b") == [record]
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [f"{record.trial_id}.parquet"]


def test_what_is_missing_stays_missing(tmp_path: Path) -> None:
    record = make_record(status="failed", error=None, error_type=None)
    empty = dataclasses.replace(
        record,
        **{
            field.name: None
            for field in dataclasses.fields(RunRecord)
            if field.default is None
        },
        diagnostics={}, versions={},
    )  # fmt: skip
    store = open_store(tmp_path)
    store.write(empty)
    assert read_back(tmp_path) == [empty]
    # Typed columns: files without a single value still read together with others.
    store.write(full_record())
    assert store.read().schema.equals(SCHEMA)


def test_nan_and_infinity_are_not_missing(tmp_path: Path) -> None:
    curves = [{"name": "loss", "step": 1, "value": math.nan}, {"name": "loss", "step": 2, "value": math.inf}]
    open_store(tmp_path).write(make_record(leakage=math.nan, curves=curves, diagnostics={"a": -math.inf}))
    (found,) = read_back(tmp_path)
    assert math.isnan(found.leakage)
    assert math.isnan(found.curves[0]["value"])
    assert found.curves[1]["value"] == math.inf
    assert found.diagnostics == {"a": -math.inf}


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=50, deadline=None)
@given(
    changes=st.fixed_dictionaries(
        {
            "error": st.none() | TEXT,
            "host": st.none() | TEXT,
            "seed": st.integers(0, 2**63 - 1),
            "fit_s": st.none() | st.floats(allow_nan=False),
            "dirty": st.none() | st.booleans(),
            "class_names": st.none() | st.lists(TEXT, max_size=4),
            "confusion_val": st.none() | st.lists(st.lists(st.integers(0, 2**53), max_size=3), max_size=3),
            "diagnostics": st.dictionaries(TEXT, st.floats(allow_nan=False), max_size=4),
            "started_utc": st.none() | st.datetimes(timezones=st.just(dt.UTC)),
        }
    )
)
def test_any_record_survives_its_table(changes: dict[str, object]) -> None:
    record = dataclasses.replace(make_record(), **changes)
    sink = pa.BufferOutputStream()
    pq.write_table(record.to_table(), sink)
    (row,) = pq.read_table(pa.BufferReader(sink.getvalue())).to_pylist()
    assert RunRecord.from_row(row) == record


def test_a_rerun_overwrites(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    first = make_record(status="failed", error="first")
    second = dataclasses.replace(make_record(test_oa=0.9), trial_id=first.trial_id)
    store.write(first)
    assert store.finished_ids() == set()
    store.write(second)
    assert read_back(tmp_path) == [second]
    assert store.finished_ids() == {first.trial_id}


def test_only_ok_counts_as_finished(tmp_path: Path) -> None:
    store = open_store(tmp_path / "none yet")
    assert store.finished_ids() == set()
    assert not store.exists()
    records = [make_record(seed=seed, status=status) for seed, status in enumerate(["ok", "failed", "diverged", "ok"])]
    for record in records:
        store.write(record)
    assert store.finished_ids() == {records[0].trial_id, records[3].trial_id}


def test_rows_come_sorted(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for seed in range(5):
        store.write(make_record(seed=seed))
    # A file of many rows, as a released store may be.
    many = pa.concat_tables([make_record(seed=seed).to_table() for seed in range(5, 15)])
    pq.write_table(many, tmp_path / "0_many.parquet")
    ids = store.read().column("trial_id").to_pylist()
    assert ids == sorted(ids)
    assert len(ids) == 15


def test_opening_and_looking_create_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    store.exists()
    store.finished_ids()
    with pytest.raises(StoreError, match="does not exist"):
        store.read()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_an_empty_store(tmp_path: Path) -> None:
    table = open_store(tmp_path).read()
    assert table.num_rows == 0
    assert table.schema.equals(SCHEMA)


def test_files_that_are_not_records_are_left_alone(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write(make_record())
    (tmp_path / ".0123.parquet.abc.tmp").write_bytes(b"half a file")
    (tmp_path / ".0123.parquet").write_bytes(b"half a file")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "folder.parquet").mkdir()
    assert store.read().num_rows == 1
    assert len(store.finished_ids()) == 1


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    open_store(tmp_path / "store").check_writable()
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_torn_file_is_named(tmp_path: Path, share: float) -> None:
    store = open_store(tmp_path)
    store.write(make_record(seed=1))
    store.write(make_record(seed=2))
    torn = sorted(tmp_path.iterdir())[1]
    content = torn.read_bytes()
    torn.write_bytes(content[: int(share * len(content))])
    for use in (store.read, store.finished_ids):
        with pytest.raises(StoreError) as caught:
            use()
        assert torn.name in str(caught.value)
        assert "rerun" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("step", ["replace", "fsync"])
def test_a_failing_write_keeps_the_earlier_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    store = open_store(tmp_path)
    record = make_record()
    store.write(record)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"results.local_files.os.{step}", full)
    with pytest.raises(StoreError, match=r"No space left on device\): free space there, then run") as caught:
        store.write(dataclasses.replace(record, n_train=99))
    assert "\n" not in str(caught.value)
    assert read_back(tmp_path) == [record]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_disk_that_fills_up_in_the_middle_of_a_file(tmp_path: Path) -> None:
    # A limit on the size of files stops the write half way, as a full disk does; in a process of its own.
    code = f"""
import resource, signal
from results import StoreError, open_store
from tests.record_factory import make_record
store = open_store({str(tmp_path)!r})
store.write(make_record(seed=1))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    store.write(make_record(seed=2))
except StoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert "cannot be written" in done.stdout, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert len(list(tmp_path.iterdir())) == 1
    assert open_store(tmp_path).read().num_rows == 1


def test_a_file_reaches_the_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A power loss after the rename must not leave an empty file.
    steps = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(
            f"results.local_files.os.{name}",
            lambda *args, name=name, original=original: (steps.append(name), original(*args))[1],
        )
    open_store(tmp_path).write(make_record())
    assert steps == ["fsync", "replace", "fsync"]


@pytest.mark.parametrize("has_happened", [True, False])
def test_a_rename_whose_reply_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_happened: bool) -> None:
    # An NFS client repeats the request and is told that there is nothing to rename.
    rename = os.replace

    def lost(source: Path, target: Path) -> None:
        if has_happened:
            rename(source, target)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(source))

    record = make_record(n_train=1)
    store = open_store(tmp_path)
    store.write(dataclasses.replace(record, n_train=0))
    monkeypatch.setattr("results.local_files.os.replace", lost)
    if has_happened:
        store.write(record)
    else:
        with pytest.raises(StoreError, match="cannot be written"):
            store.write(record)
    assert [found.n_train for found in read_back(tmp_path)] == [int(has_happened)]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("trial_id", ["../escaped", "a/b", "", ".hidden", None, "a\n"])
def test_an_id_that_is_no_file_name_is_refused(tmp_path: Path, trial_id: str | None) -> None:
    # Rows of foreign stores are merged: their ids name files here.
    store = open_store(tmp_path / "store")
    with pytest.raises(StoreError, match="is no file name"):
        store.write(make_record(trial_id=trial_id))
    assert list(tmp_path.iterdir()) == []


def test_finished_ids_reads_three_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    store.write(make_record(trial_id="a"))
    store.write(make_record(trial_id="b", status="failed"))
    monkeypatch.setattr("results.store.migrate", lambda *_: pytest.fail("all columns were read"))
    assert store.finished_ids() == {"a"}


@pytest.mark.parametrize("version", ["schema_v1", "schema_v2", "schema_v3", "schema_v4"])
def test_finished_ids_of_earlier_schema_versions(version: str) -> None:
    store = open_store(ROOT / "tests" / "golden" / version)
    rows = store.read().to_pylist()
    assert store.finished_ids() == {row["trial_id"] for row in rows if row["status"] == "ok"} != set()


@pytest.mark.parametrize("use", ["read", "finished_ids"])
def test_a_file_that_vanishes_under_the_reader_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    # Another process compacts between listing and opening.
    store = open_store(tmp_path)
    for trial_id in "abc":
        store.write(make_record(trial_id=trial_id))
    read, calls = StoreFiles.read, []

    def compacting(files: StoreFiles, name: str) -> pa.Buffer:
        calls.append(name)
        if len(calls) == 2:
            monkeypatch.setattr(StoreFiles, "read", read)
            compact(open_store(tmp_path))
        return read(files, name)

    monkeypatch.setattr(StoreFiles, "read", compacting)
    found = getattr(store, use)()
    ids = found if use == "finished_ids" else set(found.column("trial_id").to_pylist())
    assert ids == {"a", "b", "c"}


def test_a_listing_that_a_compaction_ran_through_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder is no snapshot: the scan has passed the new file's place and comes to the old ones when they are gone.
    store = open_store(tmp_path)
    store.write(make_record(trial_id="a"))
    data_names = StoreFiles.data_names

    def overtaken(files: StoreFiles) -> list[str]:
        monkeypatch.setattr(StoreFiles, "data_names", data_names)
        compact(open_store(tmp_path))
        return []

    monkeypatch.setattr(StoreFiles, "data_names", overtaken)
    assert store.finished_ids() == {"a"}


def test_a_store_that_never_rests_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    store.write(make_record())

    def gone(files: StoreFiles, name: str) -> pa.Buffer:
        raise FileNotFoundError(name)

    monkeypatch.setattr(StoreFiles, "read", gone)
    with pytest.raises(StoreError, match="changes while it is read"):
        store.read()


@pytest.mark.parametrize("below", [".", "deeper/still"])
def test_a_file_in_the_way_of_the_folder(tmp_path: Path, below: str) -> None:
    # Permission bits would not stop root, a file in the way stops anyone.
    (tmp_path / "taken").write_text("a file")
    store = open_store(tmp_path / "taken" / below)
    for use in (store.check_writable, lambda: store.write(make_record())):
        with pytest.raises(StoreError, match=r"cannot be written .*choose another --store") as caught:
            use()
        assert str(tmp_path / "taken") in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match="does not exist"):
        store.read()
    assert (tmp_path / "taken").read_text() == "a file"


def test_a_foreign_parquet_file_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"temperature": [20.5]}), tmp_path / "weather.parquet")
    with pytest.raises(SchemaError, match=r"weather\.parquet has no column schema_version") as caught:
        open_store(tmp_path).read()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", [99, None])
def test_a_version_from_the_future_asks_for_an_update(tmp_path: Path, version: int | None) -> None:
    table = make_record().to_table()
    index = table.schema.get_field_index("schema_version")
    table = table.set_column(index, "schema_version", pa.array([version], pa.int32()))
    pq.write_table(table, tmp_path / "later.parquet")
    with pytest.raises(SchemaError, match=rf"later\.parquet has schema version {version}.*update hsicl"):
        open_store(tmp_path).read()


def test_mixed_versions_in_one_file_are_refused(tmp_path: Path) -> None:
    table = pa.concat_tables([make_record().to_table()] * 2)
    table = table.set_column(0, "schema_version", pa.array([1, 2], pa.int32()))
    pq.write_table(table, tmp_path / "mixed.parquet")
    with pytest.raises(SchemaError, match=r"mixed\.parquet mixes schema versions \[1, 2\]"):
        open_store(tmp_path).read()


@pytest.mark.parametrize("change", ["missing column", "wrong type"])
def test_columns_that_do_not_fit_are_refused(tmp_path: Path, change: str) -> None:
    table = make_record().to_table()
    index = table.schema.get_field_index("n_test")
    if change == "missing column":
        table = table.remove_column(index)
    else:
        table = table.set_column(index, "n_test", pa.array(["many"]))
    pq.write_table(table, tmp_path / "odd.parquet")
    with pytest.raises(
        SchemaError, match=rf"odd\.parquet does not have the columns of schema version {SCHEMA_VERSION}\b"
    ):
        open_store(tmp_path).read()


def test_a_store_in_memory_through_fsspec() -> None:
    fsspec = pytest.importorskip("fsspec")
    uri = f"memory://hsicl-{uuid.uuid4().hex}/store"
    store = open_store(uri)
    assert store.finished_ids() == set()
    store.check_writable()
    record = full_record()
    store.write(dataclasses.replace(record, n_train=1))
    store.write(record)
    assert read_back(uri) == [record]
    assert store.finished_ids() == {record.trial_id}
    fsspec.filesystem("memory").rm(uri.removeprefix("memory:/").rpartition("/")[0], recursive=True)


def test_a_local_uri_is_the_folder(tmp_path: Path) -> None:
    open_store(tmp_path.as_uri()).write(make_record())
    assert len(read_back(tmp_path)) == 1


@pytest.mark.parametrize("uri", ["nosuchscheme://bucket/x"])
def test_an_address_nobody_knows_is_refused(uri: str) -> None:
    with pytest.raises(StoreError, match=r"nosuchscheme.*: write a folder, s3:// or gs://$") as caught:
        open_store(uri)
    assert "\n" not in str(caught.value)


def test_a_rerun_beside_compacted_rows_replaces_its_row(tmp_path):
    store = open_store(tmp_path)
    for trial_id in ("a", "d"):
        store.write(make_record(trial_id=trial_id, seed=1))
    store.write_compacted(store.read())
    for trial_id in ("a", "d"):
        store.write(make_record(trial_id=trial_id, seed=2))
    assert [(record.trial_id, record.seed) for record in read_back(tmp_path)] == [("a", 2), ("d", 2)]
