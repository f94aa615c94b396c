"""``hsicl store``: what a user types, what the terminal shows, and the exit status."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import hsicl
from results import open_store
from tests.record_factory import make_record
from tests.results.test_verify import true_record

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    """Two stores, a and b: one trial each of its own, one that both have, one that failed in a only."""
    for name, seeds in (("a", (0, 1, 2)), ("b", (1, 2, 3))):
        for seed in seeds:
            status = "failed" if (name, seed) == ("a", 2) else "ok"
            open_store(tmp_path / name).write(true_record(seed=seed, status=status, host=name))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    try:
        status = hsicl.main(["store", *map(str, arguments)])
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    return status, *capsys.readouterr()


def test_merge(stores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = f"4 trials %sadded, 0 failed ones %sreplaced, 0 there already, 0 in conflict; store: {stores}/all\n"
    arguments = ("merge", stores / "all", stores / "a", stores / "b")
    assert run(capsys, *arguments, "--dry-run") == (0, told % (("would be ",) * 2), "")
    assert not (stores / "all").exists()
    assert run(capsys, *arguments) == (0, told % ("", ""), "")
    assert len(open_store(stores / "all").finished_ids()) == 4
    status, out, _ = run(capsys, "merge", stores / "a", stores / "b")
    assert (status, out.partition(" in")[0]) == (0, "1 trials added, 1 failed ones replaced, 1 there already, 0")


def test_a_conflict_is_listed_and_left(stores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = dataclasses.replace(true_record(seed=1), confusion_test=[[60, 40], [40, 60]])
    open_store(stores / "b").write(other)
    file = stores / "a" / f"{other.trial_id}.parquet"
    before = file.read_bytes()
    status, out, err = run(capsys, "merge", stores / "a", stores / "b")
    assert status == 1
    assert out.startswith("1 trials added, 1 failed ones replaced, 0 there already, 1 in conflict")
    first, last = err.splitlines()
    assert first.startswith(f"hsicl: conflict: {other.trial_id} ({stores}/a | {stores}/b) confusion_test: OA 0.5000 | ")
    assert "find out which is right" in last
    assert file.read_bytes() == before


def test_verify_says_what_is_wrong_and_what_helps(stores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "verify", stores / "a", stores / "b")
    lines = [f"nothing wrong in 3 rows of 3 files; store: {stores / name}" for name in ("a", "b")]
    assert (status, out.splitlines()) == (0, lines)
    # A folder of stores is looked through.
    assert run(capsys, "verify", stores)[:2] == (status, out)
    open_store(stores / "a").write(make_record(n_val=200, seed=1, trial_id="0123456789abcdef"))
    torn = next((stores / "b").iterdir())
    torn.write_bytes(b"half")
    status, out, _ = run(capsys, "verify", stores)
    assert status == 1
    assert "wrong  0123456789abcdef.parquet, trial 0123456789abcdef: trial_id is 0123456789abcdef, its columns" in out
    assert f"wrong  {torn.name}: {torn} is not a whole Parquet file" in out
    assert out.count("delete it and rerun the sweep\n") == 1


def test_many_findings_of_a_kind_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(15):
        open_store(tmp_path).write(dataclasses.replace(true_record(seed=seed), n_val=1))
    status, out, _ = run(capsys, "verify", tmp_path)
    assert status == 1
    assert len(out.splitlines()) == 12
    assert "... and 5 more: delete the row's file and rerun the sweep" in out


def test_compact_in_place_and_to_release(stores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = open_store(stores / "a").read()
    assert run(capsys, "compact", stores / "a", stores / "out") == (0, f"3 rows written to {stores}/out\n", "")
    assert open_store(stores / "out").read().column("host").to_pylist() == [None] * 3
    told = f"3 rows in one file, 3 files deleted; store: {stores}/a\n"
    assert run(capsys, "compact", stores / "a") == (0, told, "")
    assert open_store(stores / "a").read().equals(rows)


def test_export(stores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = stores / "table.csv"
    assert run(capsys, "export", stores / "a", file) == (0, f"3 rows written to {file}\n", "")
    assert pd.read_csv(file)["OA"].tolist()[:1] == [0.5]
    for seed in (7, 8):
        open_store(stores / "a").write(true_record(seed=seed, purpose="search", confusion_test=None))
    told = f"5 rows written to {file}, 2 of them of searches: purpose 'search', validation only, no part of a mean\n"
    assert run(capsys, "export", stores / "a", file) == (0, told, "")
    assert pd.read_csv(file)["purpose"].tolist().count("search") == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["merge", "a", "a"], "is TARGET and SOURCE"),
        (["merge", "a", "nowhere"], "does not exist"),
        (["merge", "a"], "the following arguments are required: SOURCE"),
        (["compact", "nowhere"], "does not exist"),
        (["compact", "a", "b"], "holds files besides compacted.parquet"),
        (["verify", "nowhere"], "does not exist"),
        (["verify", "ftp3://x/y"], "ftp3): write a folder, s3:// or gs://"),
        (["export", "a", "table.xlsx"], "must end with .csv, .parquet, .json"),
        (["export", "nowhere", "table.csv"], "does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_users_errors_are_one_line(
    stores: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(stores)
    before = sorted(path.as_posix() for path in stores.rglob("*"))
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("hsicl: ")
    assert told in err
    assert len(err.splitlines()) == 1
    assert sorted(path.as_posix() for path in stores.rglob("*")) == before


def test_help_loads_no_arrow() -> None:
    code = (
        "import sys, hsicl\ntry:\n    hsicl.main(['store', 'compact', '--help'])\nexcept SystemExit:\n    pass\n"
        "print(*sorted({'pyarrow', 'numpy', 'torch', 'ray'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "does not name the machines" in " ".join(done.stdout.split())
    assert done.stderr.split() == []


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    open_store(tmp_path).write(true_record())
    command = f"{sys.executable} hsicl.py store verify {tmp_path} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0\n", "")
