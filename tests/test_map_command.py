"""``hsicl map``: one picture, and files that other programs can open where the scene says where it lies."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

import hsicl
from benchmark import mapping
from benchmark.trial import Trial
from report.palette import class_colours
from tests.scene_factory import tiny_scene

rasterio = pytest.importorskip("rasterio")
PLACE = {"crs": rasterio.CRS.from_epsg(32616), "transform": rasterio.Affine(20, 0, 492640, 0, -20, 4476100)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A working folder with the imported scenes ``plain`` and, georeferenced as GeoTIFF, ``placed``."""
    monkeypatch.setenv("HSICL_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    scene = tiny_scene()
    height, width, bands = scene.cube.shape
    with rasterio.open(
        "cube.tif", "w", driver="GTiff", height=height, width=width, count=bands, dtype="float32", **PLACE
    ) as file:
        file.write(np.moveaxis(scene.cube, -1, 0))
    np.save("cube.npy", scene.cube)
    np.save("gt.npy", scene.labels + 1)
    for name, cube in (("plain", "cube.npy"), ("placed", "cube.tif")):
        assert hsicl.main(["scenes", "import", name, "--cube", cube, "--labels", "gt.npy"]) == 0
    capsys.readouterr()
    return tmp_path


def run(command: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert hsicl.main(shlex.split(f"map {command} --method raw_spectra --labels-per-class 3")) == 0
    return capsys.readouterr().out.splitlines()


def test_a_scene_without_a_place_gives_a_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plain", capsys) == ["plain_raw_spectra.png"]
    assert (folder / "plain_raw_spectra.png").read_bytes().startswith(b"\x89PNG")
    assert not list(folder.glob("plain_raw_spectra_*"))


def test_a_georeferenced_scene_gives_a_map_beside_its_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "cube.tif").read_bytes()
    # The picture is called like the cube, which must survive that.
    assert run("placed --out cube.svg", capsys) == ["cube.svg", "cube_map.tif", "cube_map_confidence.tif"]
    assert (folder / "cube.tif").read_bytes() == before
    assert "placed: raw_spectra, linear, split block 0, 3 labels per class" in (folder / "cube.svg").read_text()
    with rasterio.open("cube_map.tif") as file:
        assert (file.crs, file.transform) == (PLACE["crs"], PLACE["transform"])
        ids = file.read(1)
        colours = {index: "#{:02x}{:02x}{:02x}".format(*file.colormap(1)[index]) for index in range(1, 5)}
    assert colours == dict(enumerate(class_colours(4), start=1))
    assert sorted(np.unique(ids)) == [1, 2, 3, 4]
    # Better than chance shows that rows and columns are where they belong.
    labels = tiny_scene().labels
    assert (ids - 1 == labels)[labels >= 0].mean() > 0.5
    with rasterio.open("cube_map_confidence.tif") as file:
        confidence = file.read(1)
    assert confidence.shape == ids.shape
    assert 0 <= confidence.min() < confidence.max() <= 1


def test_the_same_classes_in_every_format(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plain --data m.npy", capsys)[1:] == ["m.npy", "m_confidence.npy"]
    assert run("plain --data m.hdr", capsys)[1:] == ["m.hdr", "m_confidence.hdr"]
    assert run("placed --data m.tif", capsys)[1:] == ["m.tif", "m_confidence.tif"]
    ids = np.load("m.npy")
    with rasterio.open("m.tif") as file:
        assert np.array_equal(file.read(1), ids)
    assert np.array_equal(np.fromfile("m.img", dtype=np.uint8).reshape(ids.shape), ids)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("plain --out no/m.png", ["no", "make it first"]),
        ("plain --out m.xyz", ["'.xyz'", ".svg"]),
        ("plain --data m.jpg", ["'.jpg'", ".tif"]),
        ("plain --data no/m.tif", ["no", "make it first"]),
        ("placed --data m.hdr", ["geotiff", ".tif"]),
    ],
)
def test_a_users_error_is_found_before_anything_is_computed(
    options: str, words: list[str], folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(trial: Trial, *arguments: object, **options: object) -> None:
        raise AssertionError("computed all the same")

    monkeypatch.setattr(mapping, "classification_map", never)
    before = sorted(folder.rglob("*"))
    assert hsicl.main(shlex.split(f"map {options} --method raw_spectra --labels-per-class 3")) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    for word in words:
        assert word in output.err
    assert sorted(folder.rglob("*")) == before
