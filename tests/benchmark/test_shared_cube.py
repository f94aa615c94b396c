"""A cube that processes share is in memory once, holds the same numbers, and what one writes no other sees."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark import Scene, fitting, plan_trial, run_trial
from benchmark.node_cache import forget, share_in
from benchmark.shared_cube import cube_of
from hsicl_core.rows import whole
from tests.scene_factory import tiny_scene
from tests.sweeps.sweep_factory import SPLIT

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def alone_again() -> Iterator[None]:
    yield
    share_in(None)


def large_scene() -> Scene:
    """Return a scene of 32 MB as float32, half of that as it is stored."""
    cube = np.random.default_rng(0).integers(0, 9, (200, 200, 200), dtype=np.int16)
    labels = np.zeros((200, 200), dtype=np.int64)
    labels[100:] = 1
    return Scene(name="large", cube=cube, labels=labels, class_names=("a", "b"))


def test_a_shared_cube_holds_the_numbers_of_a_private_one(tmp_path: Path) -> None:
    scene = tiny_scene()
    private = whole(cube_of(scene, CPU)).clone()
    share_in(tmp_path / "shared")
    shared = whole(cube_of(scene, CPU))
    assert [path.name for path in (tmp_path / "shared").iterdir()] == [f"{scene.hash}.float32"]
    assert torch.equal(shared, private)
    assert shared.dtype == torch.float32


def test_what_one_writes_no_other_sees(tmp_path: Path) -> None:
    scene = tiny_scene()
    share_in(tmp_path)
    first, second = whole(cube_of(scene, CPU)), whole(cube_of(scene, CPU))
    before = first.clone()
    first.fill_(999.0)
    assert torch.equal(second, before)
    assert torch.equal(whole(cube_of(scene, CPU)), before)


def _private_bytes() -> int:
    """Return the bytes of this process that no other process shares."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return sum(1024 * int(size) for size in re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", rollup, re.MULTILINE))


def _reading(folder: Path | None, scene: Scene, barrier: object, queue: object) -> None:
    share_in(folder)
    before = _private_bytes()
    cube = whole(cube_of(scene, CPU))
    total = sum(float(row.sum(dtype=torch.float64)) for row in cube)
    barrier.wait()  # type: ignore[attr-defined]
    queue.put((_private_bytes() - before, total))  # type: ignore[attr-defined]
    barrier.wait()  # type: ignore[attr-defined]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc")
@pytest.mark.parametrize("is_shared", [True, False])
def test_two_processes_hold_it_once(tmp_path: Path, is_shared: bool) -> None:
    context = multiprocessing.get_context("fork")
    scene, barrier, queue = large_scene(), context.Barrier(2), context.Queue()
    folder = tmp_path / "shared" if is_shared else None
    if is_shared:
        # What the writer needs for writing is not what this is about.
        share_in(folder)
        cube_of(scene, CPU)
    assert scene.hash
    readers = [context.Process(target=_reading, args=(folder, scene, barrier, queue)) for _ in range(2)]
    for reader in readers:
        reader.start()
    answers = [queue.get(timeout=60) for _ in readers]
    for reader in readers:
        reader.join()
    private = [taken for taken, _ in answers]
    assert {total for _, total in answers} == {float(scene.cube.sum(dtype=np.float64))}
    if is_shared:
        assert max(private) < 8e6
    else:
        assert min(private) > 30e6


def test_a_torn_file_is_written_anew_and_no_room_is_no_failure(tmp_path: Path) -> None:
    scene = tiny_scene()
    share_in(tmp_path)
    (tmp_path / f"{scene.hash}.float32").write_bytes(b"torn")
    expected = torch.from_numpy(scene.cube.astype(np.float32))
    assert torch.equal(whole(cube_of(scene, CPU)), expected)
    (tmp_path / "file").write_text("in the way")
    share_in(tmp_path / "file")
    assert torch.equal(whole(cube_of(scene, CPU)), expected)


def test_another_users_folder_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = tiny_scene()
    share_in(tmp_path)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert torch.equal(whole(cube_of(scene, CPU)), torch.from_numpy(scene.cube.astype(np.float32)))
    assert list(tmp_path.iterdir()) == []


def test_a_trial_has_the_same_numbers_shared_or_not(tmp_path: Path) -> None:
    scene = tiny_scene()
    trial = plan_trial(scene, method="raw_spectra", protocol="knn", split=SPLIT)
    private = run_trial(trial, scene, device="cpu")
    share_in(tmp_path)
    fitting._MEMO._results.clear()
    shared = run_trial(trial, scene, device="cpu")
    assert shared.confusion_test == private.confusion_test
    assert list(tmp_path.iterdir())
    forget(tmp_path)
    assert not tmp_path.exists()
