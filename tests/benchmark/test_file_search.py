"""Finding files by name, and knowing them by their digests."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmark.files import file_search
from benchmark.files.file_identity import digests
from benchmark.files.file_search import MOST_LEVELS, FileSearch


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def found(root: Path, name: str) -> list[str]:
    return [path.relative_to(root).as_posix() for path in FileSearch(root).named(name)]


def test_exact_names_come_first_then_the_least_deep(tmp_path: Path) -> None:
    make(tmp_path, "a/b/PaviaU.mat", "z/PaviaU.mat", "PAVIAU.MAT", "y/paviau.mat", "PaviaU.mat.part", "a/other.mat")
    assert found(tmp_path, "PaviaU.mat") == ["z/PaviaU.mat", "a/b/PaviaU.mat", "PAVIAU.MAT", "y/paviau.mat"]
    assert found(tmp_path, "nothing.mat") == []


def test_imported_and_hidden_folders_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "imported/mine/cube.npy", ".cache/cube.npy", "a/.git/cube.npy", "a/imported/cube.npy")
    assert found(tmp_path, "cube.npy") == ["a/imported/cube.npy"]


def test_the_search_ends_where_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deepest = "/".join("d" * MOST_LEVELS)
    make(tmp_path, f"{deepest}/x.mat", f"{deepest}/d/x.mat")
    assert found(tmp_path, "x.mat") == [f"{deepest}/x.mat"]
    monkeypatch.setattr(file_search, "MOST_ENTRIES", 2)
    assert found(tmp_path, "x.mat") == []


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    make(tmp_path, "disk/cubes/x.mat", "root/y.mat")
    (tmp_path / "root" / "cubes").symlink_to(tmp_path / "disk" / "cubes")
    (tmp_path / "root" / "again").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "link.mat").symlink_to(tmp_path / "root" / "y.mat")
    (tmp_path / "root" / "broken.mat").symlink_to(tmp_path / "nowhere")
    root = tmp_path / "root"
    assert found(root, "x.mat") == ["cubes/x.mat"]
    assert found(root, "y.mat") == ["y.mat"]
    assert found(root, "link.mat") == ["link.mat"]
    assert found(root, "broken.mat") == []


def test_a_root_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert found(tmp_path / "no", "x.mat") == []
    make(tmp_path, "file")
    assert found(tmp_path / "file", "x.mat") == []


def test_digests_are_those_of_others(tmp_path: Path) -> None:
    for content in (b"", b"x", os.urandom(3 * 2**20 + 7)):
        path = tmp_path / f"{len(content)}.bin"
        path.write_bytes(content)
        assert digests(path).sha256 == hashlib.sha256(content).hexdigest()
        if shutil.which("git"):
            done = subprocess.run(["git", "hash-object", "--no-filters", path], capture_output=True, text=True)
            assert digests(path).git_blob == done.stdout.strip()


def test_digests_are_computed_once_per_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"one")
    first = digests(path)
    # Not opened again: a file that may not be read would say so.
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", None)
        assert digests(tmp_path / "." / "x.bin") == first
    path.write_bytes(b"two")
    os.utime(path, ns=(0, 1))
    assert digests(path).sha256 == hashlib.sha256(b"two").hexdigest()
