"""load_scene from files of every format, and what damaged files end in."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmark.scene import Scene
from benchmark.scene_files import load_scene
from hsicl_core.errors import (
    InvalidValueError,
    SceneError,
    SceneNotFoundError,
    UnknownNameError,
    UserError,
)
from tests.scene_factory import tiny_scene
from tests.scene_writers import raw_labels, write_envi, write_mat, write_mat73, write_npy, write_npz, write_tiff

NAMES = tuple(f"field {k}" for k in range(4))


@pytest.fixture
def scene() -> Scene:
    return tiny_scene(height=20, width=24, bands=6)


@pytest.mark.parametrize("write", [write_npy, write_npz, write_mat, write_mat73, write_envi, write_tiff])
def test_every_format_gives_the_same_scene(write: object, scene: Scene, tmp_path: Path) -> None:
    cube, labels = write(scene, tmp_path)
    loaded = load_scene(cube, labels, class_names=NAMES)
    assert np.array_equal(loaded.cube, scene.cube)
    assert loaded.cube.dtype == scene.cube.dtype
    assert np.array_equal(loaded.labels, scene.labels)
    assert loaded.hash == scene.hash


def test_envi_wavelengths_arrive_in_nm(scene: Scene, tmp_path: Path) -> None:
    loaded = load_scene(*write_envi(scene, tmp_path))
    assert loaded.wavelengths_nm == pytest.approx(scene.wavelengths_nm)


FLAT = {
    "pixels by bands along rows": ("C", lambda c: c.reshape(-1, c.shape[2])),
    "pixels by bands along columns": ("F", lambda c: c.swapaxes(0, 1).reshape(-1, c.shape[2])),
    "bands by pixels along columns": ("F", lambda c: c.swapaxes(0, 1).reshape(-1, c.shape[2]).T),
    "one line, C": ("C", lambda c: c.ravel()),
    "one line, MATLAB's c(:)": ("F", lambda c: c.ravel(order="F")),
    "bands first": ("C", lambda c: np.moveaxis(c, -1, 0)),
}


@pytest.mark.parametrize("case", FLAT)
def test_flat_cubes(case: str, scene: Scene, tmp_path: Path) -> None:
    order, flatten = FLAT[case]
    np.save(tmp_path / "flat.npy", flatten(scene.cube))
    np.save(tmp_path / "labels.npy", raw_labels(scene).ravel(order=order)[None, :])
    loaded = load_scene(
        tmp_path / "flat.npy", tmp_path / "labels.npy", shape=(20, 24, 6), order=order, class_names=NAMES
    )
    assert loaded.hash == scene.hash


@pytest.mark.parametrize(
    ("convert", "unlabelled"),
    [
        (lambda labels: labels, None),
        (lambda labels: labels + 1, None),
        (lambda labels: np.where(labels < 0, np.nan, labels), None),
        (lambda labels: np.where(labels < 0, 0, labels * 10 + 3), None),
        (lambda labels: np.where(labels < 0, 255, labels), 255),
    ],
    ids=["-1", "0", "NaN, class 0 is one", "gaps", "255 by request"],
)
def test_conventions_for_unlabelled(convert: object, unlabelled: int | None, scene: Scene, tmp_path: Path) -> None:
    cube, _ = write_npy(scene, tmp_path)
    loaded = load_scene(cube, convert(scene.labels), unlabelled=unlabelled)
    assert np.array_equal(loaded.labels, scene.labels)


def test_class_ids_are_remembered_in_the_names(scene: Scene, tmp_path: Path) -> None:
    cube, _ = write_npy(scene, tmp_path)
    loaded = load_scene(cube, np.where(scene.labels < 0, 0, scene.labels * 10 + 3))
    assert loaded.class_names == ("class 3", "class 13", "class 23", "class 33")


def test_unknown_name_suggests_the_closest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'indian_pines'"):
        load_scene("indian_pine")


def test_missing_file() -> None:
    with pytest.raises(SceneNotFoundError, match=r"no file nowhere/cube\.mat"):
        load_scene("nowhere/cube.mat:x", "labels.mat")


def test_a_name_takes_no_labels() -> None:
    with pytest.raises(InvalidValueError, match="labels given with the scene name 'indian_pines'"):
        load_scene("indian_pines", labels="mine.mat")


def test_bad_order_and_shape(scene: Scene, tmp_path: Path) -> None:
    cube, labels = write_npy(scene, tmp_path)
    with pytest.raises(InvalidValueError, match="got order='K'"):
        load_scene(cube, labels, order="K")
    with pytest.raises(InvalidValueError, match="three whole numbers"):
        load_scene(cube, labels, shape=(20, 24))
    with pytest.raises(SceneError, match="as shape="):
        load_scene(cube, labels, shape=(20, 24, 7))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lying_npy(path: Path, shape: tuple[int, ...]) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
        file.write(bytes(800))


def damaged_files(folder: Path, scene: Scene) -> dict[str, tuple[object, object]]:
    """Return case -> (cube, labels) where one of the two cannot be used."""
    cube, labels = write_npy(scene, folder)
    cases: dict[str, tuple[object, object]] = {}
    for write in (write_npz, write_mat, write_mat73, write_envi, write_tiff):
        sub = folder / write.__name__
        sub.mkdir()
        source, truth = write(scene, sub)
        file = Path(source.split(":")[0])
        truncated(file.with_suffix(".img") if file.suffix == ".hdr" else file)
        cases[f"truncated by {write.__name__}"] = (source, truth or labels)
    truncated_npy = folder / "short.npy"
    truncated_npy.write_bytes(Path(cube).read_bytes())
    truncated(truncated_npy)
    cases["truncated npy"] = (truncated_npy, labels)
    lying_npy(folder / "lie.npy", (10**3, 10**3, 10**3))
    cases["a header that claims 8 GB"] = (folder / "lie.npy", labels)
    lying_npy(folder / "lie2.npy", (2**40, 2**40, 2**40))
    cases["a header that overflows"] = (folder / "lie2.npy", labels)
    with zipfile.ZipFile(folder / "lie.npz", "w") as archive:
        archive.write(folder / "lie.npy", "cube.npy")
    cases["an archive that claims 8 GB"] = (folder / "lie.npz", labels)
    header = (folder / "write_envi" / "labels.hdr").read_text()
    (folder / "lie.hdr").write_text(header.replace("samples = 24", "samples = 2400000"))
    (folder / "lie.img").write_bytes(bytes(480))
    cases["an ENVI header that lies"] = (cube, folder / "lie.hdr")
    for suffix in (".mat", ".npy", ".npz", ".hdr", ".tif"):
        (folder / f"text{suffix}").write_text("this is no array\n" * 40)
        (folder / f"empty{suffix}").write_bytes(b"")
        cases[f"text as {suffix}"] = (folder / f"text{suffix}", labels)
        cases[f"empty {suffix}"] = (folder / f"empty{suffix}", labels)
    (folder / "cube.xyz").write_bytes(b"1")
    cases["unknown format"] = (folder / "cube.xyz", labels)
    cases["a folder"] = (folder, labels)
    cases["a very long name"] = ("x" * 5000 + ".npy:key", labels)
    cases["wrong key"] = (f"{folder / 'write_npz' / 'both.npz'}:nothing", labels)
    values = {
        "complex": scene.cube.astype(complex),
        "text values": np.full((20, 24, 6), "a"),
        "boolean": scene.cube > 5,
        "two axes": scene.cube[:, :, 0],
        "four axes": scene.cube[None],
        "no bands": scene.cube[:, :, :0],
        "NaN": np.where(scene.cube > 6, np.nan, scene.cube),
        "infinity": np.where(scene.cube > 6, np.inf, scene.cube),
        "transposed": scene.cube.transpose(1, 0, 2),
    }
    for case, value in values.items():
        np.save(folder / f"{case}.npy", value)
        cases[f"cube: {case}"] = (folder / f"{case}.npy", labels)
    np.save(folder / "object.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    cases["pickled cube"] = (f"{folder / 'object.npy'}:object", labels)
    raw = raw_labels(scene)
    for case, value in {
        "one class": np.minimum(raw, 1),
        "no class": raw * 0,
        "fractions": raw + 0.5,
        "another size": raw[:-1],
        "complex labels": raw.astype(complex),
        "infinite label": np.where(raw == 1, np.inf, raw),
        "a measurement": np.arange(480.0).reshape(20, 24) * 1e6 + 0.25,
        "three axes": raw[..., None] + np.zeros(6),
    }.items():
        cases[f"labels: {case}"] = (cube, value)
    cases["no labels"] = (cube, None)
    return cases


def test_a_header_is_not_believed(scene: Scene, tmp_path: Path) -> None:
    lying_npy(tmp_path / "lie.npy", (10**3, 10**3, 10**3))
    with pytest.raises(SceneError, match=r"'lie' claims .* 8000000000 bytes, the file can hold 800 at most"):
        load_scene(tmp_path / "lie.npy", raw_labels(scene))


def test_damaged_files_end_in_one_line_quickly(scene: Scene, tmp_path: Path) -> None:
    failures = []
    for case, (cube, labels) in damaged_files(tmp_path, scene).items():
        start = time.monotonic()
        try:
            load_scene(cube, labels)
            failures.append(f"{case}: accepted")
        except UserError as error:
            if "\n" in str(error) or len(str(error)) > 6000:
                failures.append(f"{case}: not one line: {error}")
        except Exception as error:
            failures.append(f"{case}: {type(error).__name__} escaped: {error}")
        if time.monotonic() - start > 2:
            failures.append(f"{case}: slow")
    assert not failures


def test_a_flat_cube_beside_labels_that_do_not_tell_its_sides_is_asked_for_them(tmp_path: Path) -> None:
    cube, labels = tmp_path / "cube.npy", tmp_path / "labels.npz"
    np.save(cube, np.random.default_rng(0).random((5, 12)))
    np.savez(labels, one=np.arange(12) % 3, other=np.zeros((7, 2)))
    with pytest.raises(SceneError, match=r"label map for a cube of shape \(5, 12\) \(it is flat: give --shape H,W,B\)"):
        load_scene(cube, labels)
    assert load_scene(cube, f"{labels}:one", shape=(3, 4, 5)).cube.shape == (3, 4, 5)
