"""The flat table says what the store says, in every format, and a spreadsheet computes nothing of it."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, cohen_kappa_score

from results import ResultStore, StoreError, open_store
from results.export import Exported, export, flat_table
from results.schema import SCHEMA
from tests.record_factory import make_record

SCORES = ["OA", "AA", "kappa", "val_OA", "val_AA", "val_kappa"]


def store_of(folder: Path) -> ResultStore:
    store = open_store(folder / "store")
    store.write(
        make_record(
            trial_id="a", confusion_test=[[30, 10], [5, 55]], class_names=["Blé, d’hiver", '=1+"2"'], leakage=math.nan,
            diagnostics={"purity": 0.5, "b": math.inf}, noted={"edge": 2},
        )
    )  # fmt: skip
    store.write(make_record(trial_id="b", status="failed", error='=HYPERLINK("http://x")\nsecond line', seed=2**60))
    return store


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".json"])
def test_every_row_and_column_is_there_and_read_back(tmp_path: Path, ending: str) -> None:
    store, file = store_of(tmp_path), tmp_path / f"table{ending}"
    assert export(store, file) == Exported(2, n_search=0)
    if ending == ".json":
        rows = json.loads(file.read_text(encoding="utf-8"))
    elif ending == ".parquet":
        rows = pq.read_table(file).to_pylist()
    else:
        with open(file, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [*SCHEMA.names, *SCORES]
    first, second = rows
    true, predicted = [0] * 40 + [1] * 60, [0] * 30 + [1] * 10 + [0] * 5 + [1] * 55
    expected = [score(true, predicted) for score in (accuracy_score, balanced_accuracy_score, cohen_kappa_score)]
    assert [float(first[name]) for name in SCORES[:3]] == pytest.approx(expected)
    assert [second[name] for name in SCORES] == [None if ending != ".csv" else ""] * 6
    assert (first["trial_id"], int(second["seed"])) == ("a", 2**60)
    assert json.loads(first["class_names"]) == ["Blé, d’hiver", '=1+"2"']
    assert json.loads(first["confusion_test"]) == [[30, 10], [5, 55]]
    assert json.loads(first["diagnostics"]) == {"purity": 0.5, "b": math.inf}
    assert json.loads(first["noted"]) == {"edge": 2}
    guard = "'" if ending == ".csv" else ""
    assert second["error"] == f'{guard}=HYPERLINK("http://x")\nsecond line'
    started = first["started_utc"]
    assert (started if ending == ".parquet" else dt.datetime.fromisoformat(started)) == dt.datetime(
        2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC
    )


def test_csv_as_pandas_reads_it(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    export(store, tmp_path / "table.csv")
    frame = pd.read_csv(tmp_path / "table.csv")
    assert frame["OA"].dtype == float
    assert frame["dirty"].tolist() == [False, False]
    assert frame["fit_s"].tolist() == [2.0, 2.0]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(start=st.sampled_from(["=", "+", "-", "@", "\t", "\r", ""]), rest=TEXT)
def test_no_text_is_a_formula_and_none_is_lost(tmp_path_factory: pytest.TempPathFactory, start: str, rest: str) -> None:
    folder, text = tmp_path_factory.mktemp("export"), start + rest
    store = open_store(folder / "store")
    store.write(make_record(error=text, leakage=-0.5, diagnostics={"-1": -1.0}))
    export(store, folder / "t.csv")
    with open(folder / "t.csv", newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert not row["error"].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert row["error"].removeprefix("'" if text[:1] in set("=+-@\t\r") and text else "") == text
    # Numbers stay numbers.
    assert row["leakage"] == "-0.5"


def test_flat_columns_are_flat(tmp_path: Path) -> None:
    table = flat_table(store_of(tmp_path).read())
    assert table.num_rows == 2
    assert not [field.name for field in table.schema if field.type.num_fields]


@pytest.mark.parametrize("name", ["table.xlsx", "table", "table.csv.gz", ".csv"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match=r"must end with \.csv, \.parquet, \.json: rename it"):
        export(open_store(tmp_path / "nowhere"), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_file_the_store_would_read_is_refused(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "store")
    for folder in ("store", "link"):
        with pytest.raises(StoreError, match="among the files of the store"):
            export(store, tmp_path / folder / "table.parquet")
    assert store.read().num_rows == 2


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist: make it first"):
        export(store_of(tmp_path), tmp_path / "no" / "table.csv")


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, file = store_of(tmp_path), tmp_path / "table.csv"
    file.write_text("mine")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("results.local_files.os.fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        export(store, file)
    assert file.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", "store"}


def test_a_matrix_that_is_none_is_told(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    store.write(make_record(confusion_test=[[1, 2], [3]]))
    with pytest.raises(StoreError, match=r"not square .*hsicl store verify"):
        export(store, tmp_path / "t.csv")
    assert not (tmp_path / "t.csv").exists()
