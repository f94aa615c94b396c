"""The scene cards: complete, consistent, and what their files hold where the files are at hand."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.registries import SCENES
from benchmark.scene_files import describe, load_scene
from benchmark.scenes.base import SceneCard, SceneFile, data_root
from hsicl_core.errors import MissingPackageError, SceneError, SceneNotFoundError
from tests.scene_factory import tiny_scene


@pytest.fixture
def card(tmp_path: Path) -> SceneCard:
    """A card of a scene whose files lie in tmp_path, raw ids 3, 5, 7, 9."""
    scene = tiny_scene()
    np.save(tmp_path / "cube.npy", scene.cube)
    np.save(tmp_path / "map.npy", np.where(scene.labels < 0, 0, 3 + 2 * scene.labels).astype(np.uint8))
    return SceneCard(
        name="fields",
        title="Fields",
        shape=(40, 48, 12),
        class_names=("a", "b", "c", "d"),
        class_counts=(360,) * 4,
        label_ids=(3, 5, 7, 9),
        files={"cube": SceneFile(path="deep/cube.npy"), "labels": SceneFile(path="map.npy")},
        source="the moon",
        credit="nobody",
    )


@pytest.mark.parametrize("name", SCENES.names())
def test_cards_are_complete(name: str) -> None:
    card = SCENES.get(name)
    assert card.name == name
    assert len(card.class_names) == len(card.class_counts) == len(card.label_ids) == len(set(card.class_names))
    assert sum(card.class_counts) <= card.shape[0] * card.shape[1]
    assert card.source
    assert card.credit
    assert card.licence
    for file in card.files.values():
        assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
        assert not Path(file.path).is_absolute()


@pytest.mark.parametrize("name", SCENES.names())
def test_files_at_hand_hold_what_the_card_says(name: str) -> None:
    card = SCENES.get(name)
    paths = {role: card.find_file(role) for role in card.files}
    if None in paths.values():
        pytest.skip(f"the files of {name} are not in HSICL_DATA")
    scene = load_scene(name)
    assert scene.cube.shape == card.shape
    assert tuple(scene.class_counts.tolist()) == card.class_counts
    assert ("DERIVED" in scene.provenance) == card.derived_labels
    for role, file in card.files.items():
        if file.is_verified:
            assert hashlib.sha256(paths[role].read_bytes()).hexdigest() == file.sha256


def test_pavia_region_lies_where_its_card_says() -> None:
    scipy_io = pytest.importorskip("scipy.io")
    whole = data_root() / "labels_only" / "PaviaU_gt.mat"
    if not whole.is_file() or SCENES.get("pavia_university_roi").find_file("cube") is None:
        pytest.skip("PaviaU_gt.mat or the region is not in HSICL_DATA")
    truth = scipy_io.loadmat(whole)["paviaU_gt"][229:369, 89:169]
    scene = load_scene("pavia_university_roi")
    ids = np.array(SCENES.get("pavia_university_roi").label_ids)
    assert np.array_equal(np.where(scene.labels < 0, 0, ids[scene.labels]), truth)


def test_raw_ids_become_classes_in_the_order_of_the_card(card: SceneCard, tmp_path: Path) -> None:
    scene = card.load(tmp_path)
    assert np.array_equal(scene.labels, tiny_scene().labels)
    assert scene.class_names == ("a", "b", "c", "d")
    # The card says deep/cube.npy; a user who put the file right into the data root is served too.
    assert np.array_equal(scene.cube, tiny_scene().cube)


def test_another_edition_of_the_labels_is_refused(card: SceneCard, tmp_path: Path) -> None:
    with pytest.raises(
        SceneError, match=r"\(360, 360, 360, 360\) pixels per class, published are \(361, 359, 360, 360\)"
    ):
        dataclasses.replace(card, class_counts=(361, 359, 360, 360)).load(tmp_path)


def test_another_shape_is_refused(card: SceneCard, tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"cube of \(40, 48, 12\).*the scene is \(40, 48, 13\)"):
        dataclasses.replace(card, shape=(40, 48, 13)).load(tmp_path)


def test_a_missing_file_says_where_to_get_and_put_it(card: SceneCard, tmp_path: Path) -> None:
    (tmp_path / "cube.npy").unlink()
    with pytest.raises(SceneNotFoundError) as caught:
        card.load(tmp_path)
    message = str(caught.value)
    assert str(tmp_path / "deep" / "cube.npy") in message
    assert "the moon" in message
    assert "HSICL_DATA" in message
    assert "\n" not in message


def test_indian_pines_without_tensorly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HSICL_DATA", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"'tensorly' is not installed.*pip install tensorly"):
        load_scene("indian_pines")


def test_indian_pines_from_the_data_root_without_tensorly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = SCENES.get("indian_pines")
    for role in source.files:
        path = source.find_file(role)
        if path is None:
            pytest.skip("neither tensorly nor the files of Indian Pines are at hand")
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.setenv("HSICL_DATA", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert load_scene("indian_pines").class_counts.sum() == 10249


def test_indian_pines_does_not_import_tensorly() -> None:
    """Importing it starts its backend, which costs seconds; two array files are all that is wanted."""
    if SCENES.get("indian_pines").find_file("cube") is None:
        pytest.skip("neither tensorly nor the files of Indian Pines are at hand")
    before = set(sys.modules)
    load_scene("indian_pines")
    assert not {name for name in set(sys.modules) - before if name.startswith("tensorly")}


def test_describe() -> None:
    scene = tiny_scene()
    summary = describe(scene)
    assert summary.shape == (40, 48, 12)
    assert summary.dtype == "float32"
    assert summary.value_range == (scene.cube.min(), scene.cube.max())
    assert summary.class_counts == {f"field {k}": 360 for k in range(4)}
    assert summary.labelled_share == 1440 / 1920
    assert summary.wavelengths_nm == (400, 2500)


def test_data_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HSICL_DATA", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.delenv("HSICL_DATA")
    assert data_root() == Path.home() / ".local" / "share" / "hsicl"
