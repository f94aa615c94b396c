"""The command line: what a user types wrong ends in one line, status 2 and nothing half-written."""

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hsicl
from tests.scene_factory import tiny_scene

ROOT = Path(__file__).parent.parent


@pytest.fixture
def field(tmp_path, monkeypatch):
    """An imported scene called 'field', a data root of its own and a working folder of its own."""
    monkeypatch.setenv("HSICL_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    scene = tiny_scene()
    np.save(tmp_path / "cube.npy", scene.cube)
    np.save(tmp_path / "gt.npy", scene.labels + 1)
    assert hsicl.main(["scenes", "import", "field", "--cube", "cube.npy", "--labels", "gt.npy"]) == 0
    return tmp_path


def _files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("sweep smok", ["'smok'", "'smoke'"]),
        ("sweep smoke --scene feild", ["'feild'", "'field'"]),
        ("sweep smoke --scene field --axis temprature=1", ["'temprature'", "'temperature'"]),
        ("sweep smoke --scene field --axis temperature=0", ["temperature=0.0", "> 0"]),
        ("sweep smoke --scene field --axis temperature=warm", ["'warm'", "number"]),
        ("sweep smoke --scene field --axis hard_fraction=1.5", ["hard_fraction=1.5", "<= 1"]),
        ("sweep smoke --scene field --axis temperature", ["temperature", "NAME=VALUE"]),
        ("sweep smoke --scene field --seeds 0", ["0", ">= 1"]),
        ("sweep smoke --scene field --executor rayy", ["'rayy'", "'ray'"]),
        ("sweep smoke --scene field --search annealing", ["annealing", "optuna"]),
        ("sweep smoke --scene field --executor loop --device tpu", ["'tpu'", "cuda"]),
        ("bench --scene field --labels-per-class 5000", ["5000", "use at most"]),
        ("bench --scene field --labels-per-class 0", ["labels_per_class", "0"]),
        ("bench --scene field --method svmm", ["'svmm'", "unknown method"]),
        ("bench --scene field --kind classic", ["'classic'", "classical"]),
        ("bench --scene field --method raw_spectra --configs 0", ["n_configs", "0"]),
        ("bench --scene field --method raw_spectra --repeats 1000", ["n_repeats", "999"]),
        ("bench --scene field --set steps=x", ["'x'", "integer"]),
        ("bench --scene field --set stepz=3", ["'stepz'", "'steps'"]),
        ("bench --scene field --patch-size 4", ["patch_size", "odd"]),
        ("bench --scene field --rule blocks", ["'blocks'", "'block'"]),
        ("leaderboard --store nowhere", ["'nowhere'", "does not exist"]),
        ("report --store nowhere --out out", ["'nowhere'", "does not exist"]),
        ("scenes show nothing.npy", ["nothing.npy"]),
        ("scenes fetch nothing", ["'nothing'"]),
        ("scenes import field --cube cube.npy --labels gt.npy", ["'field'", "taken"]),
        ("scenes import other --cube gt.npy --labels gt.npy", ["gt.npy", "shape"]),
        ("scenes import other --cube nan.npy --labels gt.npy", ["NaN"]),
        ("scenes import other --cube cube.npy --labels gt.npy --labels-are maps", ["'maps'", "one_hot"]),
        ("scenes import other --cube cube.npy --labels gt.npy --class-names a,b", ["2 class names for 4"]),
        ("scenes import other --cube cube.npy --labels gt.npy --class-names no.txt", ["no.txt", "one name per line"]),
        ("scenes import other --cube cube.npy --labels gt.npy --quick-look no/look.png", ["no/look.png"]),
        ("map field --method raw_spectra --set steps=3", ["'steps'", "unknown parameter"]),
    ],
)
def test_a_users_error_is_one_line_and_status_2(field, capsys, command, words):
    cube = np.load(field / "cube.npy").astype(np.float32)
    cube[3, 4, 5] = np.nan
    np.save(field / "nan.npy", cube)
    capsys.readouterr()
    before = _files(field)
    status = hsicl.main(shlex.split(command))
    output = capsys.readouterr()
    assert status == 2
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert output.err.startswith("hsicl: ")
    for word in words:
        assert word in output.err
    assert _files(field) == before


class _Terminal(io.StringIO):
    def isatty(self):
        return True


IMPORT = ["scenes", "import", "other", "--cube", "cube.npy", "--labels", "gt.npy"]


def test_an_import_shows_what_it_understood_and_leaves_a_picture(field, capsys):
    (field / "names.txt").write_text("oak\nash\nelm\nyew\n", encoding="utf-8")
    capsys.readouterr()
    assert hsicl.main([*IMPORT, "--class-names", "names.txt", "--quick-look", "look.png"]) == 0
    text = capsys.readouterr().out
    for words in ("40 x 48 pixels, 12 bands", "rows, columns, bands", "read as map", "360  ash", "SHA-256"):
        assert words in text
    assert text.splitlines()[-1].startswith(f"written: {field / 'data' / 'imported' / 'other' / 'scene.json'}")
    assert (field / "look.png").read_bytes().startswith(b"\x89PNG")


def test_a_dry_run_imports_nothing(field, capsys):
    before = _files(field / "data")
    assert hsicl.main([*IMPORT, "--dry-run"]) == 0
    assert "nothing is written" in capsys.readouterr().out
    assert _files(field / "data") == before
    assert (field / "other_quick_look.png").is_file()


@pytest.mark.parametrize(("answer", "is_written"), [("\n", True), ("y\n", True), ("n\n", False), ("", False)])
def test_on_a_terminal_it_asks(field, capsys, monkeypatch, answer, is_written):
    monkeypatch.setattr(sys, "stdin", _Terminal(answer))
    capsys.readouterr()
    assert hsicl.main(IMPORT) == 0
    text = capsys.readouterr().out
    assert text.index("read as map") < text.index("write? [Y/n]")
    assert (field / "data" / "imported" / "other" / "scene.json").is_file() == is_written


def test_an_import_outlives_the_reader_of_its_output(field):
    command = f"{shlex.join([sys.executable, str(ROOT / 'hsicl.py'), *IMPORT])} | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert (field / "data" / "imported" / "other" / "scene.json").is_file()


def test_on_a_terminal_yes_does_not_ask(field, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", _Terminal("n\n"))
    assert hsicl.main([*IMPORT, "--yes"]) == 0
    assert "write?" not in capsys.readouterr().out


def test_an_unwritable_store_is_refused_before_anything_runs(field, capsys):
    (field / "taken").write_text("a file where the folder should be")
    status = hsicl.main(
        shlex.split("bench --scene field --method raw_spectra --protocol knn --executor loop --store taken/store")
    )
    error = capsys.readouterr().err
    assert status == 2
    assert "taken/store" in error
    assert error.count("\n") == 1


def test_bench_leaderboard_report_and_map(field, capsys):
    bench = (
        "bench --scene field --executor loop --protocol linear --method raw_spectra --method nt_xent --repeats 2 "
        "--set steps=2 --set batch_size=16 --set n_components=8 --labels-per-class 3 --store store"
    )
    assert hsicl.main(shlex.split(bench)) == 0
    assert "4 trials planned, 0 finished before, 4 ok, 0 failed" in capsys.readouterr().out
    assert hsicl.main(shlex.split(bench)) == 0
    assert "4 trials planned, 4 finished before, 0 ok, 0 failed" in capsys.readouterr().out
    assert hsicl.main(["leaderboard", "--store", "store"]) == 0
    table = capsys.readouterr().out
    assert "nt_xent" in table
    assert "raw_spectra" in table
    assert hsicl.main(["report", "--store", "store", "--out", "page"]) == 0
    assert Path(capsys.readouterr().out.strip()).name == "index.html"
    assert hsicl.main(shlex.split("map field --method raw_spectra --protocol knn --labels-per-class 3")) == 0
    assert (field / "field_raw_spectra.png").read_bytes().startswith(b"\x89PNG")


def test_a_failing_trial_gives_status_1(field, capsys):
    # More components than the scene's 12 bands: only the fit can know.
    command = (
        "bench --scene field --executor loop --protocol knn --method nt_xent --repeats 1 --set n_components=50 "
        "--labels-per-class 3 --store store"
    )
    assert hsicl.main(shlex.split(command)) == 1
    output = capsys.readouterr()
    assert "1 failed" in output.out
    assert "n_components=50" in output.err


def test_a_dry_run_writes_nothing(field, capsys):
    before = _files(field)
    assert hsicl.main(shlex.split("sweep smoke --scene field --dry-run --axis n_components=8")) == 0
    assert "mined_negatives" in capsys.readouterr().out
    assert _files(field) == before


def test_help_loads_no_room():
    code = (
        "import sys, hsicl\n"
        "try:\n    hsicl.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "loaded = {'torch', 'ray', 'pandas', 'numpy', 'pyarrow', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "scenes list",
        f"store verify {ROOT}/results/released/leaderboard",
        f"doctor --cluster {ROOT}/sweeps/clusters/kuberay.yaml --store store",
    ],
)
def test_a_reader_that_goes_away_is_no_error(field, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = f"{shlex.quote(sys.executable)} {ROOT / 'hsicl.py'} {arguments} | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, env={**os.environ})
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_every_command_in_the_readme_is_understood():
    parser = hsicl._parser()
    lines = [line.split("#")[0].strip() for line in (ROOT / "README.md").read_text().splitlines()]
    commands = [line.partition("hsicl ")[2] for line in lines if line.startswith(("hsicl ", ".venv/bin/hsicl "))]
    assert len(commands) >= 8
    for command in commands:
        parser.parse_args(shlex.split(command))
