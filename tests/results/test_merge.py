"""Merging: every trial once, an ok row before a failed one, and no choice between results that differ."""

from __future__ import annotations

import dataclasses
import itertools
import math
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results import ResultStore, RunRecord, StoreError, open_store
from results.compact import compact
from results.comparing import CIRCUMSTANCES, differences
from results.merge import Merged, merge
from results.schema import SCHEMA
from tests.record_factory import make_record

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
OK, OTHER_OK = make_record(), make_record(test_oa=0.75)
FAILED = make_record(status="failed", error="node lost")
OTHER_FAILED = make_record(status="failed", error="out of memory")
DIVERGED = make_record(status="diverged", error="loss is nan")


def store_of(folder: Path, *records: RunRecord) -> ResultStore:
    store = open_store(folder)
    for record in records:
        store.write(record)
    return store


def counts(merged: Merged) -> tuple[int, int, int, int]:
    return merged.n_new, merged.n_replaced, merged.n_there, len(merged.conflicts)


def test_all_rows_of_all_stores_are_there_once(tmp_path: Path) -> None:
    records = [make_record(seed=seed) for seed in range(6)]
    sources = [
        store_of(tmp_path / "one", *records[:4]),
        store_of(tmp_path / "two", *records[2:5]),
        store_of(tmp_path / "three", *records[4:]),
    ]
    target = store_of(tmp_path / "target", records[0])
    before = [source.read() for source in sources]
    dry = merge(target, sources, dry_run=True)
    assert target.read().num_rows == 1
    assert counts(merge(target, sources)) == counts(dry) == (5, 0, 1, 0)
    assert sorted(row["seed"] for row in target.read().to_pylist()) == list(range(6))
    assert [source.read() for source in sources] == before
    assert counts(merge(target, sources)) == (0, 0, 6, 0)


# What TARGET holds, what the sources hold; what TARGET holds then, and the counts.
CASES = [
    (None, [OK], OK, (1, 0, 0, 0)),
    (None, [FAILED, OK], OK, (1, 0, 0, 0)),
    (None, [OK, FAILED], OK, (1, 0, 0, 0)),
    (None, [FAILED, FAILED], FAILED, (1, 0, 0, 0)),
    (None, [OK, OTHER_OK], None, (0, 0, 0, 1)),
    (None, [FAILED, DIVERGED], FAILED, (1, 0, 0, 0)),
    (None, [FAILED, OTHER_FAILED], FAILED, (1, 0, 0, 0)),
    (None, [FAILED, DIVERGED, OK], OK, (1, 0, 0, 0)),
    (FAILED, [OK], OK, (0, 1, 0, 0)),
    (FAILED, [OK, OTHER_OK], FAILED, (0, 0, 0, 1)),
    (FAILED, [DIVERGED, OTHER_FAILED], FAILED, (0, 0, 1, 0)),
    (OK, [FAILED], OK, (0, 0, 1, 0)),
    (OK, [OK, FAILED], OK, (0, 0, 1, 0)),
    (OK, [OTHER_OK], OK, (0, 0, 0, 1)),
    (OK, [OK, OTHER_OK], OK, (0, 0, 0, 1)),
    (OK, [], OK, (0, 0, 0, 0)),
]


@pytest.mark.parametrize(("before", "sources", "after", "expected"), CASES)
def test_which_row_is_kept(
    tmp_path: Path, before: RunRecord | None, sources: list[RunRecord], after: RunRecord | None, expected: tuple
) -> None:
    target = store_of(tmp_path / "target", *[before] if before else [])
    merged = merge(target, [store_of(tmp_path / str(i), record) for i, record in enumerate(sources)])
    assert counts(merged) == expected
    kept = [RunRecord.from_row(row) for row in target.read().to_pylist()] if target.exists() else []
    assert kept == ([after] if after else [])


def test_a_conflict_says_where_and_what(tmp_path: Path) -> None:
    one, two = store_of(tmp_path / "one", OK), store_of(tmp_path / "two", dataclasses.replace(OTHER_OK, device="cuda"))
    (conflict,) = merge(open_store(tmp_path / "target"), [one, two]).conflicts
    for word in (OK.trial_id, one.uri, two.uri, "confusion_test: OA 0.5000 | OA 0.7500", "cpu, 1 threads | cuda, 1"):
        assert word in conflict
    assert "\n" not in conflict


@pytest.mark.parametrize("name", SCHEMA.names)
def test_every_column_but_the_circumstances_is_compared(name: str) -> None:
    row = make_record(dropped={"guard": 1}, noted={"edge": 2}).to_table().to_pylist()[0]
    other = row | {name: [("another", 1)]}
    assert differences(row, row) == []
    assert differences(row, other) == ([] if name in CIRCUMSTANCES else [name])
    # Both have a say, whichever comes first.
    assert differences(other, row) == differences(row, other)


def test_circumstances_are_no_result() -> None:
    assert {"fit_s", "host", "device", "n_threads", "started_utc", "versions"} <= set(CIRCUMSTANCES)
    assert not {"confusion_test", "curves", "diagnostics", "status", "config_id", "n_test"} & set(CIRCUMSTANCES)


def test_nan_equals_nan_and_the_order_of_diagnostics_is_none() -> None:
    one = make_record(leakage=math.nan, curves=[{"name": "loss", "step": 1, "value": math.nan}]).to_table()
    assert differences(one.to_pylist()[0], one.to_pylist()[0]) == []
    first, second = ({"diagnostics": list(items)} for items in itertools.permutations([("a", 1.0), ("b", 2.0)]))
    assert differences(first, second) == []
    assert differences(first, {"diagnostics": [("a", 1.0), ("b", 3.0)]}) == ["diagnostics"]


@pytest.mark.parametrize("version", ["schema_v1", "schema_v2", "schema_v3", "schema_v4"])
def test_rows_of_an_earlier_schema_are_merged_with_the_same_of_today(tmp_path: Path, version: str) -> None:
    source = open_store(shutil.copytree(GOLDEN / version, tmp_path / version))
    target = open_store(tmp_path / "target")
    n_rows = source.read().num_rows
    assert counts(merge(target, [source])) == (n_rows, 0, 0, 0)
    assert target.read().equals(source.read())
    # The same trial run again today says what the old row could not: no conflict.
    known = RunRecord.from_row(target.read().to_pylist()[0])
    dropped = {"guard": 1} if known.dropped is None else known.dropped
    target.write(dataclasses.replace(known, kind=known.kind or "classical", dropped=dropped))
    assert counts(merge(target, [source])) == (0, 0, n_rows, 0)


def test_stopped_in_the_middle_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = store_of(tmp_path / "source", *[make_record(seed=seed) for seed in range(4)])
    target = open_store(tmp_path / "target")
    write, written = ResultStore.write_row, []

    def stopping(store: ResultStore, row: object) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(write(store, row))

    with monkeypatch.context() as patched:
        patched.setattr(ResultStore, "write_row", stopping)
        with pytest.raises(KeyboardInterrupt):
            merge(target, [source])
    assert counts(merge(target, [source])) == (2, 0, 2, 0)
    assert target.read().equals(source.read())


@pytest.mark.parametrize("is_compacted", [False, True])
@pytest.mark.parametrize("had_failed", [False, True])
def test_what_a_sweep_finishes_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, had_failed: bool, is_compacted: bool
) -> None:
    source = store_of(tmp_path / "source", OTHER_OK, make_record(seed=1))
    target = store_of(tmp_path / "target", make_record(seed=2), *[FAILED] if had_failed else [])
    read = ResultStore.read

    def overtaken(store: ResultStore, *arguments: object) -> object:
        rows = read(store, *arguments)
        if store is target:
            monkeypatch.setattr(ResultStore, "read", read)
            open_store(tmp_path / "target").write(OK)
            if is_compacted:
                compact(open_store(tmp_path / "target"))
        return rows

    monkeypatch.setattr(ResultStore, "read", overtaken)
    assert counts(merge(target, [source])) == (1, 0, 1, 0)
    kept = [RunRecord.from_row(row) for row in target.read().to_pylist()]
    assert OK in kept
    assert len(kept) == 3
    # Merged again, the two results are compared.
    assert counts(merge(target, [source])) == (0, 0, 1, 1)


def test_target_among_the_sources_is_refused(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", OK)
    (tmp_path / "link").symlink_to(tmp_path / "store")
    for same in (f"{tmp_path}/link", f"{tmp_path}/other/../store/", (tmp_path / "store").as_uri()):
        with pytest.raises(StoreError, match="is TARGET and SOURCE"):
            merge(store, [open_store(same)])


@pytest.mark.parametrize("fault", ["missing", "torn"])
def test_a_source_that_cannot_be_read_stops_it_before_a_write(tmp_path: Path, fault: str) -> None:
    good, bad = store_of(tmp_path / "good", OK), open_store(tmp_path / "bad")
    if fault == "torn":
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="bad"):
        merge(open_store(tmp_path / "target"), [good, bad])
    assert not (tmp_path / "target").exists()


def test_a_foreign_id_cannot_leave_the_store(tmp_path: Path) -> None:
    source = open_store(tmp_path / "source")
    source.write_compacted(make_record(trial_id="../../escaped").to_table())
    with pytest.raises(StoreError, match="is no file name"):
        merge(open_store(tmp_path / "a" / "b"), [source])
    assert not list(tmp_path.rglob("*escaped*"))


STATES = st.sampled_from(["absent", "ok", "other ok", "failed"])


@settings(max_examples=30, deadline=None)
@given(states=st.lists(st.lists(STATES, min_size=2, max_size=2), min_size=1, max_size=4))
def test_any_merge_equals_a_plain_loop(tmp_path_factory: pytest.TempPathFactory, states: list[list[str]]) -> None:
    # The oracle: what may be written of a trial, decided on the words alone.
    folder = tmp_path_factory.mktemp("merge")
    stores = [open_store(folder / str(i)) for i in range(len(states) + 1)]
    oa = {"ok": 0.5, "other ok": 0.75, "failed": 0.5}
    for store, words in zip(stores, [*states, ["absent", "absent"]], strict=True):
        store.files.filesystem.create_dir(store.files.path)
        for seed, word in enumerate(words):
            if word != "absent":
                status = "failed" if word == "failed" else "ok"
                store.write(make_record(seed=seed, test_oa=oa[word], status=status))
    target, sources = stores[0], stores[1:]
    expected = {}
    for seed in range(2):
        words = [words[seed] for words in states]
        oks = {word for word in words if word.endswith("ok")}
        found = words[0] if len(oks) == 2 else next(iter(oks)) if oks else "failed" if "failed" in words else "absent"
        if found != "absent":
            expected[seed] = found
    merge(target, sources)
    kept = {row["seed"]: row for row in target.read().to_pylist()}
    assert {
        seed: "failed" if row["status"] == "failed" else "ok" if row["confusion_test"][0][0] == 50 else "other ok"
        for seed, row in kept.items()
    } == expected
