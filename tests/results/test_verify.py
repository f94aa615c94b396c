"""Verification finds what was damaged on purpose, names it, and finds nothing in what is whole."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from benchmark.identity import rebuilt_identity
from results import ResultStore, RunRecord, StoreError, open_store
from results.store_files import COMPACTED
from results.verify import Verified, verify
from tests.record_factory import make_record

ROOT = Path(__file__).resolve().parents[2]
RELEASED = sorted(path.parent for path in (ROOT / "results" / "released").glob("*/*.parquet"))


def true_record(**changes: Any) -> RunRecord:
    """Return a record whose ids are those of its columns and whose matrices count its pixels."""
    record = make_record(**({"n_val": 200} | changes))
    (row,) = record.to_table().to_pylist()
    return dataclasses.replace(record, **{"trial_id": None} | (rebuilt_identity(row) or {}))


def whole_store(folder: Path) -> ResultStore:
    store = open_store(folder)
    for seed in range(3):
        store.write(true_record(seed=seed))
    store.write(true_record(seed=3, status="failed"))
    store.write(true_record(seed=4, purpose="search", confusion_test=None))
    return store


def wrong(verified: Verified) -> list[str]:
    return [str(finding) for finding in verified.findings if finding.is_wrong]


@pytest.mark.parametrize("folder", RELEASED, ids=lambda folder: folder.name)
def test_released_rows_are_in_order(folder: Path) -> None:
    verified = verify(open_store(folder), rebuilt_identity)
    assert verified.findings == []
    assert verified.n_rows >= 100


@pytest.mark.parametrize("version", ["schema_v2", "schema_v3", "schema_v4"])
def test_rows_of_earlier_versions_are_in_order(version: str) -> None:
    assert verify(open_store(ROOT / "tests" / "golden" / version), rebuilt_identity).findings == []


def test_invented_rows_are_found_out() -> None:
    # The golden store's ids and numbers of validation pixels are the test factory's own.
    verified = verify(open_store(ROOT / "tests" / "golden" / "store"), rebuilt_identity)
    assert all("its columns give" in line or "n_val says 20" in line for line in wrong(verified))
    assert sum("trial_id is" in line for line in wrong(verified)) == verified.n_rows == 92


def test_a_whole_store_has_no_findings(tmp_path: Path) -> None:
    store = whole_store(tmp_path)
    verified = verify(store, rebuilt_identity)
    assert (verified.findings, verified.n_files, verified.n_rows) == ([], 5, 5)
    store.write_compacted(store.read())
    verified = verify(store, rebuilt_identity)
    assert not wrong(verified)
    assert [finding.remedy for finding in verified.findings] == ["hsicl store compact puts it in"] * 5


NOT_SQUARE = [[100, 0], [0]]
# What is changed in a true record that keeps its ids, and what is said of it.
FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"seed": 7}, "trial_id is"),
    ({"params_json": '{"temperature":0.5}'}, "config_id is"),
    ({"scene_hash": "ffffffffffffffff"}, "trial_id is"),
    ({"purpose": "search", "confusion_test": None}, "trial_id is"),
    ({"config_id": "0" * 16}, "config_id is 0000000000000000"),
    ({"confusion_test": None}, "status 'ok', but no confusion_test"),
    ({"confusion_val": None}, "status 'ok', but no confusion_val"),
    ({"status": "failed"}, "status 'failed', but a confusion_val"),
    ({"status": "failed", "confusion_val": None, "confusion_test": None}, "status 'failed', but no error"),
    ({"status": "done"}, "status 'done' is none of ok, diverged, failed"),
    ({"purpose": "play"}, "purpose 'play' is none of trial, search"),
    ({"purpose": "search"}, "a search row with a test matrix"),
    ({"confusion_test": NOT_SQUARE}, "confusion_test is not square"),
    ({"confusion_val": [[200]]}, "confusion_val has 1 classes, class_names 2"),
    ({"confusion_test": [[201, 0], [0, -1]]}, "confusion_test has negative counts"),
    ({"n_test": 201}, "confusion_test counts 200 pixels, n_test says 201"),
    ({"confusion_val": []}, "confusion_val counts 0 pixels, n_val says 200"),
    ({"method": None}, "method is empty"),
    ({"params_json": "[]"}, "params_json is no JSON object"),
    ({"protocol_params_json": "{"}, "protocol_params_json is no JSON object"),
]


@pytest.mark.parametrize(("changes", "told"), FAULTS, ids=lambda value: value if isinstance(value, str) else None)
def test_an_impossible_row_is_named(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    store = whole_store(tmp_path)
    store.write(dataclasses.replace(true_record(seed=2), **changes))
    lines = wrong(verify(store, rebuilt_identity))
    assert any(told in line for line in lines), lines
    assert all(true_record(seed=2).trial_id in line and line.endswith("rerun the sweep") for line in lines)
    assert "\n" not in "".join(lines)


def test_a_row_without_what_its_id_is_made_of_is_taken_at_its_word(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for benchmark_version in ("99", "none"):
        store.write(make_record(benchmark_version=benchmark_version, n_val=200))
    verified = verify(store, rebuilt_identity)
    assert not wrong(verified)
    assert [finding.what for finding in verified.findings] == ["2 rows do not tell all that their trial_id is made of"]
    assert verify(store).findings == []


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_torn_file_is_named_and_the_others_are_looked_at(tmp_path: Path, share: float) -> None:
    store = whole_store(tmp_path)
    torn = sorted(tmp_path.iterdir())[2]
    torn.write_bytes(torn.read_bytes()[: int(share * torn.stat().st_size)])
    verified = verify(store, rebuilt_identity)
    (line,) = wrong(verified)
    assert torn.name in line
    assert "is not a whole Parquet file" in line
    assert line.endswith("delete it and rerun the sweep")
    assert verified.n_rows == 4


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    whole_store(tmp_path)
    pq.write_table(make_record().to_table().drop_columns("schema_version"), tmp_path / "weather.parquet")
    (line,) = wrong(verify(open_store(tmp_path)))
    assert "has no column schema_version" in line


def test_a_file_with_the_name_of_another_trial(tmp_path: Path) -> None:
    store = whole_store(tmp_path)
    right, other = true_record(seed=0).trial_id, "f" * 16
    (tmp_path / f"{right}.parquet").rename(tmp_path / f"{other}.parquet")
    (line,) = wrong(verify(store, rebuilt_identity))
    assert f"{other}.parquet: holds the row of trial {right}" in line
    pq.write_table(store.read(), tmp_path / f"{other}.parquet")
    assert any("the name of one trial, but 5 rows" in line for line in wrong(verify(store, rebuilt_identity)))


def test_two_results_of_one_trial(tmp_path: Path) -> None:
    store = whole_store(tmp_path)
    record = true_record(seed=0)
    other = dataclasses.replace(record, confusion_test=[[60, 40], [40, 60]], fit_s=9.0)
    store.write_compacted(other.to_table())
    (line,) = wrong(verify(store, rebuilt_identity))
    assert f"trial {record.trial_id}" in line
    assert "differ in confusion_test (confusion_test: OA 0.6000 | OA 0.5000)" in line
    # A rerun of a failed trial is no second result; another time and host are none either.
    for standing in (dataclasses.replace(record, fit_s=9.0, host="elsewhere"), true_record(seed=0, status="failed")):
        store.write_compacted(standing.to_table())
        assert not wrong(verify(store, rebuilt_identity))


def test_a_copied_file_is_named(tmp_path: Path) -> None:
    store = whole_store(tmp_path)
    name = f"{true_record(seed=0).trial_id}.parquet"
    shutil.copy(tmp_path / name, tmp_path / "copy.parquet")
    verified = verify(store, rebuilt_identity)
    assert not wrong(verified)
    assert [finding.what for finding in verified.findings] == [f"in {name} and in copy.parquet"]


def test_leftovers_are_named(tmp_path: Path) -> None:
    store = whole_store(tmp_path)
    left = [".0123.parquet.abc.tmp", ".probe-abc"]
    for name in left:
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    verified = verify(store, rebuilt_identity)
    assert not wrong(verified)
    assert [finding.where for finding in verified.findings] == left


def test_an_empty_store_and_one_that_is_not_there(tmp_path: Path) -> None:
    assert verify(open_store(tmp_path)) == Verified()
    with pytest.raises(StoreError, match="does not exist"):
        verify(open_store(tmp_path / "nowhere"))
    assert not (tmp_path / COMPACTED).exists()
