"""Looks at a store that read little of it: a few columns of every row, or whether one trial is finished."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results import ResultStore, SchemaError, StoreError, open_store
from results.compact import compact
from results.schema import SCHEMA
from tests.record_factory import make_record
from tests.results.test_store import full_record

ROOT = Path(__file__).resolve().parents[2]
FEW = ["status", "confusion_val", "curves", "started_utc", "dropped"]


@pytest.mark.parametrize("version", [None, "schema_v1", "schema_v2", "schema_v3", "schema_v4"])
def test_some_columns_are_those_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    store = open_store(tmp_path if version is None else ROOT / "tests" / "golden" / version)
    if version is None:
        for record in (full_record(), make_record(seed=2), make_record(seed=3, status="failed")):
            store.write(record)
        many = [make_record(trial_id="a"), make_record(seed=2, host="stands below its own file")]
        store.write_compacted(pa.concat_tables([record.to_table() for record in many]))
    whole = store.read()
    assert store.read(["host", "trial_id"]).equals(whole.select(["host", "trial_id"]))
    if version is None:
        monkeypatch.setattr("results.store.migrate", lambda *_: pytest.fail("all columns were read"))
    found = store.read(FEW)
    assert found.equals(whole.select(FEW))
    assert found.schema.equals(pa.schema([SCHEMA.field(name) for name in FEW]))


def test_some_columns_of_an_empty_store(tmp_path: Path) -> None:
    found = open_store(tmp_path).read(FEW)
    assert (found.num_rows, found.column_names) == (0, FEW)


def test_a_column_of_another_type_is_refused_though_few_are_read(tmp_path: Path) -> None:
    table = make_record().to_table()
    odd = table.set_column(table.schema.get_field_index("fit_s"), "fit_s", pa.array(["long"]))
    pq.write_table(odd, tmp_path / "odd.parquet")
    with pytest.raises(SchemaError, match=r"odd\.parquet does not have the columns of schema version"):
        open_store(tmp_path).read(["fit_s"])


@pytest.mark.parametrize("version", [99, None, 0])
def test_another_version_is_refused_though_few_columns_are_read(tmp_path: Path, version: int | None) -> None:
    table = make_record().to_table()
    place = table.schema.get_field_index("schema_version")
    pq.write_table(
        table.set_column(place, "schema_version", pa.array([version], pa.int32())), tmp_path / "later.parquet"
    )
    for columns in (["status"], ["schema_version", "trial_id"]):
        with pytest.raises(SchemaError, match=rf"later\.parquet has schema version {version}"):
            open_store(tmp_path).read(columns)


OWN = st.sampled_from([None, "ok", "failed", "diverged"])


@settings(max_examples=32, deadline=None)
@given(own=OWN, compacted=OWN, other=OWN)
def test_is_ok_says_what_all_rows_say(
    tmp_path_factory: pytest.TempPathFactory, own: str | None, compacted: str | None, other: str | None
) -> None:
    folder = tmp_path_factory.mktemp("store")
    store, trial_id = open_store(folder), "0123456789abcdef"
    assert not open_store(folder / "nowhere").is_ok(trial_id)
    # Looked at before each change: nothing that is remembered may outlive it.
    for status, put in ((compacted, store.write_compacted), (own, store.write_row)):
        assert store.is_ok(trial_id) == (trial_id in store.finished_ids())
        if status is not None:
            put(make_record(trial_id=trial_id, status=status).to_table())
    if other is not None:
        store.write(make_record(trial_id="b", status=other))
    assert store.is_ok(trial_id) == (trial_id in store.finished_ids())
    compact(store)
    assert store.is_ok(trial_id) == (trial_id in store.finished_ids()) == ((own or compacted) == "ok")
    assert store.is_ok("b") == (other == "ok")


def test_is_ok_of_an_earlier_schema_version_and_of_no_file_name(tmp_path: Path) -> None:
    store = open_store(shutil.copytree(ROOT / "tests" / "golden" / "schema_v1", tmp_path / "store"))
    statuses = store.read(["trial_id", "status"]).to_pylist()
    for row in statuses:
        store.files.put(f"{row['trial_id']}.parquet", store.files.read(store.files.data_names()[-1]))
    finished = store.finished_ids()
    assert {row["trial_id"] for row in statuses if store.is_ok(row["trial_id"])} == finished != set()
    with pytest.raises(StoreError, match="is no file name"):
        store.is_ok("../escaped")


def test_a_bucket_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # A look that gave up at once would end the run whose write waits.
    pytest.importorskip("fsspec")
    monkeypatch.setattr("results.store_files._PAUSE_S", 0.0)
    store = open_store(f"memory://hsicl-{uuid.uuid4().hex}/store?request_timeout=3")
    record, read, calls = make_record(), ResultStore._read_columns, []
    store.write(record)

    def away(self: ResultStore, *arguments: object) -> pa.Table:
        calls.append(arguments)
        if len(calls) < 3:
            cause = OSError("AWS Error NETWORK_CONNECTION: curlCode: 7, Could not connect to server")
            raise StoreError("store cannot be read: check the network") from cause
        return read(self, *arguments)

    monkeypatch.setattr(ResultStore, "_read_columns", away)
    assert store.is_ok(record.trial_id)
    assert len(calls) == 3
    monkeypatch.setattr(ResultStore, "_read_columns", lambda *_: store.rows_in("timeout.parquet", pa.py_buffer(b"x")))
    with pytest.raises(StoreError, match="not a whole Parquet file"):
        store.is_ok(record.trial_id)
