"""The tidy frame: what is long is shortened, what is equal is there once, and every cell is what the store holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report.errors import ReportError
from report.rows import read_rows, tidy
from results import open_store
from results import store as store_module
from tests.record_factory import make_record

TEXTS = st.lists(st.sampled_from(["", "a", "b", "a\x1fb", "\x1f", '"', "é\n"]), max_size=3)
NUMBERS = st.dictionaries(st.sampled_from(["", "x", "y\x1f1", "y"]), st.integers(0, 11), max_size=2)


@given(lists=st.lists(TEXTS, min_size=1, max_size=8), maps=st.lists(NUMBERS, min_size=8, max_size=8))
@settings(deadline=None)
def test_nested_cells_come_back_as_they_were(lists: list[list[str]], maps: list[dict[str, int]]) -> None:
    records = [
        make_record(split_index=place, unsupported_classes=texts, noted=maps[place])
        for place, texts in enumerate(lists)
    ]
    table = pa.concat_tables([record.to_table() for record in records])
    rows = tidy(table).sort_values("split_index")
    assert list(rows["unsupported_classes"]) == lists
    assert list(rows["noted"]) == [sorted(each.items()) for each in maps[: len(lists)]]


def test_equal_cells_are_one_object() -> None:
    records = [make_record(split_index=place, unsupported_classes=["oats"]) for place in range(3)]
    rows = tidy(pa.concat_tables([record.to_table() for record in records]))
    for name in ("params", "unsupported_classes", "class_names", "method"):
        assert len({id(value) for value in rows[name]}) == 1
    assert not {"curves", "diagnostics", "confusion_test", "confusion_val"} & set(rows.columns)


@pytest.mark.parametrize("part_rows", [1, 3, 1000])
def test_a_store_read_in_parts_is_the_store(part_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    records = [make_record(split_index=place, val_oa=place / 10) for place in range(8)]
    store.write_compacted(pa.concat_tables([record.to_table() for record in records[:6]]))
    for record in records[5:]:
        store.write(record)
    whole = tidy(store.read())
    monkeypatch.setattr(store_module, "_PART_ROWS", part_rows)
    monkeypatch.setattr(store_module, "_PART_BYTES", 0)
    parts: list[int] = []
    condensed = store.read_condensed(["trial_id"], lambda table: parts.append(table.num_rows) or table)
    assert condensed.num_rows == 8
    # Files of one trial are put together, but no more than are needed.
    assert max(parts) == {1: 1, 3: 3, 1000: 9}[part_rows]
    assert sum(parts) == 9
    pd.testing.assert_frame_equal(read_rows(str(tmp_path)), whole)


def test_a_torn_large_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    store.write_compacted(pa.concat_tables([make_record(split_index=place).to_table() for place in range(5)]))
    (file,) = tmp_path.glob("*.parquet")
    data = bytearray(file.read_bytes())
    data[200:400] = bytes(200)
    file.write_bytes(data)
    monkeypatch.setattr(store_module, "_PART_BYTES", 0)
    with pytest.raises(store_module.StoreError, match="is not a whole Parquet file") as caught:
        read_rows(str(tmp_path))
    assert "\n" not in str(caught.value)


def frame_of(**given: Any) -> pd.DataFrame:
    return tidy(make_record(**given).to_table())


def test_whole_numbers_stay_whole_and_what_is_missing_is_none() -> None:
    rows = frame_of(labels_per_class=5, masks=None)
    assert type(rows["labels_per_class"][0]) is int
    assert rows["masks"][0] is None


def test_a_matrix_that_is_none_is_one_line() -> None:
    with pytest.raises(ReportError, match=r"a confusion_test is not square .*: run 'hsicl store verify'") as caught:
        frame_of(confusion_test=[[1, 2], [3]])
    assert "\n" not in str(caught.value)
