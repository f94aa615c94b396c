"""What docs/own_method.md tells a user to do works as it stands there."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import benchmark.methods
import hsicl
from benchmark import METHODS, SplitSpec, plan_trial, run_trial
from benchmark.methods_readme import described
from results import open_store
from sweeps.bench import lines_of
from tests.contracts import test_methods
from tests.scene_factory import tiny_scene
from tests.test_one_file import contract_of

PAGE = (Path(__file__).resolve().parents[2] / "docs/own_method.md").read_text(encoding="utf-8")
NAME = "my_method"


def block(language: str, words: str) -> str:
    """Return the one block of code of the page that holds some words."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL) if words in text]
    return str(found)


def commands(words: str) -> list[str]:
    """Return the lines of the page to type into a terminal that start with some words."""
    return [line.strip() for line in PAGE.splitlines() if line.startswith(f"    {words}")]


METHOD = block("python", "class ")


@pytest.fixture
def in_the_folder(tmp_path: Path) -> Iterator[None]:
    """The method as a file of the folder of methods."""
    (tmp_path / f"{NAME}.py").write_text(METHOD)
    package = benchmark.methods
    package.__path__.append(str(tmp_path))
    importlib.invalidate_caches()
    yield
    package.__path__.remove(str(tmp_path))
    sys.modules.pop(f"{package.__name__}.{NAME}", None)
    vars(package).pop(NAME, None)


@pytest.fixture
def in_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The method in a package, installed as pip installs it: a module, and its metadata beside it."""
    project = tomllib.loads(block("toml", "entry-points"))["project"]
    ((group, points),) = project["entry-points"].items()
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *(f"{k} = {v}" for k, v in points.items())]))
    (module,) = {value.partition(":")[0] for value in points.values()}
    (tmp_path / f"{module}.py").write_text(METHOD)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop(module, None)


@pytest.fixture
def field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An imported scene, a data root and a working folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.setenv("HSICL_DATA", str(folder / "data"))
    monkeypatch.chdir(folder)
    scene = tiny_scene()
    np.save("cube.npy", scene.cube)
    np.save("gt.npy", scene.labels + 1)
    assert hsicl.main(["scenes", "import", "field", "--cube", "cube.npy", "--labels", "gt.npy"]) == 0


def test_the_example_is_short() -> None:
    assert len([line for line in METHOD.splitlines() if line]) <= 20


@pytest.mark.usefixtures("in_the_folder")
def test_the_example_fulfils_the_contract() -> None:
    assert NAME in METHODS.names()
    calls = contract_of(test_methods)
    assert len(calls) >= 10
    # The suite asks this of files of the repository only.
    facts = described(METHODS.get(NAME))
    assert set(facts) == {"", "Source", "Differs", "Cost"}
    assert all(facts.values())
    for test, case in calls:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(test_methods.fitting, "_MEMO", test_methods.Memo(size=16))
            test(name=NAME, **case)


@pytest.mark.parametrize("home", ["in_the_folder", "in_a_package"])
def test_the_example_is_planned_run_and_tuned_from_a_file_and_from_a_package(
    home: str, request: pytest.FixtureRequest
) -> None:
    assert NAME not in METHODS.names()
    request.getfixturevalue(home)
    assert NAME in METHODS.names()
    scene = tiny_scene()
    split = SplitSpec(rule="random", labels_per_class=3, val_per_class=3, patch_size=5)
    record = run_trial(plan_trial(scene, method=NAME, protocol="knn", split=split), scene)
    assert record.status == "ok", record.error
    plain = run_trial(plan_trial(scene, method="raw_spectra", protocol="knn", split=split), scene)
    # Neighbours on a field are of one class: the mean over them is less noisy.
    assert np.trace(record.confusion_test) > np.trace(plain.confusion_test)
    (line,) = lines_of(["tiny"], [split], methods=[NAME])
    assert sorted(params.get("window", 3) for params in line.candidates(9)) == [1, 3, 5]


def run(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a line of the page, on the scene 'field', and return what it prints."""
    capsys.readouterr()
    assert hsicl.main(shlex.split(line.removeprefix("hsicl ").replace("indian_pines", "field"))) == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("field")
@pytest.mark.parametrize(("home", "which"), [("in_the_folder", 0), ("in_a_package", 1)])
def test_the_commands_run_it_from_a_file_and_from_a_package(
    home: str, which: int, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    request.getfixturevalue(home)
    line = commands("hsicl bench --method")[which]
    run(f"{line} --scene field --executor loop --repeats 2 --labels-per-class 3 --configs 2", capsys)
    assert NAME in run(commands("hsicl leaderboard")[0], capsys)
    statuses = {(row["method"], row["status"]) for row in open_store("results/runs/bench").read().to_pylist()}
    assert statuses == {(NAME, "ok")}


@pytest.mark.usefixtures("in_the_folder", "field")
def test_the_commands_for_predictions_lead_to_the_leaderboard(capsys: pytest.CaptureFixture[str]) -> None:
    (export,), (score,) = commands("hsicl bench export-splits"), commands("hsicl bench score")
    run(export, capsys)
    script = block("python", "splits.parquet")
    exec(compile(script.replace("indian_pines", "field"), "predict.py", "exec"), {})
    assert "trials written: 5, of these replaced: 0" in run(score, capsys)
    assert "trials written: 5, of these replaced: 5" in run(score, capsys)
    rows = open_store("results/runs/bench").read().to_pylist()
    assert {(row["method"], row["protocol"], row["split_rule"], row["labels_per_class"]) for row in rows} == {
        ("my_knn", "predictions", "block", 10)
    }
    for row in rows:
        assert np.trace(row["confusion_test"]) > 0.4 * np.sum(row["confusion_test"])
    table = run(commands("hsicl leaderboard")[1], capsys)
    (line,) = [line for line in table.splitlines() if line.split()[1:3] == ["my_knn", "predictions"]]
    assert "withheld" not in line
    run("hsicl report --store results/runs/bench --out page", capsys)
    csv = Path("page/leaderboard.csv").read_text(encoding="utf-8")
    assert ",my_knn,predictions," in csv


@pytest.mark.usefixtures("field")
def test_the_exported_splits_are_those_of_the_bench(capsys: pytest.CaptureFixture[str]) -> None:
    options = "--scene field --labels-per-class 3 --rule random --repeats 2"
    run(f"hsicl bench --method raw_spectra --protocol knn --executor loop {options}", capsys)
    run(f"hsicl bench export-splits {options}", capsys)
    table = pd.read_parquet("splits.parquet")
    truth = tiny_scene().labels.reshape(-1)
    table.assign(prediction=truth[table.pixel]).to_csv("predictions.csv", index=False)
    # One line: nothing that the other entrant has is lacking.
    assert run("hsicl bench score predictions.csv --name perfect", capsys).count("\n") == 1
    rows = open_store("results/runs/bench").read().to_pylist()
    assert {(row["method"], row["split_index"], row["seed"]) for row in rows} == {
        (name, index, index) for name in ("raw_spectra", "perfect") for index in (0, 1)
    }
    for row in rows:
        same = [other for other in rows if other["split_index"] == row["split_index"]]
        assert {str(np.sum(other["confusion_test"], axis=1)) for other in same} == {
            str(np.sum(row["confusion_test"], axis=1))
        }
        if row["method"] == "perfect":
            assert np.trace(row["confusion_test"]) == np.sum(row["confusion_test"])


def test_every_option_that_the_page_names_is_one_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for command in ("bench export-splits", "bench score", "bench", "leaderboard"):
        with pytest.raises(SystemExit):
            hsicl.main([*command.split(), "--help"])
        texts.append(capsys.readouterr().out)
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE))
    assert len(named) >= 12
    assert {option for option in named if not any(option in text for text in texts)} == set()
