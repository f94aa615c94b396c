"""import_scene: a user's own files under a name, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.scene import Scene
from benchmark.scene_files import load_scene, scene_names
from benchmark.scene_import import import_scene
from hsicl_core.errors import InvalidValueError, SceneError
from tests.scene_factory import tiny_scene
from tests.scene_writers import raw_labels, write_envi, write_npy, write_npz

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

    monkeypatch.setattr(np, "save", full_disk)
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
    with pytest.raises(SceneError, match="pixels per class"):
        load_scene("mine", root=tmp_path)
    for text in ("{", json.dumps({**card, "version": 99}), json.dumps({"name": "mine"}), "[]"):
        path.write_text(text)
        with pytest.raises(SceneError, match="import again"):
            load_scene("mine", root=tmp_path)
