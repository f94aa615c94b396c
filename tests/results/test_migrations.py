"""Files of earlier schema versions still read. tests/golden/schema_vN holds real ones; they are never made again."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results import RunRecord, open_store
from results.compact import release
from results.schema import SCHEMA, SCHEMA_VERSION
from tests.record_factory import make_record

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
VERSION_1, VERSION_2, VERSION_3, VERSION_4 = (GOLDEN / f"schema_v{version}" for version in range(1, 5))
NEW_IN_2 = {"unvalidated_classes", "leakage_val"}
NEW_IN_3 = {"labels_percent", "masks", "dropped", "noted"}
NEW_IN_4 = {"kind", "choose_s", "fit_memory_mib", "embed_memory_mib"}
NEW_IN_5 = {"n_fused"}
# File, its rows, and the columns it knows nothing of.
OLD = {
    VERSION_1: (70, NEW_IN_2 | NEW_IN_3 | NEW_IN_4 | NEW_IN_5),
    VERSION_2: (20, NEW_IN_3 | NEW_IN_4 | NEW_IN_5),
    VERSION_3: (21, NEW_IN_4 | NEW_IN_5),
    VERSION_4: (20, NEW_IN_5),
}


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_every_earlier_version_has_a_file(version: int) -> None:
    versions = pq.read_table(GOLDEN / f"schema_v{version}" / "trials.parquet").column("schema_version")
    assert set(versions.to_pylist()) == {version}


def rows_as_written(store: Path) -> pa.Table:
    """Return the rows as they lie in the file, unmigrated, in the order of a store."""
    return pq.read_table(store / "trials.parquet").sort_by("trial_id")


@pytest.mark.parametrize("store", OLD, ids=lambda store: store.name)
def test_old_rows_keep_their_values_and_say_nothing_of_what_came_later(store: Path) -> None:
    n_rows, unknown = OLD[store]
    old_rows, rows = rows_as_written(store), open_store(store).read()
    assert not unknown & set(old_rows.column_names)
    assert rows.schema.equals(SCHEMA)
    assert rows.num_rows == old_rows.num_rows == n_rows
    for name in set(old_rows.column_names) - {"schema_version"}:
        assert rows.column(name).to_pylist() == old_rows.column(name).to_pylist(), name
    assert set(rows.column_names) - set(old_rows.column_names) == unknown
    for name in unknown:
        assert set(rows.column(name).to_pylist()) == {None}, name


@pytest.mark.parametrize("store", OLD, ids=lambda store: store.name)
def test_migrated_rows_are_records_of_today(store: Path) -> None:
    records = [RunRecord.from_row(row) for row in open_store(store).read().to_pylist()]
    assert {record.schema_version for record in records} == {SCHEMA_VERSION}
    is_told = "dropped" in rows_as_written(store).column_names
    assert {record.dropped is not None for record in records} == {is_told}
    assert pa.concat_tables([record.to_table() for record in records]).equals(open_store(store).read())


def test_old_and_new_rows_are_compacted_together_and_read_again(tmp_path: Path) -> None:
    old_rows = rows_as_written(VERSION_1)
    store = open_store(tmp_path / "store")
    new = make_record(method="newer", unvalidated_classes=["soy"], leakage_val=0.25)
    store.write(new)
    (tmp_path / "store" / "old.parquet").write_bytes((VERSION_1 / "trials.parquet").read_bytes())
    release(store, open_store(tmp_path / "released"))
    rows = open_store(tmp_path / "released").read()
    assert rows.num_rows == old_rows.num_rows + 1
    known = [row for row in rows.to_pylist() if row["leakage_val"] is not None]
    assert [(row["trial_id"], row["unvalidated_classes"]) for row in known] == [(new.trial_id, ["soy"])]


@pytest.mark.parametrize(("classes", "share"), [([], 0.0), (["soy", "corn"], 0.1), (None, None)])
def test_what_validation_lacked_survives_its_file(
    tmp_path: Path, classes: list[str] | None, share: float | None
) -> None:
    # An empty list is knowledge, null is none.
    record = make_record(unvalidated_classes=classes, leakage_val=share)
    open_store(tmp_path).write(record)
    (row,) = open_store(tmp_path).read().to_pylist()
    assert RunRecord.from_row(row) == record
    assert (row["unvalidated_classes"], row["leakage_val"]) == (classes, share)


def test_every_kind_of_budget_survives_its_file(tmp_path: Path) -> None:
    budgets = (
        {"labels_per_class": 5, "dropped": {}},
        {"labels_per_class": None, "labels_percent": 1.5, "dropped": {"within the guard": 7}},
        {"labels_per_class": None, "masks": "contest@0123abcd", "dropped": None},
    )
    records = [make_record(method=f"m{i}", **budget) for i, budget in enumerate(budgets)]
    for record in records:
        open_store(tmp_path).write(record)
    rows = {row["method"]: row for row in open_store(tmp_path).read().to_pylist()}
    assert [RunRecord.from_row(rows[f"m{i}"]) for i in range(3)] == records
