"""The scene cards: complete, consistent, and what their files hold where the files are at hand."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.files.file_search import FileSearch
from benchmark.registries import SCENES
from benchmark.scene_files import describe, load_scene
from benchmark.scenes import _files
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
    assert all(count > 0 for count in card.class_counts)
    assert 0 not in card.label_ids
    assert card.gsd_m is None or card.gsd_m > 0
    assert card.range_nm is None or 0 < card.range_nm[0] < card.range_nm[1] < 20_000
    splits = [file for split in card.fixed_splits.values() for file in split.files.values()]
    named = [*card.files.values(), *splits]
    for file in [*named, *(other for one in named for other in one.also)]:
        assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
        assert file.git_blob is None or len(bytes.fromhex(file.git_blob)) == 20
        assert not Path(file.path).is_absolute()
        assert ".." not in Path(file.path).parts
        assert file.url is None or file.url.startswith(("http://", "https://"))
    for split in card.fixed_splits.values():
        assert {"train", "test"} <= set(split.files) <= {"train", "test", "val"}
        assert set(split.classes.values()) <= set(range(len(card.class_names)))


@pytest.mark.parametrize(
    ("name", "n_labelled"),
    [
        ("botswana", 3248),
        ("houston_2013", 2832 + 12197),
        ("ksc", 5211),
        ("pavia_centre", 148152),
        ("pavia_university", 42776),
        ("salinas", 54129),
        ("whu_hi_hanchuan", 257530),
        ("whu_hi_honghu", 386693),
        ("whu_hi_longkou", 204542),
    ],
)
def test_counts_add_up_to_the_published_totals(name: str, n_labelled: int) -> None:
    assert sum(SCENES.get(name).class_counts) == n_labelled


@pytest.mark.parametrize("name", ["botswana", "houston_2013", "ksc", "pavia_university", "salinas"])
def test_label_maps_at_hand_hold_what_the_card_says(name: str) -> None:
    card = SCENES.get(name)
    search = FileSearch(data_root())
    found = {role: card.find(role, search) for role in card.files if role != "cube"}
    if None in found.values():
        pytest.skip(f"the label maps of {name} are not in HSICL_DATA")
    cube = np.broadcast_to(np.uint8(0), card.shape)
    _, raw = card.assemble({"cube": cube, **{role: file.read() for role, file in found.items()}})
    assert raw.shape == card.shape[:2]
    ids, counts = np.unique(raw[raw != 0], return_counts=True)
    assert tuple(ids.tolist()) == card.label_ids
    assert tuple(counts.tolist()) == card.class_counts
    assert [file.remark for file in found.values()] == [""] * len(found)


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


@pytest.mark.parametrize("place", ["deep/cube.npy", "cube.npy", "elsewhere/a/b/CUBE.NPY", "cubes/cube.npy"])
def test_a_file_anywhere_below_the_data_root_is_found(card: SceneCard, tmp_path: Path, place: str) -> None:
    target = tmp_path / place
    target.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "cube.npy").rename(target)
    assert card.find_file("cube", tmp_path) == target
    assert np.array_equal(card.load(tmp_path).cube, tiny_scene().cube)


def known(card: SceneCard, tmp_path: Path) -> SceneCard:
    """The card with the SHA-256 of the cube and the git blob id of the map that lie in tmp_path."""
    cube, labels = ((tmp_path / name).read_bytes() for name in ("cube.npy", "map.npy"))
    blob = hashlib.sha1(f"blob {len(labels)}\0".encode() + labels).hexdigest()
    return dataclasses.replace(
        card,
        files={
            "cube": dataclasses.replace(card.files["cube"], sha256=hashlib.sha256(cube).hexdigest()),
            "labels": dataclasses.replace(card.files["labels"], git_blob=blob),
        },
    )


def test_two_files_of_a_name(card: SceneCard, tmp_path: Path) -> None:
    content = (tmp_path / "cube.npy").read_bytes()
    with_identity = known(card, tmp_path)
    (tmp_path / "cube.npy").unlink()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cube.npy").write_bytes(content)
    # The same twice is one.
    assert card.find_file("cube", tmp_path) == tmp_path / "a" / "cube.npy"
    (tmp_path / "a" / "cube.npy").write_bytes(b"another")
    with pytest.raises(SceneError, match="differ and neither is the known file") as caught:
        card.find_file("cube", tmp_path)
    assert str(tmp_path / "a" / "cube.npy") in str(caught.value)
    assert str(tmp_path / "b" / "cube.npy") in str(caught.value)
    assert with_identity.find_file("cube", tmp_path) == tmp_path / "b" / "cube.npy"
    # The place that the card names is no question.
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "cube.npy").write_bytes(content)
    assert card.find_file("cube", tmp_path) == tmp_path / "deep" / "cube.npy"


def test_a_file_that_is_not_the_known_one_is_named(card: SceneCard, tmp_path: Path) -> None:
    assert "no identity of cube.npy is known; no identity of map.npy is known" in card.load(tmp_path).provenance
    with_identity = known(card, tmp_path)
    assert with_identity.load(tmp_path).provenance == card.provenance
    changed = tiny_scene(seed=1)
    np.save(tmp_path / "cube.npy", changed.cube)
    sha256 = hashlib.sha256((tmp_path / "cube.npy").read_bytes()).hexdigest()
    scene = with_identity.load(tmp_path)
    assert np.array_equal(scene.cube, changed.cube)
    assert scene.provenance == f"{card.provenance}; cube.npy IS NOT THE KNOWN FILE, its SHA-256 is {sha256}"
    with pytest.raises(SceneError, match=r"another edition \(cube.npy IS NOT THE KNOWN FILE.*show fields"):
        dataclasses.replace(with_identity, class_counts=(361, 359, 360, 360)).load(tmp_path)


def test_large_files_are_not_read_twice(card: SceneCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_identity = known(card, tmp_path)
    monkeypatch.setattr(_files, "CHECKED_AT_LOADING_BYTES", (tmp_path / "cube.npy").stat().st_size - 1)
    monkeypatch.setattr(SceneFile, "is_known", lambda file, path: path.name == "map.npy")
    assert with_identity.load(tmp_path).provenance.endswith("; identity of cube.npy not checked at loading")


def test_another_name_for_the_same_array(card: SceneCard, tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "Fields.mat", {"noise": np.zeros((3, 3)), "fields": tiny_scene().cube})
    other = SceneFile(path="fields.mat", key="FIELDS")
    renamed = dataclasses.replace(card, files={**card.files, "cube": SceneFile(path="lost.npy", also=(other,))})
    assert renamed.find_file("cube", tmp_path) == tmp_path / "Fields.mat"
    assert np.array_equal(renamed.load(tmp_path).cube, tiny_scene().cube)
    absent = dataclasses.replace(other, key="cube")
    with pytest.raises(SceneError, match="holds no array 'cube' but noise, fields"):
        dataclasses.replace(card, files={**card.files, "cube": absent}).load(tmp_path)


@pytest.mark.parametrize("is_envi", [False, True])
def test_whu_hi_files_as_their_makers_share_them(tmp_path: Path, is_envi: bool) -> None:
    tiny = tiny_scene()
    arrays = {"": tiny.cube, "_gt": (tiny.labels + 1).astype(np.uint8)}
    for suffix, array in arrays.items():
        if is_envi:
            envi = pytest.importorskip("spectral.io.envi")
            envi.save_image(str(tmp_path / f"WHU-Hi-LongKou{suffix}.hdr"), array, interleave="bsq", ext=".bsq")
        else:
            io = pytest.importorskip("scipy.io")
            io.savemat(tmp_path / f"WHU_Hi_LongKou{suffix}.mat", {f"WHU_Hi_LongKou{suffix}": array})
    card = dataclasses.replace(
        SCENES.get("whu_hi_longkou"),
        shape=tiny.cube.shape, class_names=tiny.class_names, class_counts=(360,) * 4, label_ids=(1, 2, 3, 4),
    )  # fmt: skip
    scene = card.load(tmp_path)
    assert np.array_equal(scene.cube, tiny.cube)
    assert np.array_equal(scene.labels, tiny.labels)


def test_houston_labels_are_the_union_of_the_two_maps() -> None:
    train, test = np.array([[1, 0, 0], [0, 15, 0]]), np.array([[0, 2, 0], [15, 0, 0]])
    cube = np.zeros((2, 3, 144))
    assembled, labels = SCENES.get("houston_2013").assemble({"cube": cube, "train": train, "test": test})
    assert assembled is cube
    assert labels.tolist() == [[1, 2, 0], [15, 15, 0]]


def test_indian_pines_from_the_files_of_the_ehu_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    if SCENES.get("indian_pines").find_file("cube") is None:
        pytest.skip("neither tensorly nor the files of Indian Pines are at hand")
    scene = load_scene("indian_pines")
    gt = (scene.labels + 1).astype(np.uint8)
    scipy_io.savemat(tmp_path / "Indian_pines_corrected.mat", {"indian_pines_corrected": scene.cube})
    scipy_io.savemat(tmp_path / "Indian_pines_gt.mat", {"indian_pines_gt": gt})
    monkeypatch.setenv("HSICL_DATA", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    again = load_scene("indian_pines")
    assert again.hash == scene.hash == "af649d48b8ca1b1b"
    # Written here, they are not the page's own files.
    assert "Indian_pines_corrected.mat IS NOT THE KNOWN FILE" in again.provenance
