"""Predictions of a method from outside are scored as a trial's own are, and a file with any fault changes nothing."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import decimal
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hsicl
from benchmark import METHODS, Scene, SplitSpec, Trial, plan_trial, run_trial
from benchmark.classifier import choose_classifier
from benchmark.fitting import fit_scene
from benchmark.planning import resolved_split, split_of
from benchmark.prediction_commands import read_params
from benchmark.predictions import ExternalMethod, score_predictions, splits_in
from benchmark.score_writing import COMPARED
from benchmark.split_export import export_splits, split_id, split_table
from hsicl_core.errors import InvalidValueError, UserError
from report import leaderboard_text
from report.rows import GROUP_COLUMNS
from results import RunRecord, open_store
from results.metrics import confusion_matrix
from results.schema import VOLATILE_COLUMNS
from tests.benchmark.test_split_export import SCENE, SPECS
from tests.scene_factory import tiny_scene

SPEC = SPECS["random"]
MINE = ExternalMethod(name="mine")
NAMES = SCENE.class_names
# Test pixels in three classes only, and one class in no part: what a rule could not serve.
_SCARCE = tiny_scene().labels.copy()
_SCARCE[0, :3] = 4
SCARCE = dataclasses.replace(SCENE, name="scarce", labels=_SCARCE, class_names=(*NAMES, "scarce"), fixed_splits={})
SCENES = {scene.name: scene for scene in (SCENE, SCARCE)}


def splits_table(*indices: int, spec: SplitSpec = SPEC, scene: Scene = SCENE) -> pd.DataFrame:
    specs = [resolved_split(scene, dataclasses.replace(spec, index=index)) for index in indices]
    return pd.concat([split_table(scene, each, split_of(scene, each)).to_pandas() for each in specs], ignore_index=True)


def predicted(*indices: int, seed: int = 0, spec: SplitSpec = SPEC, scene: Scene = SCENE) -> pd.DataFrame:
    """Return a right table: val and test pixels in random order, each with a random class, often the true one."""
    table = splits_table(*(indices or (0, 1)), spec=spec, scene=scene)
    table = table[table.part != "train"].sample(frac=1, random_state=seed).reset_index(drop=True)
    random = np.random.default_rng(seed)
    guess = random.integers(0, scene.n_classes, len(table))
    right = random.random(len(table)) < 0.6
    return table.assign(prediction=np.where(right, scene.labels.reshape(-1)[table.pixel], guess))


def save(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path, index=False)
    return path


def score(path: Path, method: ExternalMethod = MINE, **options: Any) -> list[RunRecord]:
    return list(score_predictions(path, method, load=SCENES.__getitem__, **options).values())


def plain(record: RunRecord) -> dict[str, Any]:
    return vars(record)


class Cli:
    """``hsicl bench`` in this process, in a folder of its own, with the scenes of this file."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, command: str) -> str:
        """Return what a command that succeeds tells."""
        self.capsys.readouterr()
        assert hsicl.main(["bench", *shlex.split(command)]) == 0
        output = self.capsys.readouterr()
        assert output.err == ""
        return str(output.out)

    def refuses(self, command: str) -> str:
        """Return the one line of a command that ends with status 2 and changes no file."""
        self.capsys.readouterr()
        before = files()
        assert hsicl.main(["bench", *shlex.split(command)]) == 2
        output = self.capsys.readouterr()
        assert (output.out, output.err.count("\n")) == ("", 1)
        assert output.err.startswith("hsicl: ")
        assert files() == before
        return str(output.err)


def files() -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in Path().rglob("*")}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.setattr("benchmark.scene_files.load_scene", SCENES.__getitem__)
    monkeypatch.chdir(tmp_path)
    return Cli(capsys)


@pytest.mark.parametrize(("scene", "name"), [(SCENE, name) for name in SPECS] + [(SCARCE, "block")])
def test_the_predictions_of_a_trial_give_the_record_of_the_trial(scene: Scene, name: str, tmp_path: Path) -> None:
    spec = dataclasses.replace(SPECS[name], index=1)
    trial = plan_trial(scene, method="raw_spectra", protocol="knn", split=spec, seed=1)
    record = run_trial(trial, scene, device="cpu")
    assert record.status == "ok", record.error
    classifier = choose_classifier(trial, scene, fit_scene(trial, scene, torch.device("cpu")))
    table = splits_table(1, spec=spec, scene=scene)
    table["prediction"] = classifier.predict(table["pixel"].to_numpy())

    (scored,) = score(save(table, tmp_path / "mine.parquet"))
    own = {
        "trial_id", "config_id", "method", "kind", "params_json", "protocol", "protocol_params_json", "sees_labels",
        "chosen_json", "curves", "diagnostics", "n_parameters", "embedding_dim", "device", "n_threads",
        *VOLATILE_COLUMNS,
    }  # fmt: skip
    same = {column: value for column, value in vars(record).items() if column not in own}
    assert {column: vars(scored)[column] for column in same} == same
    assert {"confusion_val", "confusion_test", "unsupported_classes", "leakage", "dropped", "masks"} <= set(same)
    assert (scored.method, scored.kind, scored.protocol) == ("mine", "other", "predictions")
    assert scored.to_table().num_rows == 1
    if scene is SCARCE:
        assert scored.unsupported_classes == ["scarce"]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), order=st.integers(0, 9))
def test_confusion_matrices_are_counted_pixel_by_pixel(seed: int, order: int, tmp_path_factory: Any) -> None:
    table = predicted(0, 3, seed=seed).sample(frac=1, random_state=order)
    records = score(save(table, tmp_path_factory.mktemp("scores") / "mine.parquet"))
    assert sorted(record.split_index for record in records) == [0, 3]
    for record in records:
        rows = table[table.split_index == record.split_index]
        for part in ("val", "test"):
            counted = np.zeros((4, 4), dtype=int)
            for pixel, prediction in zip(
                *(rows.loc[rows.part == part, ["pixel", "prediction"]].T.to_numpy()), strict=True
            ):
                counted[SCENE.labels.flat[pixel], prediction] += 1
            assert vars(record)[f"confusion_{part}"] == counted.tolist()


def variants(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    names = [NAMES[index] for index in table.prediction]
    mixed = [NAMES[index] if row % 2 else str(index) for row, index in enumerate(table.prediction)]
    bare = table[["split_id", "pixel", "prediction"]]
    return {
        "as it is": table,
        "floats": table.astype({"prediction": float, "pixel": float, "split_index": float}),
        "small": table.astype({"prediction": "uint8", "pixel": "int32"}),
        "text": table.astype({"prediction": str, "pixel": str}),
        "names": table.assign(prediction=names),
        "categories": table.assign(prediction=names).astype({"prediction": "category", "split_id": "category"}),
        "both": table.assign(prediction=mixed),
        "with train": pd.concat([table, splits_table(0, 1).query("part == 'train'")]),
        "train twice": pd.concat([table, *2 * [splits_table(0, 1).query("part == 'train'").assign(prediction=99)]]),
        "sorted": table.sort_values("pixel"),
        "columns turned": table[table.columns[::-1]].assign(more="than is read"),
        "bare": bare,
    }


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("name", variants(predicted()))
def test_the_same_predictions_in_any_form_give_the_same_records(name: str, suffix: str, tmp_path: Path) -> None:
    table = predicted()
    wanted = score(save(table, tmp_path / "wanted.parquet"))
    export_splits(tmp_path / "splits.parquet", {"tiny": SCENE}, [SPEC], 2)
    options = {"splits": splits_in(tmp_path / "splits.parquet")} if name == "bare" else {}
    found = score(save(variants(table)[name], tmp_path / f"found.{suffix}"), **options)
    by_split = {record.split_index: plain(record) for record in found}
    assert by_split == {record.split_index: plain(record) for record in wanted}
    assert len(by_split) == 2


def test_a_number_is_an_id_even_where_classes_are_called_by_numbers(tmp_path: Path) -> None:
    scene = dataclasses.replace(SCENE, class_names=("3", "2", "1", "0"))
    table = predicted(0, scene=scene)
    records = []
    for kind in (int, str):
        path = save(table.astype({"prediction": kind}), tmp_path / f"{kind.__name__}.csv")
        records += score_predictions(path, MINE, load=lambda _: scene).values()
    assert plain(records[0]) == plain(records[1])
    rows = table[table.part == "test"]
    truth = SCENE.labels.reshape(-1)[rows.pixel]
    assert records[0].confusion_test == confusion_matrix(truth, rows.prediction, 4).tolist()


Damage = Callable[[pd.DataFrame], pd.DataFrame]


def at(column: str, value: Any, row: int = 7) -> Damage:
    """Return what puts a value into one row of a column."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        values = table[column].astype(object)
        values[row] = value
        return table.assign(**{column: values})

    return change


def train_row(table: pd.DataFrame) -> pd.DataFrame:
    return splits_table(0, 1).query("part == 'train'").head(1).assign(prediction=0)


DAMAGES: dict[str, tuple[Damage, str]] = {
    "a pixel left out": (lambda t: t.drop(index=5), "no prediction for 1 of the val and test pixels"),
    "val left out": (lambda t: t[t.part == "test"], "no prediction for 12 of the val and test pixels"),
    "a pixel twice": (lambda t: pd.concat([t, t.tail(1)]), "several for 1"),
    "an unlabelled pixel": (lambda t: pd.concat([t, t.head(1).assign(pixel=0)]), "1 pixels of no part (first: 0)"),
    "a pixel outside": (lambda t: pd.concat([t, t.head(1).assign(pixel=10**9)]), "of no part (first: 1000000000)"),
    "a pixel moved": (at("pixel", 0), "of no part"),
    "a pixel below zero": (at("pixel", -1), "column pixel must hold whole numbers >= 0, 1 rows"),
    "half a pixel": (at("pixel", 10.5), "first: '10.5' in row 8"),
    "a huge pixel": (at("pixel", 2**60), "column pixel must hold whole numbers"),
    "no pixel": (at("pixel", None), "column pixel must hold whole numbers"),
    "a class too many": (at("prediction", 4), "1 predictions are no class of tiny (first: '4'"),
    "a class below zero": (at("prediction", -1), "first: '-1'"),
    "half a class": (at("prediction", 1.5), "first: '1.5'"),
    "a huge class": (at("prediction", 1e300), "first: '1e+300'"),
    "a longer class": (at("prediction", "9" * 400), "first: '9999999999"),
    "infinity": (at("prediction", float("inf")), "first: 'inf'"),
    "NaN": (at("prediction", float("nan")), "no class of tiny"),
    "nothing": (at("prediction", None), "first: 'None'"),
    "only nothing": (lambda t: t.assign(prediction=None), "predictions are no class of tiny"),
    "a word": (at("prediction", "corn"), "first: 'corn'"),
    "a name in capitals": (at("prediction", "FIELD 1"), "field 0, field 1"),
    "truth": (lambda t: t.assign(prediction=True), "first: 'True'"),
    "no split": (at("split_id", None), "split_id is empty"),
    "another split": (at("split_id", "a" * 16), "is of no split"),
    "all of another split": (lambda t: t.assign(split_id="a" * 16), "a" * 16),
    "no column split_id": (lambda t: t.drop(columns="split_id"), "has no column split_id"),
    "no column prediction": (lambda t: t.drop(columns="prediction"), "has no column prediction"),
    "no description": (lambda t: t.drop(columns="rule"), "does not say what its splits are (no column rule)"),
    "a long description": (lambda t: t.assign(rule="r" * 501), "rule is longer than any that is exported"),
    "a long split": (lambda t: t.assign(split_id="a" * 501), "split_id is longer than any that is exported"),
    "another description": (lambda t: t.assign(patch_size=7), "is of no split"),
    "another scene": (lambda t: t.assign(scene="scarce"), SCARCE.hash),
    "no rows": (lambda t: t.head(0), "holds no rows"),
    "a train row alone": (train_row, f"no prediction for {(SCENE.labels >= 0).sum() - 16} of the val and test pixels"),
    "a seed of words": (lambda t: t.assign(seed="one"), "column seed must hold whole numbers"),
    "a seed below zero": (lambda t: t.assign(seed=-1), "column seed must hold whole numbers"),
    "a row of another seed": (at("seed", 5), "no prediction for"),
    "two times": (lambda t: t.assign(seconds=np.arange(len(t))), "column seconds must hold one number >= 0"),
    "a time below zero": (lambda t: t.assign(seconds=-1.0), "column seconds must hold one number >= 0"),
    "time for ever": (lambda t: t.assign(seconds=float("inf")), "column seconds must hold one number >= 0"),
    "half a parameter": (lambda t: t.assign(parameters=0.5), "column parameters must hold one whole number >= 0"),
    "many parameters": (lambda t: t.assign(parameters="many"), "column parameters must hold one whole number >= 0"),
}


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with one type per column, as Parquet wants it: text where there is any, else numbers."""
    columns = {}
    for name in (name for name in table.columns if table[name].dtype.kind == "O"):
        kinds = {type(value) for value in table[name].dropna()}
        if str not in kinds and kinds:
            columns[name] = pd.to_numeric(table[name])
        elif len(kinds) > 1:
            columns[name] = table[name].astype(str)
    return table.assign(**columns)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_refused_in_one_line_and_nothing_is_written(name: str, suffix: str, cli: Cli) -> None:
    damage, words = DAMAGES[name]
    save(typed(damage(predicted())), Path(f"mine.{suffix}"))
    error = cli.refuses(f"score mine.{suffix} --name mine --store store")
    assert words in error
    assert "mine." in error or "split" in error


def test_a_fault_in_the_third_of_five_splits_changes_nothing_of_what_the_others_have(cli: Cli) -> None:
    save(predicted(0, 1, 2, 3, 4), Path("mine.csv"))
    told = cli("score mine.csv --name mine --store store")
    assert told == "mine: trials written: 5, of these replaced: 0; store: store\n"
    other = predicted(0, 1, 2, 3, 4, seed=1)
    (third,) = set(other.split_id[other.split_index == 2])
    save(other.drop(index=other.index[other.split_id == third][0]), Path("mine.csv"))
    for store in ("store", "fresh"):
        error = cli.refuses(f"score mine.csv --name mine --store {store}")
        assert f"split {third}, seed 2: no prediction for 1" in error


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("mine.txt", "split_id,pixel,prediction\n", "unknown format '.txt'"),
        ("mine.csv", "", "is not a whole csv table"),
        ("mine.csv", "split_id,pixel,prediction\na,1\n", "is not a whole csv table"),
        ("mine.csv", "split_id;pixel;prediction\na;1;2\n", "has no column split_id, pixel, prediction"),
        ("mine.csv", "split_id,pixel,prediction\n\xff\xfe,1,2\n".encode("latin-1"), "is not a whole csv table"),
        ("mine.csv", "split_id,pixel,prediction,prediction\na,1,2,2\n", "two columns of one name"),
        ("mine.parquet", "PAR1 but no more", "is not a whole parquet table"),
        ("none.csv", None, "no file none.csv"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(name: str, content: str | bytes | None, words: str, cli: Cli) -> None:
    if content is not None:
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert words in cli.refuses(f"score {name} --name mine --store store")


def test_a_csv_as_a_spreadsheet_saves_it_is_read(tmp_path: Path) -> None:
    table = predicted()
    wanted = score(save(table, tmp_path / "wanted.csv"))
    table.to_csv(
        tmp_path / "saved.csv", index=False, encoding="utf-8-sig", lineterminator="\r\n", quoting=csv.QUOTE_ALL
    )
    assert list(map(plain, score(tmp_path / "saved.csv"))) == list(map(plain, wanted))


def with_predictions(column: pa.Array, path: Path) -> Path:
    table = pa.Table.from_pandas(predicted(0), preserve_index=False)
    pq.write_table(table.set_column(table.column_names.index("prediction"), "prediction", column), path)
    return path


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.large_string(), pa.string_view()], ids=str
)
def test_a_parquet_file_of_any_writer_is_read(kind: pa.DataType, tmp_path: Path) -> None:
    table = predicted(0)
    values = pa.array(table.prediction.to_numpy())
    texts = pa.array(table.prediction.astype(str), pa.string())
    is_text = kind in (pa.large_string(), pa.string_view())
    (found,) = score(with_predictions((texts if is_text else values).cast(kind), tmp_path / "mine.parquet"))
    (wanted,) = score(save(table, tmp_path / "wanted.parquet"))
    assert plain(found) == plain(wanted)


@pytest.mark.parametrize(
    "value", [[1], {"class": 1}, b"1", dt.date(2020, 1, 1), dt.timedelta(1), decimal.Decimal("1.0")], ids=repr
)
def test_a_column_of_what_is_neither_number_nor_text_is_refused(value: Any, tmp_path: Path) -> None:
    path = with_predictions(pa.array([value] * len(predicted(0))), tmp_path / "mine.parquet")
    with pytest.raises(UserError, match=r"column prediction holds .*: one number or text per row"):
        score(path)


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    n = len(predicted(0))
    offsets = pa.py_buffer(np.arange(n + 1, dtype=np.int32))
    broken = pa.StringArray.from_buffers(n, offsets, pa.py_buffer(b"\xff" * n))
    with pytest.raises(UserError, match="is not a whole parquet table"):
        score(with_predictions(broken, tmp_path / "mine.parquet"))


def test_what_only_python_reads_as_a_number_is_a_name(tmp_path: Path) -> None:
    scene = dataclasses.replace(SCENE, class_names=("0_1", "1_0", "\u0661", "3"))
    table = predicted(0, scene=scene)
    wanted = score_predictions(save(table, tmp_path / "ids.csv"), MINE, load=lambda _: scene)
    named = table.assign(prediction=[scene.class_names[index] for index in table.prediction])
    assert score_predictions(save(named, tmp_path / "names.csv"), MINE, load=lambda _: scene) == wanted


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_one_change_of_a_row_is_either_refused_or_counted(data: st.DataObject, tmp_path_factory: Any) -> None:
    table = predicted()
    row = data.draw(st.integers(0, len(table) - 1))
    column = data.draw(st.sampled_from(["split_id", "pixel", "prediction"]))
    old = table.loc[row, column]
    same_column = sorted(set(table[column]) - {old}, key=str)
    new = data.draw(
        st.sampled_from(same_column) if column != "prediction" else st.integers(-2, 6).filter(lambda v: v != old)
    )
    changed = table.copy()
    changed.loc[row, column] = new
    path = save(changed, tmp_path_factory.mktemp("changed") / "mine.csv")
    if column != "prediction" or not 0 <= new < 4:
        with pytest.raises(UserError):
            score(path)
        return
    before, after = (score(save(each, path)) for each in (table, changed))
    differences = [
        np.abs(np.subtract(vars(a)[name], vars(b)[name])).sum()
        for a, b in zip(before, after, strict=True) for name in ("confusion_val", "confusion_test")
    ]  # fmt: skip
    assert sorted(differences) == [0, 0, 0, 2]


def test_seeds_seconds_and_parameters_are_of_each_run(tmp_path: Path) -> None:
    runs = [predicted(0, 1, seed=seed).assign(seed=seed, seconds=1.5 + seed, parameters=10 * seed) for seed in (2, 7)]
    records = score(save(pd.concat(runs), tmp_path / "mine.csv"))
    assert {(record.split_index, record.seed, record.fit_s, record.n_parameters) for record in records} == {
        (index, seed, 1.5 + seed, 10 * seed) for index in (0, 1) for seed in (2, 7)
    }
    assert len({record.trial_id for record in records}) == 4
    assert len({record.config_id for record in records}) == 1
    without = runs[0].drop(columns=["seed", "seconds", "parameters"])
    records = score(save(without, tmp_path / "mine.csv"))
    assert [(record.seed, record.fit_s, record.n_parameters) for record in records] == [
        (record.split_index, None, None) for record in records
    ]
    # The trial is one that planning would give, were the method registered.
    first = records[0]
    spec = dataclasses.replace(SPEC, index=first.split_index)
    wanted = Trial(
        scene="tiny", scene_hash=SCENE.hash, split=spec, method="mine", params='{"transductive":true}',
        protocol="predictions", protocol_params="{}", seed=first.split_index,
    )  # fmt: skip
    assert (first.trial_id, first.config_id) == (wanted.trial_id, wanted.config_id)


def test_params_and_what_it_was_fitted_to_are_another_configuration_and_a_claim_is_none(tmp_path: Path) -> None:
    path = save(predicted(0), tmp_path / "mine.csv")
    outsiders = [
        MINE, ExternalMethod(name="mine", params={"depth": 3}), ExternalMethod(name="mine", params={"depth": 4}),
        ExternalMethod(name="mine", transductive=False), ExternalMethod(name="mine2"),
    ]  # fmt: skip
    records = [score(path, outsider)[0] for outsider in outsiders]
    assert len({record.config_id for record in records}) == len({record.trial_id for record in records}) == 5
    assert json.loads(records[1].params_json) == {"depth": 3, "transductive": True}
    assert [record.transductive for record in records] == [True, True, True, False, True]
    claimed = score(path, ExternalMethod(name="mine", sees_labels="none"))[0]
    assert (claimed.trial_id, claimed.sees_labels) == (records[0].trial_id, "none")
    assert records[0].sees_labels == "train"
    # Other predictions of the same method are the same trial: the later ones count.
    other = score(save(predicted(0, seed=1), tmp_path / "other.csv"))[0]
    assert other.trial_id == records[0].trial_id
    assert other.confusion_test != records[0].confusion_test


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "raw_spectra"}, "'raw_spectra' is a registered method's"),
        ({"name": ""}, "must be a letter"),
        ({"name": "a|b"}, "must be a letter"),
        ({"name": "ä"}, "must be a letter"),
        ({"name": "m" * 65}, "must be a letter"),
        ({"name": "=1+1"}, "must be a letter"),
        ({"name": "@sum"}, "must be a letter"),
        ({"name": "-1"}, "must be a letter"),
        ({"name": "mine\n"}, "must be a letter"),
        ({"name": "mine", "sees_labels": "all"}, "'all'"),
        ({"name": "mine", "params": {"transductive": False}}, "--inductive"),
        ({"name": "mine", "params": {"rate": float("nan")}}, "JSON"),
        ({"name": "mine", "params": {"rate": object()}}, "JSON"),
        ({"name": "mine", "params": {"note": "\udcff"}}, "UTF-8"),
        ({"name": "mine", "params": {"note": "x" * 1000}}, "at most 1000 characters"),
    ],
)
def test_what_an_external_method_may_not_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidValueError, match=re.escape(words)) as caught:
        ExternalMethod(**options)
    assert "\n" not in str(caught.value)


def test_params_are_read_from_pairs_and_from_json() -> None:
    assert read_params([]) == {}
    assert read_params(["depth=3", "rate=1e-3", "name=big one", "flag=true", '{"layers": [1, 2]}']) == {
        "depth": 3, "rate": 0.001, "name": "big one", "flag": True, "layers": [1, 2],
    }  # fmt: skip
    deep = "[" * 100_000
    assert read_params([f"depth={deep}"]) == {"depth": deep}
    for wrong in (["depth"], ["=3"], ["depth="], ["{depth: 3}"], ["depth=3", "depth=4"], ["depth=3", '{"depth": 3}']):
        with pytest.raises(InvalidValueError, match="--params"):
            read_params(wrong)


def test_what_stands_in_one_table_is_what_the_report_puts_there() -> None:
    assert COMPARED == GROUP_COLUMNS


def test_scores_stand_beside_the_entrants_and_what_is_lacking_is_said(cli: Cli) -> None:
    store = open_store("store")
    for index in (0, 1):
        split = dataclasses.replace(SPEC, index=index)
        store.write(run_trial(plan_trial(SCENE, method="raw_spectra", protocol="knn", split=split), SCENE))
    # A search's row, and those of another table, are not lacking.
    search = plan_trial(
        SCENE, method="raw_spectra", protocol="knn", split=dataclasses.replace(SPEC, index=9), purpose="search"
    )
    elsewhere = plan_trial(SCENE, method="raw_spectra", protocol="knn", split=SPECS["percent"])
    for trial in (search, elsewhere):
        store.write(run_trial(trial, SCENE))
    cli("export-splits --scene tiny --rule random --labels-per-class 4 --patch-size 5 --repeats 2")
    assert len(splits_in(Path("splits.parquet"))) == 2
    # Val pixels per class are 10 in the command's splits, 3 in those of the store: another table.
    assert not set(splits_in(Path("splits.parquet"))) & set(splits_table(0, 1).split_id)
    save(predicted(0).assign(seed=0), Path("half.csv"))
    told = cli("score half.csv --name mine --store store").splitlines()
    assert told[0] == "mine: trials written: 1, of these replaced: 0; store: store"
    assert len(told) == 2
    assert "without predictions: 1 (first: tiny, random split 1, seed 0)" in told[1]
    # What was scored before counts.
    save(predicted(1).assign(seed=0), Path("rest.csv"))
    assert len(cli("score rest.csv --name mine --store store").splitlines()) == 1
    save(predicted(0, 1).assign(seed=0), Path("whole.csv"))
    assert cli("score whole.csv --name mine --store store").splitlines() == [
        "mine: trials written: 2, of these replaced: 2; store: store"
    ]
    text = leaderboard_text("store")
    line = next(line for line in text.splitlines() if " mine " in line)
    assert "predictions" in line
    assert "withheld" not in line
    kinds = {row["method"]: row["kind"] for row in store.read().to_pylist()}
    assert kinds == {"raw_spectra": METHODS.get("raw_spectra").kind, "mine": "other"}


def test_the_options_reach_the_records(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    save(predicted(0), Path("mine.csv"))
    # The scene is a file here, whose stem is its name.
    monkeypatch.setattr("benchmark.scene_files.load_scene", {"folder/tiny.mat": SCENE}.__getitem__)
    with pytest.raises(KeyError, match="'tiny'"):
        cli("score mine.csv --name mine --store store")
    options = "--scene folder/tiny.mat --sees-labels none --inductive --params depth=3 --params rate=0.1"
    cli(f"score mine.csv --name mine --store store {options}")
    (row,) = open_store("store").read().to_pylist()
    assert (row["sees_labels"], row["transductive"]) == ("none", False)
    assert json.loads(row["params_json"]) == {"depth": 3, "rate": 0.1, "transductive": False}


def test_exported_splits_that_were_not_predicted_are_said(cli: Cli) -> None:
    export_splits(Path("splits.parquet"), {"tiny": SCENE}, [SPEC, SPECS["percent"], SPECS["masks"]], 2)
    table = pd.read_parquet("splits.parquet").assign(prediction=0)[["split_id", "pixel", "prediction"]]
    save(table, Path("all.csv"))
    assert cli("score all.csv --name mine --splits splits.parquet").count("\n") == 1
    left = table.split_id.unique()[4:]
    save(table[~table.split_id.isin(left)], Path("four.csv"))
    told = cli("score four.csv --name mine --splits splits.parquet --params version=2")
    assert f"exported splits without predictions: 2 of 6 (first: {min(left)})" in told
    assert "does not say what its splits are" in cli.refuses("score four.csv --name mine")
    save(predicted(5), Path("other.csv"))
    assert "is of no exported split" in cli.refuses("score other.csv --name mine --splits splits.parquet")


def test_an_unwritable_store_is_refused_before_anything_is_written(cli: Cli) -> None:
    Path("taken").write_text("a file where the folder should be")
    save(predicted(), Path("mine.csv"))
    assert "taken/store" in cli.refuses("score mine.csv --name mine --store taken/store")


def test_predictions_on_another_scene_of_the_name_are_refused(tmp_path: Path) -> None:
    labels = SCENE.labels.copy()
    labels[1, 1] = 1 - labels[1, 1]
    other = dataclasses.replace(SCENE, labels=labels)
    path = save(predicted(), tmp_path / "mine.csv")
    with pytest.raises(UserError, match=rf"hash {SCENE.hash}.*hash {other.hash}"):
        score_predictions(path, MINE, load=lambda _: other)
    assert split_id(other, SPEC, split_of(other, SPEC)) != split_id(SCENE, SPEC, split_of(SCENE, SPEC))
