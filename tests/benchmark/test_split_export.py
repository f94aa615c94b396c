"""Exported splits are those of the trials, say no test label, and are found again by their ids alone."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hsicl
from benchmark import BENCHMARK_VERSION, Scene, SplitSpec
from benchmark.fixed_split import FixedSplit
from benchmark.planning import resolved_split, split_of
from benchmark.split_export import NEEDED, OPTIONAL, SCHEMA, export_splits, named_splits, split_id
from benchmark.split_options import add_split_options, split_spec
from benchmark.table_files import TableFileError, read_table
from hsicl_core.errors import InvalidValueError, SplitError, UnknownNameError
from tests.scene_factory import tiny_scene


def with_masks(scene: Scene) -> Scene:
    """Return the scene with a published split: training in its left third, testing in its right."""
    known, column = scene.labels >= 0, np.arange(scene.labels.shape[1])[None, :]
    left, right = (known & (column < 16)).astype(int), (known & (column > 30)).astype(int)
    return dataclasses.replace(scene, fixed_splits={"halves": FixedSplit(train=left, test=right)})


SCENE = with_masks(tiny_scene())
SPECS = {
    "block": SplitSpec(rule="block", labels_per_class=3, patch_size=5),
    "random": SplitSpec(rule="random", labels_per_class=4, val_per_class=3, patch_size=5),
    "percent": SplitSpec(rule="buffered_random", labels_percent=5, patch_size=3),
    "masks": SplitSpec(rule="given", masks="halves", patch_size=5),
}
each = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def export(path: Path, *specs: SplitSpec, scene: Scene = SCENE, n_repeats: int = 2) -> pd.DataFrame:
    export_splits(path, {scene.name: scene}, specs, n_repeats)
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def known(path: Path) -> dict[str, Any]:
    return named_splits(read_table(path, NEEDED, OPTIONAL), str(path))


@each
def test_every_pixel_of_a_part_has_a_row_and_test_labels_have_none(spec: SplitSpec, tmp_path: Path) -> None:
    table = export(tmp_path / "splits.parquet", spec)
    assert table["split_id"].nunique() == 2
    flat, width = SCENE.labels.reshape(-1), SCENE.labels.shape[1]
    for index, rows in table.groupby("split_index"):
        split = split_of(SCENE, resolved_split(SCENE, dataclasses.replace(spec, index=int(index))))
        for part in ("train", "val", "test"):
            assert rows.pixel[rows.part == part].tolist() == getattr(split, part).tolist()
        assert set(rows.part) <= {"train", "val", "test"}
        assert rows.pixel.is_monotonic_increasing
        assert (rows.row * width + rows.column == rows.pixel).all()
        assert (rows.label[rows.part == "test"] == -1).all()
        seen = rows[rows.part != "test"]
        assert seen.label.tolist() == flat[seen.pixel].tolist()
        assert set(rows.seed) == {index}
        assert set(rows.scene_hash) == {SCENE.hash}


@each
def test_parquet_and_csv_hold_the_same_and_the_same_bytes_every_time(spec: SplitSpec, tmp_path: Path) -> None:
    parquet = export(tmp_path / "splits.parquet", spec)
    csv = export(tmp_path / "splits.csv", spec)
    pd.testing.assert_frame_equal(csv, parquet, check_dtype=False)
    for name in ("splits.parquet", "splits.csv", "splits.csv.json"):
        before = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        export(tmp_path / name.removesuffix(".json"), spec)
        assert (tmp_path / name).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["splits.csv", "splits.csv.json", "splits.parquet"]


def test_the_metadata_name_the_classes_and_the_versions(tmp_path: Path) -> None:
    export(tmp_path / "splits.parquet", SPECS["random"])
    export(tmp_path / "splits.csv", SPECS["random"])
    inside = json.loads(pq.read_schema(tmp_path / "splits.parquet").metadata[b"hsicl"])
    assert inside == json.loads((tmp_path / "splits.csv.json").read_text())
    assert inside["scenes"]["tiny"]["class_names"] == list(SCENE.class_names)
    assert (inside["format_version"], inside["benchmark_version"]) == (1, BENCHMARK_VERSION)
    assert pq.read_schema(tmp_path / "splits.parquet").names == SCHEMA.names


@each
@pytest.mark.parametrize("form", ["parquet", "csv", "csv by pandas", "parquet by pandas", "categories"])
def test_a_table_of_any_make_names_the_split_that_was_exported(spec: SplitSpec, form: str, tmp_path: Path) -> None:
    path = tmp_path / f"splits.{form.split()[0] if form != 'categories' else 'parquet'}"
    table = export(path, spec)
    if form == "csv by pandas":
        table.to_csv(path)
    elif form != path.suffix[1:]:
        (table.astype({"split_id": "category", "rule": "category"}) if form == "categories" else table).to_parquet(path)
    named = known(path)
    assert len(named) == 2
    for name, split in named.items():
        wanted = resolved_split(SCENE, dataclasses.replace(spec, index=split.spec.index))
        assert (split.scene, split.scene_hash, split.split_id) == ("tiny", SCENE.hash, name)
        assert split.spec == wanted
        made = split.found_in(SCENE)
        assert np.array_equal(made.test, split_of(SCENE, wanted).test)


def test_an_id_is_of_one_scene_one_description_and_one_list_of_pixels() -> None:
    spec = SPECS["random"]
    split = split_of(SCENE, spec)
    base = split_id(SCENE, spec, split)
    labels = SCENE.labels.copy()
    labels[1, 1] = 1 - labels[1, 1]
    others = [
        split_id(dataclasses.replace(SCENE, name="other"), spec, split),
        split_id(dataclasses.replace(SCENE, labels=labels), spec, split),
        split_id(SCENE, dataclasses.replace(spec, index=1), split),
        split_id(SCENE, dataclasses.replace(spec, patch_size=7), split),
        split_id(SCENE, dataclasses.replace(spec, val_per_class=4), split),
        split_id(SCENE, spec, dataclasses.replace(split, test=split.test[1:])),
        split_id(SCENE, spec, dataclasses.replace(split, train=split.val, val=split.train)),
        *(
            split_id(SCENE, spec, dataclasses.replace(split, **{part: getattr(split, part) + 1}))
            for part in ("train", "val", "test")
        ),
    ]
    assert len({base, *others}) == 1 + len(others)
    assert split_id(tiny_scene(), spec, split) == base
    # No spreadsheet makes a number of it.
    assert all(re.fullmatch("[a-f][0-9a-f]{15}", name) for name in (base, *others))


def test_ten_per_cent_are_ten_per_cent(tmp_path: Path) -> None:
    whole, real = (SplitSpec(rule="random", labels_percent=share, patch_size=5) for share in (10, 10.0))
    split = split_of(SCENE, real)
    assert split_id(SCENE, whole, split) == split_id(SCENE, real, split)
    export(tmp_path / "splits.csv", whole)
    assert {repr(named.spec.labels_percent) for named in known(tmp_path / "splits.csv").values()} == {"10.0"}


def test_the_scene_at_hand_must_be_the_one_that_was_split(tmp_path: Path) -> None:
    export(tmp_path / "splits.parquet", SPECS["random"], n_repeats=1)
    (named,) = known(tmp_path / "splits.parquet").values()
    labels = SCENE.labels.copy()
    labels[1, 1] = 1 - labels[1, 1]
    changed = dataclasses.replace(SCENE, labels=labels)
    with pytest.raises(TableFileError, match=rf"{SCENE.hash}.*{changed.hash}"):
        named.found_in(changed)
    # Where the hash was left out, the id still knows.
    with pytest.raises(TableFileError, match=f"{named.split_id} is of no split"):
        dataclasses.replace(named, scene_hash=None).found_in(changed)
    # A hash that a spreadsheet has spoilt does no harm.
    assert len(dataclasses.replace(named, scene_hash="1.2e+15").found_in(SCENE).test)
    # Of a scene that cannot be split so it is said that it is another one.
    few = np.full_like(SCENE.labels, -1)
    few[0, :4] = [0, 1, 2, 3]
    with pytest.raises(TableFileError, match=SCENE.hash):
        named.found_in(dataclasses.replace(SCENE, labels=few))
    with pytest.raises(SplitError):
        dataclasses.replace(named, scene_hash=None).found_in(dataclasses.replace(SCENE, labels=few))


def test_other_masks_of_the_same_name_are_another_split(tmp_path: Path) -> None:
    export(tmp_path / "splits.parquet", SPECS["masks"], n_repeats=1)
    (named,) = known(tmp_path / "splits.parquet").values()
    fixed = SCENE.fixed_splits["halves"]
    swapped = {"halves": FixedSplit(train=fixed.test, test=fixed.train)}
    with pytest.raises(TableFileError, match="is of no split"):
        named.found_in(dataclasses.replace(SCENE, fixed_splits=swapped))
    with pytest.raises(UnknownNameError, match="halves"):
        named.found_in(dataclasses.replace(SCENE, fixed_splits={}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"patch_size": 7}, "is of no split"),
        ({"split_index": 1}, "is of no split"),
        ({"rule": "buffered_random"}, "is of no split"),
        ({"patch_size": 5.5}, "patch_size='5.5' is no such number"),
        ({"patch_size": "five"}, "patch_size='five' is no such number"),
        ({"split_index": -1}, "split_index='-1' is no such number"),
        ({"labels_percent": "most"}, "labels_percent='most' is no such number"),
        ({"scene": None}, "column scene is empty"),
        ({"rule": "blocks"}, "unknown split rule 'blocks'"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_edited_description_is_noticed(change: dict[str, Any], words: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"edited.{suffix}"
    table = export(tmp_path / "splits.parquet", SPECS["random"], n_repeats=1).assign(**change)
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    with pytest.raises((TableFileError, UnknownNameError), match=re.escape(words)) as caught:
        [named.found_in(SCENE) for named in known(path).values()]
    assert "\n" not in str(caught.value)


def test_two_descriptions_of_one_id_are_refused(tmp_path: Path) -> None:
    table = export(tmp_path / "splits.parquet", SPECS["random"], n_repeats=1)
    table.loc[3, "patch_size"] = 7
    with pytest.raises(TableFileError, match="two descriptions"):
        named_splits(pa.Table.from_pandas(table), "it")


@pytest.mark.parametrize(
    ("path", "n_repeats", "spec", "words"),
    [
        ("splits.txt", 2, SPECS["random"], "unknown format '.txt'"),
        ("splits.csv", 0, SPECS["random"], "n_repeats"),
        ("taken/splits.csv", 2, SPECS["random"], "cannot be written"),
        ("splits.parquet", 2, SplitSpec(rule="random", labels_per_class=5000), "5000"),
        ("splits.csv", 2, SplitSpec(rule="given", masks="thirds"), "thirds"),
    ],
)
def test_what_cannot_be_exported_leaves_nothing(
    path: str, n_repeats: int, spec: SplitSpec, words: str, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    with pytest.raises((TableFileError, InvalidValueError, SplitError, UnknownNameError), match=re.escape(words)):
        export_splits(tmp_path / path, {"tiny": SCENE}, [SPECS["random"], spec], n_repeats)
    assert [found.name for found in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("options", "rule", "wanted"),
    [
        ("", None, SplitSpec()),
        ("--labels-per-class 3 --patch-size 5", "random", SplitSpec(rule="random", labels_per_class=3, patch_size=5)),
        ("--labels-percent 2.5", None, SplitSpec(labels_percent=2.5)),
        ("--masks halves", None, SplitSpec(rule="given", masks="halves")),
        ("--masks halves --split-index 7", "block", SplitSpec(rule="block", masks="halves", index=7)),
    ],
)
def test_what_the_options_describe(options: str, rule: str | None, wanted: SplitSpec) -> None:
    parser = argparse.ArgumentParser()
    add_split_options(parser)
    parser.add_argument("--split-index", type=int, default=0)
    assert split_spec(parser.parse_args(options.split()), rule) == wanted


def test_the_command_exports_every_kind_of_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmark.scene_files.load_scene", {"tiny": SCENE}.__getitem__)
    monkeypatch.chdir(tmp_path)

    def run(options: str) -> str:
        assert hsicl.main(["bench", "export-splits", "--scene", "tiny", *shlex.split(options)]) == 0
        return capsys.readouterr().out

    told = run(
        "--rule random --rule block --rule random --patch-size 5 --repeats 3 --labels-per-class 4 "
        "--out folder/some.parquet"
    )
    assert told.count("tiny, block split") == told.count("tiny, random split") == 3
    assert f"written: {Path('folder/some.parquet')}" in told
    named = known(Path("folder/some.parquet")).values()
    wanted = {(rule, index, 5, 4) for rule in ("random", "block") for index in range(3)}
    found = {(each.spec.rule, each.spec.index, each.spec.patch_size, each.spec.labels_per_class) for each in named}
    assert found == wanted
    assert "given split 4, masks halves@" in run("--masks halves")
    assert "random split 4, 5% of every class" in run("--labels-percent 5 --rule random")
    assert Path("splits.parquet").is_file()


@pytest.mark.parametrize("before", ["--scene tiny", "--repeats 3", "--dry-run", "--labels-percent 5"])
def test_an_option_before_the_action_is_refused_rather_than_dropped(
    before: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for action in ("export-splits", "score mine.csv --name mine"):
        with pytest.raises(SystemExit) as caught:
            hsicl.main(["bench", *before.split(), *action.split()])
        assert caught.value.code == 2
        error = capsys.readouterr().err
        assert f"options of {action.split()[0]} come after it" in error
        assert error.count("\n") == 1
