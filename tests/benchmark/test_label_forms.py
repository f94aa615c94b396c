"""Maps, masks, one-hot labels and abundances: what they mean, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.files import label_forms
from benchmark.files.label_forms import read_labels
from benchmark.scene_files import load_scene
from hsicl_core.errors import InvalidValueError, SceneError
from tests.scene_factory import tiny_scene
from tests.scene_writers import write_npy


def naive_map(raw: np.ndarray) -> list[list[int]]:
    """Every pixel on its own: negative and NaN, or else 0, is no class; the others count up in the order of ids."""
    flat = [float(value) for value in raw.ravel()]
    has_out = any(value != value or value < 0 for value in flat)
    is_out = [value != value or value < 0 or (value == 0 and not has_out) for value in flat]
    ids = sorted({value for value, out in zip(flat, is_out, strict=True) if not out})
    labels = [-1 if out else ids.index(value) for value, out in zip(flat, is_out, strict=True)]
    return np.array(labels).reshape(raw.shape).tolist()


@given(arrays(np.float64, (4, 5), elements=st.sampled_from([-1.0, 0.0, 1.0, 2.0, 7.0, np.nan])))
def test_a_map_is_read_pixel_by_pixel(raw: np.ndarray) -> None:
    expected = naive_map(raw)
    if np.max(expected) < 1:
        with pytest.raises(SceneError, match=r"no pixel is labelled|one class only"):
            read_labels(raw, "here")
        return
    found = read_labels(raw, "here")
    assert found.labels.tolist() == expected
    assert found.form == "map"


@given(arrays(np.float64, (3, 4, 3), elements=st.sampled_from([0.0, 0.2, 0.4, 1.0, np.nan])))
def test_the_first_of_the_largest_abundances_counts(raw: np.ndarray) -> None:
    best = np.full((3, 4), -1)
    for i in range(3):
        for j in range(4):
            for k in range(3):
                if raw[i, j, k] > (0 if best[i, j] < 0 else raw[i, j, best[i, j]]):
                    best[i, j] = k
    if best.max() < 0:
        with pytest.raises(SceneError, match="no pixel is labelled"):
            read_labels(raw, "here", form="abundances")
        return
    found = read_labels(raw, "here", form="abundances")
    used = sorted(set(best[best >= 0].tolist()))
    assert found.class_names == tuple(f"class {k + 1}" for k in used)
    assert found.labels.tolist() == [[-1 if k < 0 else used.index(k) for k in row] for row in best.tolist()]
    assert found.is_derived


def test_blocks_do_not_change_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    raw, parts = generator.integers(0, 9, (31, 7)), generator.dirichlet(np.ones(4), (31, 7))
    whole = [read_labels(raw, "here").labels, read_labels(parts, "here").labels]
    monkeypatch.setattr(label_forms, "_BLOCK_VALUES", 20)
    assert np.array_equal(read_labels(raw, "here").labels, whole[0])
    assert np.array_equal(read_labels(parts, "here").labels, whole[1])


HOT = np.eye(3)[np.array([[0, 1, 2], [2, 1, 0]])]


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (np.array([[0, 1], [2, 3]]), "map"),
        (np.array([[0.0, 1.0], [2.0, 3.0]], dtype="f4"), "map"),
        (np.array([[True, False], [True, True]]), "mask"),
        (HOT, "one_hot"),
        (HOT.astype(bool), "one_hot"),
        (np.where(np.arange(3)[None, :, None] == 0, 0, HOT), "one_hot"),
        (HOT * 0.8 + 0.2 / 3, "abundances"),
        (HOT * 0.79 + 0.2 / 3, "abundances"),
        (np.array([[0, 1], [2, 3]])[..., None], "map"),
    ],
)
def test_the_form_is_recognised(raw: np.ndarray, form: str) -> None:
    assert read_labels(raw, "here").form == form


@pytest.mark.parametrize(
    ("raw", "options", "words"),
    [
        (np.array([[0.5, 1], [2, 3]]), {}, "0.5 to 3.*whole numbers"),
        (HOT + np.roll(HOT, 1, axis=2), {}, "sums of a pixel from 2 to 2"),
        (HOT * 7, {}, "values from 0 to 7"),
        (HOT * 0.5 + 0.5 / 3 * 0.2, {}, "neither one-hot"),
        (HOT * 2, {"form": "one_hot"}, "at most one 1"),
        (HOT, {"form": "map"}, "3 values per pixel, which cannot be map"),
        (HOT[..., 0], {"form": "abundances"}, "one value per pixel, which cannot be abundances"),
        (np.where(HOT > 0, np.inf, 0), {"form": "abundances"}, "must be finite"),
        (np.array([[0, 1], [1, 1]]), {}, "--labels-are mask"),
        (np.ones((2, 2), bool), {}, "without any pixel outside"),
        (HOT, {"class_names": ["a", "b"]}, "2 class names for 3 classes"),
        (HOT, {"class_names": ["a", "b", "a"]}, "two classes are called 'a'"),
        (np.array([["a"]]), {}, "must be numbers"),
        (np.zeros((0, 3)), {}, "hold nothing"),
        (np.zeros((2, 2, 5000)), {}, "at most 1000 classes"),
    ],
)
def test_what_is_none_of_the_forms_is_named(raw: np.ndarray, options: dict, words: str) -> None:
    with pytest.raises(SceneError, match=words):
        read_labels(raw, "here", **options)


def test_options_without_meaning_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="labels_are='maps'"):
        read_labels(HOT, "here", form="maps")
    with pytest.raises(InvalidValueError, match="unlabelled=0 given with 3 values per pixel"):
        read_labels(HOT, "here", unlabelled=0)


def test_a_class_that_is_nowhere_the_largest_is_left_out_and_said() -> None:
    found = read_labels(np.concatenate([HOT, HOT[..., :1] * 0], axis=2), "here", class_names=["a", "b", "c", "lost"])
    assert found.class_names == ("a", "b", "c")
    assert found.notes == ("left out, as no pixel is theirs: lost",)


def test_a_mask_keeps_its_unlabelled_pixels() -> None:
    raw = np.array([[0, 9, np.nan], [-1, 4, 0]])
    assert read_labels(raw, "here", form="mask").labels.tolist() == [[0, 1, -1], [-1, 1, 0]]
    assert read_labels(raw, "here", form="mask", unlabelled=4).labels.tolist() == [[0, 1, -1], [-1, -1, 0]]


@pytest.mark.parametrize(
    ("names", "class_names", "first_is_class"),
    [
        (["Unclassified", "Soil", "Grass", "Water", "Road"], ("Soil", "Grass", "Water", "Road"), False),
        (["Rock", "Soil", "Grass", "Water", "Road"], ("Rock", "Soil", "Grass", "Water", "Road"), True),
        (["background", "Soil"], ("Soil", "class 2", "class 3", "class 4"), False),
    ],
)
def test_names_of_an_envi_classification(
    names: list[str], class_names: tuple[str, ...], first_is_class: bool, tmp_path: Path
) -> None:
    envi = pytest.importorskip("spectral.io.envi")
    scene = tiny_scene(height=20, width=24, bands=6)
    cube, _ = write_npy(scene, tmp_path)
    path = tmp_path / "classes.hdr"
    envi.save_image(
        str(path), (scene.labels + 1).astype(np.uint8), metadata={"class names": names, "classes": len(names)}
    )
    loaded = load_scene(cube, path)
    assert loaded.class_names == class_names
    assert np.array_equal(loaded.labels, scene.labels + first_is_class)
    assert load_scene(cube, path, class_names=[f"mine {i}" for i in class_names]).class_names[0].startswith("mine")


def test_jasper_ridges_own_files_give_the_registered_scene() -> None:
    from benchmark.scenes.base import data_root

    folder = data_root() / "JasperRidge"
    if not (folder / "end4.mat").is_file():
        pytest.skip("the files of jasper_ridge are not in HSICL_DATA")
    loaded = load_scene(
        f"{folder / 'jasperRidge2_R198.mat'}:Y", f"{folder / 'end4.mat'}:A", shape=(100, 100, 198), order="F",
        class_names=["tree", "water", "dirt", "road"],
    )  # fmt: skip
    assert loaded.hash == load_scene("jasper_ridge").hash
    assert "LABELS ARE DERIVED" in loaded.provenance
