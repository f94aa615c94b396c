"""import_scene: a user's own files under a name, whole or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from benchmark.files import cube_blocks
from benchmark.files.cube_blocks import blocks, cube_statistics
from benchmark.files.cube_blocks import write_npy as write_cube
from benchmark.importing import imported_scenes
from benchmark.importing.quick_look import draw_quick_look, shown_bands, stretched
from benchmark.importing.scene_import import examine, import_scene
from benchmark.importing.scene_reading import ReadOptions
from benchmark.scene import Scene
from benchmark.scene_files import load_scene, scene_names
from hsicl_core.errors import InvalidValueError, SceneError
from tests.scene_factory import tiny_scene
from tests.scene_writers import abundances, raw_labels, write_envi, write_npy, write_npz

NAMES = tuple(f"field {k}" for k in range(4))


@pytest.fixture
def scene() -> Scene:
    return tiny_scene(height=20, width=24, bands=6)


def test_import_makes_a_named_scene(scene: Scene, tmp_path: Path) -> None:
    root = tmp_path / "root"
    cube, labels = write_npz(scene, tmp_path)
    path, summary = import_scene("my_field", cube, labels, data_root=root, class_names=NAMES)
    assert path == root / "imported" / "my_field" / "scene.json"
    assert summary.name == "my_field"
    assert summary.class_counts == dict(zip(NAMES, scene.class_counts.tolist(), strict=True))
    assert "my_field" in scene_names(root)
    loaded = load_scene("my_field", root=root)
    assert loaded.hash == scene.hash
    assert loaded.name == "my_field"


def test_import_keeps_wavelengths_and_flat_order(scene: Scene, tmp_path: Path) -> None:
    cube, labels = write_envi(scene, tmp_path)
    import_scene("waves", cube, labels, data_root=tmp_path)
    assert load_scene("waves", root=tmp_path).wavelengths_nm == pytest.approx(scene.wavelengths_nm)
    np.save(tmp_path / "flat.npy", scene.cube.ravel(order="F"))
    import_scene("flat", tmp_path / "flat.npy", scene.labels, (20, 24, 6), "F", tmp_path, class_names=NAMES)
    assert load_scene("flat", root=tmp_path).hash == scene.hash


def test_a_refused_import_leaves_nothing_behind(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    cube, labels = write_npy(scene, tmp_path)
    with pytest.raises(SceneError):
        import_scene("bad", cube, raw_labels(scene)[:-1], data_root=root)
    assert not root.exists()

    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    for module, name in ((np, "save"), (imported_scenes, "write_npy")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, full_disk)
            with pytest.raises(SceneError, match=r"No space left on device.*HSICL_DATA"):
                import_scene("bad", cube, labels, data_root=root)
        assert list((root / "imported").iterdir()) == []


@pytest.mark.parametrize("name", ["Indian", "1st", "a b", "../up", "indian_pines", "twice", ""])
def test_import_refuses_names(name: str, scene: Scene, tmp_path: Path) -> None:
    cube, labels = write_npy(scene, tmp_path)
    import_scene("twice", cube, labels, data_root=tmp_path)
    with pytest.raises(InvalidValueError, match="scene name"):
        import_scene(name, cube, labels, data_root=tmp_path)


def test_a_damaged_card_or_copy_is_refused(scene: Scene, tmp_path: Path) -> None:
    path, _ = import_scene("mine", *write_npy(scene, tmp_path), data_root=tmp_path)
    card = json.loads(path.read_text())
    changed = scene.labels.astype(np.int16)
    changed[5, 5] = 1 - changed[5, 5]
    np.save(path.with_name("labels.npy"), changed)
    with pytest.raises(SceneError, match=r"labels\.npy is another file than the one that was imported"):
        load_scene("mine", root=tmp_path)
    for text in ("{", json.dumps({**card, "version": 99}), json.dumps({"name": "mine"}), "[]"):
        path.write_text(text)
        with pytest.raises(SceneError, match="import again"):
            load_scene("mine", root=tmp_path)


def test_the_card_says_where_the_scene_came_from(scene: Scene, tmp_path: Path) -> None:
    cube, labels = write_envi(scene, tmp_path)
    path, _ = import_scene("mine", cube, labels, (20, 24, 6), data_root=tmp_path / "root", labels_are="map")
    card = json.loads(path.read_text())
    assert card["version"] == 2
    assert card["label_form"] == "map"
    assert card["hash"] == load_scene("mine", root=tmp_path / "root").hash
    assert card["options"] == {
        "shape": [20, 24, 6], "order": "C", "labels_are": "map", "unlabelled": None, "class_names": None,
    }  # fmt: skip
    files = [tmp_path / name for name in ("cube.hdr", "cube.img", "labels.hdr", "labels.img")]
    assert card["sources"] == [
        {"name": file.name, "bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        for file in files
    ]


def counted_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what is done with every value of a cube from now on."""
    passes: list[str] = []
    for owner, name in ((imported_scenes, "sha256_of"), (Scene, "check")):
        real = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, real=real, name=name: passes.append(name) or real(*args))
    real_sha = hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", lambda *args: passes.append("hash") or real_sha(*args))
    return passes


def test_an_unchanged_scene_is_not_read_through_again(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = import_scene("mine", *write_npy(scene, tmp_path), data_root=tmp_path, class_names=NAMES)
    expected = scene.hash
    passes = counted_reads(monkeypatch)
    assert load_scene("mine", root=tmp_path).hash == expected
    assert passes == []
    # Touched, as by a copy: looked at again, and still the same.
    os.utime(path.with_name("cube.npy"))
    assert load_scene("mine", root=tmp_path).hash == expected
    assert passes == ["sha256_of", "hash"], "the SHA-256 of the touched file and nothing else"


def test_a_change_of_the_cube_is_noticed(scene: Scene, tmp_path: Path) -> None:
    path, _ = import_scene("mine", *write_npy(scene, tmp_path), data_root=tmp_path)
    cube = np.load(path.with_name("cube.npy"))
    cube[3, 4, 5] += 1
    np.save(path.with_name("cube.npy"), cube)
    with pytest.raises(SceneError, match=r"cube\.npy is another file"):
        load_scene("mine", root=tmp_path)
    path.with_name("cube.npy").unlink()
    with pytest.raises(SceneError, match="import again"):
        load_scene("mine", root=tmp_path)


def test_cards_of_version_1_still_load(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "imported" / "old"
    folder.mkdir(parents=True)
    np.save(folder / "cube.npy", scene.cube)
    np.save(folder / "labels.npy", scene.labels.astype(np.int16))
    card = {
        "version": 1,
        "name": "old",
        "shape": [20, 24, 6],
        "class_names": NAMES,
        "class_counts": scene.class_counts.tolist(),
        "wavelengths_nm": None,
        "provenance": "read from cube.npy, labels from gt.npy",
        "sha256": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("cube.npy", "labels.npy")
        },
    }
    (folder / "scene.json").write_text(json.dumps(card))
    loaded = load_scene("old", root=tmp_path)
    assert loaded.hash == scene.hash
    assert loaded.provenance == "old: read from cube.npy, labels from gt.npy (your own data)"


def test_a_cube_in_its_place_is_not_copied(scene: Scene, tmp_path: Path) -> None:
    root = tmp_path / "root"
    cube, labels = write_npy(scene, tmp_path)
    path, _ = import_scene("mine", cube, labels, data_root=root, in_place=True, class_names=NAMES)
    assert sorted(file.name for file in path.parent.iterdir()) == ["labels.npy", "scene.json"]
    assert load_scene("mine", root=root).hash == scene.hash
    np.save(cube, scene.cube + 1)
    with pytest.raises(SceneError, match="is another file than the one that was imported"):
        load_scene("mine", root=root)


@pytest.mark.parametrize("case", ["npz", "bands first", "Fortran", "big-endian"])
def test_only_a_plain_npy_can_stay_in_its_place(case: str, scene: Scene, tmp_path: Path) -> None:
    _, labels = write_npy(scene, tmp_path)
    np.save(tmp_path / "bands first.npy", np.moveaxis(scene.cube, -1, 0).copy())
    np.save(tmp_path / "Fortran.npy", np.asfortranarray(scene.cube))
    np.save(tmp_path / "big-endian.npy", scene.cube.astype(">f4"))
    cube = write_npz(scene, tmp_path)[0] if case == "npz" else str(tmp_path / f"{case}.npy")
    with pytest.raises(InvalidValueError, match=r"in_place.*leave --in-place out"):
        import_scene("mine", cube, labels, data_root=tmp_path / "root", in_place=True)
    assert not (tmp_path / "root").exists()


def test_constant_bands_are_reported_and_allowed(scene: Scene, tmp_path: Path) -> None:
    scene.cube[..., 2] = 7
    cube, labels = write_npy(scene, tmp_path)
    examined = examine("mine", cube, labels, data_root=tmp_path)
    assert examined.summary.values.constant_bands == (2,)
    assert "constant bands, counted from 1: 3" in examined.text()


def test_what_was_understood_is_told(scene: Scene, tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", np.moveaxis(scene.cube, -1, 0))
    np.save(tmp_path / "parts.npy", abundances(scene.labels))
    text = examine("mine", tmp_path / "cube.npy", tmp_path / "parts.npy", data_root=tmp_path).text()
    values = np.sort(scene.cube.ravel())
    median = (float(values[len(values) // 2 - 1]) + float(values[len(values) // 2])) / 2
    for words in (
        "20 x 24 pixels, 6 bands, float32",
        f"{values[0]:g} to {values[-1]:g}, median {median:g}",
        "stored 6 x 20 x 24 (bands first: bands, rows, columns)",
        "read as abundances, DERIVED",
        f"file: parts.npy, {(tmp_path / 'parts.npy').stat().st_size} bytes, SHA-256",
    ):
        assert words in text


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (2, 1, 0), (1, 2, 0), (0, 2, 1), (1, 0, 2)])
def test_blocks_cover_a_cube_in_the_order_in_which_it_is_stored(
    axes: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cube = np.random.default_rng(0).integers(0, 999, (13, 17, 5)).astype(np.int32)
    np.save(tmp_path / "stored.npy", cube.transpose(axes).copy())
    stored = np.load(tmp_path / "stored.npy", mmap_mode="r").transpose(np.argsort(axes))
    monkeypatch.setattr(cube_blocks, "BLOCK_BYTES", 1000)
    seen = np.zeros(cube.shape[:2], dtype=int)
    for rows, columns in blocks(stored):
        seen[rows, columns] += 1
        assert stored[rows, columns].nbytes <= 1000
        # Whole rows, or whole columns where those lie together.
        whole = columns if axes.index(0) < axes.index(1) else rows
        assert whole == slice(0, 17 if whole is columns else 13)
    assert (seen == 1).all()
    found = cube_statistics(stored)
    assert (found.low, found.median, found.high) == (cube.min(), np.median(cube), cube.max())
    write_cube(tmp_path / "written.npy", stored)
    assert np.array_equal(np.load(tmp_path / "written.npy"), cube)
    assert np.load(tmp_path / "written.npy").flags.c_contiguous


def test_a_sampled_median_does_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    cube = np.random.default_rng(0).normal(size=(40, 30, 6))
    monkeypatch.setattr(cube_blocks, "_MEDIAN_VALUES", 500)
    whole = cube_statistics(cube)
    assert not whole.is_median_exact
    assert whole.median == np.median(cube[::4, ::4])
    monkeypatch.setattr(cube_blocks, "BLOCK_BYTES", 5000)
    assert cube_statistics(cube) == whole


def test_the_quick_look_shows_red_green_and_blue() -> None:
    fine = tiny_scene(height=20, width=24, bands=60)
    red, green, blue = shown_bands(dataclasses.replace(fine, wavelengths_nm=np.linspace(400.0, 990.0, 60)))
    assert [400 + 10 * band for band in (red, green, blue)] == [650, 550, 450]
    assert shown_bands(dataclasses.replace(fine, wavelengths_nm=None)) == (47, 29, 11)
    assert shown_bands(dataclasses.replace(fine, wavelengths_nm=np.linspace(1000.0, 2500.0, 60))) == (47, 29, 11)
    assert stretched(np.arange(101.0).reshape(1, -1))[0, [0, 2, 50, 98, 100]].tolist() == [0, 0, 0.5, 1, 1]


def test_the_quick_look_takes_the_colours_of_the_scene(scene: Scene, tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    colours = ("#ff0000", "#00ff00", "#0000ff", "#00ffff")
    path = draw_quick_look(dataclasses.replace(scene, colours=colours), tmp_path / "look.png")
    pixels = np.round(image.imread(path)[..., :3].reshape(-1, 3) * 255).astype(int)
    drawn = {tuple(pixel) for pixel in pixels.tolist()}
    assert {(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 255)} <= drawn


def test_the_quick_look_is_whole_or_not_there(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    odd = ("$x", "_hidden", "水田", "")
    path = draw_quick_look(dataclasses.replace(scene, class_names=odd), tmp_path / "look.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    before = path.read_bytes()

    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(InvalidValueError, match="quick look"):
        draw_quick_look(scene, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_header_in_another_code_page_is_read(scene: Scene, tmp_path: Path) -> None:
    cube, labels = write_envi(scene, tmp_path)
    header = Path(cube).read_text()
    Path(cube).write_bytes(header.replace("Micrometers", "µm").encode("latin-1"))
    assert load_scene(cube, labels).wavelengths_nm == pytest.approx(scene.wavelengths_nm)


def test_options_are_kept_as_plain_numbers(scene: Scene, tmp_path: Path) -> None:
    cube, labels = write_npy(scene, tmp_path)
    shape = tuple(np.array(scene.cube.shape))
    path = examine("mine", cube, labels, ReadOptions(shape=shape), data_root=tmp_path / "root").write()
    assert json.loads(path.read_text())["options"]["shape"] == [20, 24, 6]


def test_progress_runs_to_the_end(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cube, labels = write_npy(scene, tmp_path)
    monkeypatch.setattr(cube_blocks, "BLOCK_BYTES", 3000)
    told: list[tuple[str, int, int]] = []
    examined = examine("mine", cube, labels, data_root=tmp_path / "root", progress=lambda *now: told.append(now))
    examined.write(lambda *now: told.append(now))
    for what in ("reading", "writing"):
        steps = [(done, total) for name, done, total in told if name == what]
        assert len(steps) > 3
        assert [done for done, _ in steps] == sorted({done for done, _ in steps})
        assert steps[-1] == (scene.cube.nbytes, scene.cube.nbytes)
    assert ("checking", Path(cube).stat().st_size, Path(cube).stat().st_size) in told
