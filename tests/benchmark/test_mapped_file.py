"""A scene goes to other processes whole, or, where it is larger than memory, as the place of its file."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from benchmark import Scene
from benchmark.files.mapped_file import MappedFile
from hsicl_core.errors import SceneNotFoundError

SHAPE = (300, 200, 10)


@pytest.fixture
def cube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.memmap:
    """A cube of 1.2 MB in a file, with 1 MiB as the limit of memory."""
    monkeypatch.setenv("HSICL_RESIDENT_MIB", "1")
    np.save(tmp_path / "cube.npy", np.random.default_rng(0).integers(0, 1000, SHAPE).astype(">u2"))
    return np.load(tmp_path / "cube.npy", mmap_mode="r")


def scene(cube: np.ndarray) -> Scene:
    labels = np.arange(cube.shape[0] * cube.shape[1]).reshape(cube.shape[:2]) % 2
    return Scene("mapped", cube, labels, ("even", "odd"))


def test_a_large_mapped_cube_is_not_copied(cube: np.memmap) -> None:
    first = scene(cube)
    sent = pickle.dumps(first)
    assert len(sent) < first.labels.nbytes + 10_000
    again = pickle.loads(sent)
    assert isinstance(again.cube, np.memmap)
    assert not again.cube.flags.writeable
    assert np.array_equal(again.cube, cube)
    assert again.hash == first.hash
    assert again.cube.dtype == cube.dtype


def test_views_arrays_and_small_maps_are_copied(
    cube: np.memmap, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    np.save(tmp_path / "columns.npy", np.asfortranarray(cube))
    in_columns = np.load(tmp_path / "columns.npy", mmap_mode="r")
    for view in (cube[::2], cube[:, ::-1], np.array(cube), cube.transpose(1, 0, 2), in_columns):
        assert MappedFile.of(view) is None
        assert np.array_equal(pickle.loads(pickle.dumps(scene(view))).cube, view)
    monkeypatch.setenv("HSICL_RESIDENT_MIB", "2")
    assert MappedFile.of(cube) is None
    assert np.array_equal(pickle.loads(pickle.dumps(scene(cube))).cube, cube)


def test_a_file_that_is_not_there_is_named(cube: np.memmap) -> None:
    sent = pickle.dumps(scene(cube))
    Path(str(cube.filename)).unlink()
    with pytest.raises(SceneNotFoundError, match=r"no file .*cube\.npy on this machine.*same path") as caught:
        pickle.loads(sent)
    assert "\n" not in str(caught.value)
