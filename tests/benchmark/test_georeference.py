"""Map files lie where the scene lies: what is written is opened by GDAL (through rasterio) and compared."""

from __future__ import annotations

import dataclasses
import json
import re
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmark.files.map_files import NO_CLASS, check_map_file, map_file_beside, write_map_files
from benchmark.importing.scene_import import import_scene
from benchmark.scene import Scene
from benchmark.scene_files import load_scene
from hsicl_core.errors import InvalidValueError, SceneError
from tests.scene_factory import tiny_scene
from tests.scene_writers import raw_labels, write_npy, write_tiff

rasterio = pytest.importorskip("rasterio")
envi = pytest.importorskip("spectral.io.envi")
tifffile = pytest.importorskip("tifffile")

COLOURS = ("#e69f00", "#0072b2", "#00ff01", "#7f0080")
NAMES = ("Corn, no till", "Grass <wet> & {green}", "c", "d")
LAMBERT = "+proj=laea +lat_0=47.25 +lon_0=12.5 +x_0=4321000 +y_0=3210000.5 +ellps=GRS80 +units=m"


def affine(*values: float) -> Any:
    return rasterio.Affine(*values)


def places() -> dict[str, tuple[Any, Any]]:
    """Return case -> (coordinate system, transform)."""
    return {
        "UTM": (rasterio.CRS.from_epsg(32616), affine(20.0, 0, 492640.25, 0, -20.0, 4476100.125)),
        "degrees": (rasterio.CRS.from_epsg(4326), affine(1e-4, 0, -86.123456789012, 0, -1e-4, 40.5)),
        "rotated": (rasterio.CRS.from_epsg(32616), affine(14.0, 7.5, 492640.0, 7.5, -14.0, 4476100.0)),
        "its own projection": (rasterio.CRS.from_string(LAMBERT), affine(5.0, 0, 4300000.0, 0, -5.0, 3200000.0)),
    }


def rgba(colours: tuple[str, ...]) -> dict[int, tuple[int, ...]]:
    return {i: (*bytes.fromhex(colour[1:]), 255) for i, colour in enumerate(colours, start=1)}


@pytest.fixture
def scene() -> Scene:
    return tiny_scene(height=20, width=24, bands=6)


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.integers(0, 4, (20, 24)), generator.random((20, 24), dtype=np.float32)


def write_cube(scene: Scene, folder: Path, driver: str, case: str) -> str:
    crs, transform = places()[case]
    path = folder / {"GTiff": "cube.tif", "ENVI": "cube.img"}[driver]
    with rasterio.open(
        path, "w", driver=driver, height=20, width=24, count=6, dtype="float32", crs=crs, transform=transform
    ) as file:
        file.write(np.moveaxis(scene.cube, -1, 0))
    return str(path.with_suffix(".hdr") if driver == "ENVI" else path)


def categories(path: Path) -> list[str]:
    """Return the names of the classes as GDAL reads them, which rasterio shows in a virtual file only."""
    from rasterio import shutil

    target = path.with_suffix(".vrt")
    shutil.copy(str(path), str(target), driver="VRT")
    return [element.text or "" for element in ElementTree.parse(target).iter("Category")]


def same_place(found: Any, source: str) -> None:
    with rasterio.open(source.replace(".hdr", ".img")) as file:
        assert found.crs == file.crs
        assert found.transform == file.transform


@pytest.mark.parametrize("case", ["UTM", "degrees", "rotated", "its own projection"])
def test_a_geotiff_map_lies_where_its_cube_lies(case: str, scene: Scene, drawn: Any, tmp_path: Path) -> None:
    source = write_cube(scene, tmp_path, "GTiff", case)
    loaded = load_scene(source, raw_labels(scene))
    assert loaded.hash == dataclasses.replace(loaded, georeference=None).hash
    assert loaded.georeference == json.loads(json.dumps(loaded.georeference))
    written = write_map_files(
        tmp_path / "map.tif", *drawn, class_names=NAMES, colours=COLOURS, georeference=loaded.georeference
    )
    assert [path.name for path in written] == ["map.tif", "map_confidence.tif"]
    with rasterio.open(written[0]) as file:
        same_place(file, source)
        assert (file.count, file.dtypes, file.nodata) == (1, ("uint8",), 0)
        assert np.array_equal(file.read(1), drawn[0] + 1)
        assert {index: file.colormap(1)[index] for index in range(1, 5)} == rgba(COLOURS)
    with rasterio.open(written[1]) as file:
        same_place(file, source)
        assert file.dtypes == ("float32",)
        assert np.array_equal(file.read(1), drawn[1])
    assert categories(written[0]) == [NO_CLASS, *NAMES]
    with tifffile.TiffFile(written[0]) as file:
        # By the standard white is 65535, though GDAL forgives writers that leave 255.
        assert file.pages[0].colormap[:, 3].tolist() == [0, 65535, 257]


@pytest.mark.parametrize("case", ["UTM", "degrees", "rotated"])
def test_an_envi_map_lies_where_its_cube_lies(case: str, scene: Scene, drawn: Any, tmp_path: Path) -> None:
    source = write_cube(scene, tmp_path, "ENVI", case)
    loaded = load_scene(source, raw_labels(scene))
    assert loaded.georeference is not None
    assert {"map info", "coordinate system string"} <= set(loaded.georeference["fields"])
    written = write_map_files(
        tmp_path / "map.hdr", *drawn, class_names=NAMES, colours=COLOURS, georeference=loaded.georeference
    )
    assert [path.name for path in written] == ["map.hdr", "map_confidence.hdr"]
    header, original = written[0].read_text(), Path(source).read_text()
    for field in ("map info", "coordinate system string"):
        line = re.search(rf"{field} = .*\n", original)
        assert line is not None
        assert line[0] in header
    with rasterio.open(written[0].with_suffix(".img")) as file:
        same_place(file, source)
        assert (file.driver, file.dtypes, file.nodata) == ("ENVI", ("uint8",), 0)
        assert np.array_equal(file.read(1), drawn[0] + 1)
        assert {index: file.colormap(1)[index] for index in range(1, 5)} == rgba(COLOURS)
    with rasterio.open(written[1].with_suffix(".img")) as file:
        same_place(file, source)
        assert np.array_equal(file.read(1), drawn[1])
    # What separates the names of an ENVI header cannot stand in one.
    assert categories(written[0].with_suffix(".img")) == [NO_CLASS, "Corn; no till", "Grass <wet> & (green)", "c", "d"]


def test_other_envi_fields_are_carried_as_they_stand(scene: Scene, drawn: Any, tmp_path: Path) -> None:
    source = Path(write_cube(scene, tmp_path, "ENVI", "UTM"))
    text = source.read_text()
    kept = "geo points = {\n 1.0, 1.0, 40.5, -86.1,\n 24.0, 1.0, 40.5, -86.0 }"
    source.write_text(
        re.sub(r"map info = .*\n|coordinate system string = .*\n", "", text) + f"Map Info={{a, b}}\n{kept}\n"
    )
    with warnings.catch_warnings():
        # The library's remark on the field's capital letters.
        warnings.simplefilter("ignore")
        loaded = load_scene(source, raw_labels(scene))
    assert loaded.georeference == {
        "kind": "envi", "fields": {"map info": "{a, b}", "geo points": kept.removeprefix("geo points = ")}
    }  # fmt: skip
    path = write_map_files(
        tmp_path / "m.hdr", *drawn, class_names=NAMES, colours=COLOURS, georeference=loaded.georeference
    )[0]
    assert kept in path.read_text()
    assert "map info = {a, b}\n" in path.read_text()


def write_labels(scene: Scene, path: Path, colours: tuple[str, ...], **place: Any) -> str:
    """A label map with ids 10, 20, 30 and 40 and a colour for each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", height=20, width=24, count=1, dtype="uint8", photometric="palette", **place
        ) as file:
            file.write(raw_labels(scene) * 10, 1)
            file.write_colormap(1, {i * 10: colour for i, colour in rgba(colours).items()})
    return str(path)


def test_the_label_file_gives_the_colours_and_the_place_if_the_cube_has_none(scene: Scene, tmp_path: Path) -> None:
    crs, transform = places()["UTM"]
    labels = write_labels(scene, tmp_path / "gt.tif", COLOURS, crs=crs, transform=transform)
    plain, _ = write_npy(scene, tmp_path)
    loaded = load_scene(plain, labels)
    assert loaded.colours == COLOURS
    assert loaded.georeference is not None
    assert loaded.hash == dataclasses.replace(loaded, georeference=None, colours=None).hash
    unplaced, _ = write_tiff(scene, tmp_path)
    assert load_scene(unplaced, labels).georeference == loaded.georeference
    # The cube's comes first.
    placed = load_scene(write_cube(scene, tmp_path, "GTiff", "degrees"), labels)
    assert placed.georeference is not None
    assert placed.georeference != loaded.georeference


def test_envi_labels_give_their_class_lookup(scene: Scene, tmp_path: Path) -> None:
    table = [(1, 2, 3), *(tuple(bytes.fromhex(colour[1:])) for colour in COLOURS)]
    envi.save_classification(str(tmp_path / "gt.hdr"), raw_labels(scene), class_colors=table)
    plain, _ = write_npy(scene, tmp_path)
    assert load_scene(plain, tmp_path / "gt.hdr").colours == COLOURS


def test_a_table_that_tells_no_classes_apart_is_no_palette(scene: Scene, tmp_path: Path) -> None:
    plain, _ = write_npy(scene, tmp_path)
    assert load_scene(plain, write_labels(scene, tmp_path / "gt.tif", ("#000000",) * 4)).colours is None
    header = tmp_path / "gt.hdr"
    envi.save_classification(str(header), raw_labels(scene), class_colors=[(1, 2, i) for i in range(5)])
    assert load_scene(plain, header).colours is not None
    # Too few colours for the ids.
    header.write_text(re.sub(r"class lookup = .*", "class lookup = { 0, 0, 0, 1, 1, 1 }", header.read_text()))
    assert load_scene(plain, header).colours is None


def test_files_without_a_place_give_none(scene: Scene, tmp_path: Path) -> None:
    loaded = load_scene(*write_tiff(scene, tmp_path))
    assert loaded.georeference is None
    assert loaded.colours is None
    # Nor does a label map's place hold for a cube that it is only a part of: the scene itself is refused then.
    flat = tmp_path / "flat.npy"
    np.save(flat, scene.cube.swapaxes(0, 1))
    crs, transform = places()["UTM"]
    labels = write_labels(scene, tmp_path / "gt.tif", COLOURS, crs=crs, transform=transform)
    with pytest.raises(SceneError, match="untransposed"):
        load_scene(flat, labels)


def test_import_keeps_place_and_colours(scene: Scene, tmp_path: Path) -> None:
    source = write_cube(scene, tmp_path, "GTiff", "its own projection")
    labels = write_labels(scene, tmp_path / "gt.tif", COLOURS)
    loaded = load_scene(source, labels)
    card, _ = import_scene("placed", source, labels, data_root=tmp_path / "root")
    imported = load_scene("placed", root=tmp_path / "root")
    assert imported.georeference == loaded.georeference
    assert imported.georeference is not None
    assert imported.colours == COLOURS
    # A card from before these were kept.
    described = json.loads(card.read_text())
    del described["georeference"], described["colours"]
    card.write_text(json.dumps(described))
    older = load_scene("placed", root=tmp_path / "root")
    assert (older.georeference, older.colours, older.hash) == (None, None, imported.hash)


@pytest.mark.parametrize("colours", [("#000000",), ("#000000", "#000001", "#000002", "red")])
def test_a_scene_refuses_colours_that_are_none(colours: tuple[str, ...], scene: Scene) -> None:
    with pytest.raises(SceneError, match="#rrggbb"):
        dataclasses.replace(scene, colours=colours)


def test_many_classes_and_plain_arrays(drawn: Any, tmp_path: Path) -> None:
    classes = np.arange(480).reshape(20, 24) % 300
    classes[0, 0] = -1
    names, colours = [str(i) for i in range(300)], [f"#{i:06x}" for i in range(300)]
    options: Any = {"class_names": names, "colours": colours, "georeference": None}
    (path,) = write_map_files(tmp_path / "many.tif", classes, None, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            assert file.dtypes == ("uint16",)
            assert np.array_equal(file.read(1), classes + 1)
            assert file.colormap(1)[300] == (0, 1, 43, 255)
    plain, confidence = write_map_files(tmp_path / "many.npy", classes, drawn[1], **options)
    assert np.load(plain)[0, 0] == 0
    assert np.array_equal(np.load(plain), classes + 1)
    assert np.array_equal(np.load(confidence), drawn[1])


@pytest.mark.parametrize("name", ["map.tif", "map.hdr", "map.npy"])
def test_all_files_or_none(name: str, drawn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(InvalidValueError, match="No space left on device"):
        write_map_files(tmp_path / name, *drawn, class_names=NAMES, colours=COLOURS, georeference=None)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    geotiff: Any = {"kind": "geotiff", "tags": []}
    for path, georeference, words in (
        (tmp_path / "map.jpg", None, "unknown format '.jpg'"),
        (tmp_path / "no" / "map.tif", None, "make it first"),
        (tmp_path / "map.hdr", geotiff, "ends in .tif"),
        (tmp_path / "map.tif", {"kind": "envi", "fields": {}}, "ends in .hdr"),
    ):
        with pytest.raises(InvalidValueError, match=re.escape(words)):
            check_map_file(path, georeference)
    check_map_file(tmp_path / "map.npy", geotiff)
    assert map_file_beside(Path("a/b.png"), geotiff) == Path("a/b_map.tif")
    assert map_file_beside(Path("a/b.png"), None) is None
