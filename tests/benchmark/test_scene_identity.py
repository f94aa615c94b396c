"""The same pixels are the same scene, in whatever format, order, type and form of labels they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.files import envi_files, matlab_files, numpy_files, stored_array, tiff_files
from benchmark.importing.scene_import import import_scene
from benchmark.importing.scene_reading import ReadOptions, read_scene
from benchmark.scene import Scene
from benchmark.scene_files import load_scene
from tests.scene_factory import tiny_scene
from tests.scene_writers import CUBES, LABELS, raw_labels, write_mat73

DTYPES = ("uint16", "int32", "float32", ">u2")


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A scene of whole numbers, its classes called as those of a file without names."""
    tiny = tiny_scene(height=20, width=24, bands=6)
    cube = np.round(tiny.cube * 1000).clip(0).astype(np.uint16)
    return Scene("whole", cube, tiny.labels, ("class 1", "class 2", "class 3", "class 4"))


@pytest.fixture(params=["read", "mapped"])
def mapping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of reading: as for small files, and as for files larger than memory."""
    if request.param == "mapped":
        for module in (stored_array, numpy_files, matlab_files, envi_files, tiff_files):
            monkeypatch.setattr(module, "MAPPED_ABOVE_BYTES", 0, raising=False)
    return request.param


@pytest.mark.parametrize("way", CUBES)
def test_every_way_to_store_a_cube_gives_the_same_scene(way: str, mapping: str, scene: Scene, tmp_path: Path) -> None:
    for dtype in DTYPES:
        if dtype.startswith(">") and not way.startswith("npy"):
            continue
        folder = tmp_path / dtype
        folder.mkdir()
        source, options = CUBES[way](scene.cube.astype(dtype), folder)
        loaded = load_scene(source, raw_labels(scene), **options)
        assert loaded.cube.shape == scene.cube.shape
        assert np.array_equal(loaded.cube, scene.cube)
        assert loaded.hash == scene.hash


def test_large_files_are_mapped_and_not_read(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_array, "MAPPED_ABOVE_BYTES", 0)
    for module in (numpy_files, matlab_files, envi_files, tiff_files):
        monkeypatch.setattr(module, "MAPPED_ABOVE_BYTES", 0, raising=False)
    for way in ("npy", "npz, compressed", "mat 7.3", "mat 7.3, compressed chunks", "envi bsq", "tiff, planar",
                "tiff, planar tiles, deflate, BigTIFF"):  # fmt: skip
        folder = tmp_path / way
        folder.mkdir()
        source, options = CUBES[way](scene.cube, folder)
        cube = load_scene(source, raw_labels(scene), **options).cube
        base = cube
        while base is not None and not isinstance(base, np.memmap):
            base = base.base
        assert isinstance(base, np.memmap), way


@pytest.mark.parametrize("way", LABELS)
def test_every_form_of_labels_gives_the_same_scene(way: str, scene: Scene, tmp_path: Path) -> None:
    form, arrange, order = LABELS[way]
    np.save(tmp_path / "cube.npy", scene.cube)
    np.save(tmp_path / "labels.npy", arrange(scene.labels))
    for asked in ("auto", form):
        found = read_scene(tmp_path / "cube.npy", tmp_path / "labels.npy", ReadOptions(order=order, labels_are=asked))
        assert found.label_form == form
        assert found.scene.hash == scene.hash
        assert ("LABELS ARE DERIVED" in found.scene.provenance) == (form == "abundances")


@pytest.mark.parametrize(
    "way", ["npy, bands first", "npy, bands pixels, columns", "envi bsq", "mat 7.3", "tiff, planar"]
)
def test_an_imported_scene_is_the_same_scene(way: str, scene: Scene, tmp_path: Path) -> None:
    source, options = CUBES[way](scene.cube, tmp_path)
    import_scene("mine", source, raw_labels(scene), data_root=tmp_path / "root", **options)
    loaded = load_scene("mine", root=tmp_path / "root")
    assert loaded.hash == scene.hash
    assert np.array_equal(loaded.cube, scene.cube)
    assert np.array_equal(loaded.labels, scene.labels)


def test_a_mask_is_outside_and_inside(scene: Scene, tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", scene.cube)
    inside = scene.labels == 2
    for mask in (inside, np.asfortranarray(inside), inside.ravel()):
        np.save(tmp_path / "mask.npy", mask)
        loaded = load_scene(tmp_path / "cube.npy", tmp_path / "mask.npy")
        assert loaded.class_names == ("outside", "inside")
        assert np.array_equal(loaded.labels == 1, inside)
    np.save(tmp_path / "mask.npy", np.where(inside, 255, 0))
    assert load_scene(tmp_path / "cube.npy", tmp_path / "mask.npy", labels_are="mask").class_counts[1] == inside.sum()
    source, _ = write_mat73(Scene("m", scene.cube, scene.labels, scene.class_names), tmp_path)
    h5py = pytest.importorskip("h5py")
    with h5py.File(source, "r+") as file:
        file["logical"] = inside.T.astype(np.uint8)
        file["logical"].attrs["MATLAB_class"] = np.bytes_("logical")
    assert load_scene(f"{source}:x", f"{source}:logical").class_names == ("outside", "inside")
