"""Hundreds of files that cannot be used: each ends in one line, status 2, quickly, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.scene_factory import tiny_scene

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 5
MOST_GROWTH_MB = 200
# Why some are refused: a library that stops by itself must not hide that a check has gone.
REASONS = {
    "npz_cases: bomb": "the file can hold",
    "npz_cases: bomb behind a small header": "does not end after the 3360 bytes",
    "mat5_cases: packed: bomb behind small sides": "a variable of 2880 values announces",
    "mat73_cases: bomb": "the file can hold",
    "mat73_cases: values in another file": "no array 'x'",
    "tiff_cases: bomb": "a compressed segment of",
    "_no_files: a pipe called .npy": "is not a regular file",
    "cube: transposed": "untransposed",
}

# One process for all cases: its peak memory is read after each, and what C libraries write to stderr counts too.
CHILD = """
import json, os, signal, sys, time
import hsicl
import benchmark.importing.scene_import
import h5py, matplotlib.figure, matplotlib.backends.backend_agg, scipy.io, tifffile, imagecodecs
from spectral.io import envi

folder, cases = sys.argv[1], json.load(open(sys.argv[2]))
log = os.path.join(folder, "stderr")
keep = os.dup(2)

def late(*_):
    raise TimeoutError("too late")

def memory(what):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(what))

def forget_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")

signal.signal(signal.SIGALRM, late)
results = []
for index, (case, cube, labels, more) in enumerate(cases):
    target = os.open(log, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.dup2(target, 2)
    forget_peak()
    before, start, status = memory("VmRSS"), time.monotonic(), "none"
    signal.alarm(10)
    try:
        status = hsicl.main(["scenes", "import", f"odd_{index}", "--cube", cube, "--labels", labels, "--yes", *more])
    except SystemExit as error:
        status = error.code
    except BaseException as error:
        status = repr(error)[:300]
    signal.alarm(0)
    sys.stderr.flush()
    os.dup2(keep, 2)
    os.close(target)
    spent, growth = time.monotonic() - start, memory("VmHWM") - before
    results.append([case, status, open(log, errors="replace").read(), spent, growth])
json.dump(results, open(os.path.join(folder, "results"), "w"))
"""


def run_cases(cases: list[tuple[str, str, str, list[str]]], folder: Path) -> list:
    work = folder / "work"
    work.mkdir()
    (folder / "cases").write_text(json.dumps(cases))
    # Quiet as for a user: warnings that Python shows by default would be lines of their own.
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), str(folder / "cases")], cwd=work, timeout=300,
        env={**os.environ, "HSICL_DATA": str(folder / "data"), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"the process died: {done.returncode} {done.stderr[-2000:]}"
    return json.loads((folder / "results").read_text())


def failures_of(results: list) -> list[str]:
    failures = []
    for case, status, text, seconds, growth in results:
        if status != 2:
            failures.append(f"{case}: status {status}")
        elif text.count("\n") != 1 or not text.startswith("hsicl: ") or "Traceback" in text:
            failures.append(f"{case}: not one line: {text[:500]!r}")
        if seconds > MOST_SECONDS:
            failures.append(f"{case}: {seconds:.1f} s")
        if growth > MOST_GROWTH_MB:
            failures.append(f"{case}: {growth:.0f} MB")
    return failures


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_every_damaged_file_ends_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    pytest.importorskip("imagecodecs")
    from tests.damaged_files import damaged_files

    files = tmp_path / "files"
    files.mkdir()
    cases = damaged_files(files, tiny_scene(height=20, width=24, bands=6))
    assert len(cases) > 300
    found = run_cases(cases, tmp_path)
    assert failures_of(found) == []
    texts = {case: text for case, _, text, *_ in found}
    assert {case: words for case, words in REASONS.items() if words not in texts[case]} == {}
    assert not (tmp_path / "data").exists()
    # No picture and no scratch file either.
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become someone else")
def test_a_file_of_someone_else_ends_in_one_line() -> None:
    from tests.scene_writers import write_npy

    # Not below pytest's own folder, into which nobody may look.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        cube, labels = write_npy(tiny_scene(height=20, width=24, bands=6), folder)
        Path(cube).chmod(0o600)
        code = (
            "import os, sys, hsicl, benchmark.importing.scene_import\n"
            "os.seteuid(65534)\n"
            "sys.exit(hsicl.main(['scenes', 'import', 'odd', '--cube', sys.argv[1], '--labels', sys.argv[2]]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, cube, labels], cwd=folder, capture_output=True, text=True, timeout=60,
            env={**os.environ, "HSICL_DATA": str(folder / "data"), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1
        assert "Permission denied" in done.stderr
        assert not (folder / "data").exists()
