"""Classification maps as pictures, and the colours of their classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from report.errors import ReportError
from report.maps import RIGHT, WRONG, draw_classification_map
from report.palette import UNLABELLED, class_colours


def example(height: int, width: int, n_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    truth = generator.integers(-1, n_classes, (height, width))
    return truth, generator.integers(0, n_classes, (height, width)), generator.random((height, width), dtype=np.float32)


def count(picture: np.ndarray, colour: str) -> int:
    """Return the dots of exactly this colour."""
    return int((np.abs(picture[..., :3] - to_rgb(colour)).max(axis=-1) < 1 / 255).sum())


@pytest.mark.parametrize(("height", "width"), [(40, 50), (300, 20), (20, 300), (30, 55)])
def test_every_colour_has_the_dots_that_its_pixels_ask_for(height: int, width: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    truth = generator.choice([-1, 0, 1, 2], (height, width), p=[0.3, 0.05, 0.15, 0.5])
    predicted = generator.choice(3, (height, width), p=[0.1, 0.6, 0.3])
    confidence = generator.random((height, width), dtype=np.float32)
    colours = ("#102030", "#00ff01", "#fe00fe")
    path = draw_classification_map(
        truth, predicted, ["a", "b", "c"], tmp_path / "map.png", confidence=confidence, colours=colours
    )
    picture = imread(path)
    labelled, right = (truth >= 0).sum(), (truth == predicted).sum()
    pixels = [(truth == k).sum() + (predicted == k).sum() for k in range(3)]
    pixels += [2 * (truth < 0).sum(), right, labelled - right]
    dots = np.array([count(picture, colour) for colour in (*colours, UNLABELLED, RIGHT, WRONG)])
    # Each colour has its patch in the legend beside that, and pixels are not all of the same whole number of dots.
    assert dots / pixels == pytest.approx(dots[3] / pixels[3], rel=0.15)
    assert dots[3] > pixels[3]
    assert list(tmp_path.iterdir()) == [path]


def test_one_pixel_is_a_dot_at_least(tmp_path: Path) -> None:
    truth = np.full((1400, 60), -1)
    predicted = np.zeros((1400, 60), dtype=np.int64)
    truth[::2] = 1
    picture = imread(
        draw_classification_map(truth, predicted, ["a", "b"], tmp_path / "m.png", colours=["#ff0000", "#0000ff"])
    )
    column = np.abs(picture[..., :3] - to_rgb("#0000ff")).max(axis=-1) < 1 / 255
    # Along some column of the ground truth every second line is seen.
    changes = np.abs(np.diff(column.astype(int), axis=0)).sum(axis=0)
    assert changes.max() >= 1399


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_formats_long_names_and_many_classes(ending: str, tmp_path: Path) -> None:
    truth, predicted, confidence = example(30, 30, 45)
    names = [f"class {k} " + "with a name that goes on & on $x_1$ <b> 測試 " * 3 for k in range(45)]
    path = draw_classification_map(
        truth, predicted, names, tmp_path / f"m{ending}", title="t" * 500, confidence=confidence
    )
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(start)


def test_without_confidence_there_is_a_picture_less(tmp_path: Path) -> None:
    truth, predicted, confidence = example(30, 30, 3)
    few = imread(draw_classification_map(truth, predicted, ["a", "b", "c"], tmp_path / "few.png"))
    all_four = draw_classification_map(truth, predicted, ["a", "b", "c"], tmp_path / "all.png", confidence=confidence)
    assert imread(all_four).shape[1] - few.shape[1] > 500


@pytest.mark.parametrize("name", ["map.xyz", "map", "no/map.png"])
def test_what_cannot_be_written_is_refused_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="map") as error:
        draw_classification_map(*example(5, 5, 2)[:2], ["a", "b"], tmp_path / name)
    assert "\n" not in str(error.value)
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(ReportError, match="choose another --out"):
        draw_classification_map(*example(5, 5, 2)[:2], ["a", "b"], tmp_path / "taken.png")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]


# Linear RGB as green-blind and red-blind people see it (Viénot, Brettel and Mollon 1999), unlike the model in use.
GREEN_BLIND = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
RED_BLIND = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])


def lab(rgb: np.ndarray, seen_through: np.ndarray) -> np.ndarray:
    """CIELAB, by the textbook."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ seen_through.T
    xyz = (
        np.clip(linear, 0, 1)
        @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    )
    t = xyz / [0.9505, 1.0, 1.089]
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


# A difference of about 2.3 is just noticed. Sixteen of matplotlib's tab20 reach no more than 5 for two hues.
@pytest.mark.parametrize(("n", "all_hues", "two_hues"), [(7, 25, 10), (9, 25, 10), (16, 18, 8), (24, 12, 5)])
def test_colours_differ_for_everybody(n: int, all_hues: float, two_hues: float) -> None:
    rgb = np.array([to_rgb(colour) for colour in (*class_colours(n), UNLABELLED)])
    for matrix, least in ((np.eye(3), all_hues), (GREEN_BLIND, two_hues), (RED_BLIND, two_hues)):
        values = lab(rgb, matrix)
        distance = np.linalg.norm(values[:, None] - values[None], axis=-1)
        assert distance[~np.eye(n + 1, dtype=bool)].min() >= least


def test_no_class_looks_unlabelled() -> None:
    rgb = np.array([to_rgb(colour) for colour in (*class_colours(60), UNLABELLED)])
    for matrix in (np.eye(3), GREEN_BLIND, RED_BLIND):
        values = lab(rgb, matrix)
        assert np.linalg.norm(values[:-1] - values[-1], axis=1).min() >= 10


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60))
def test_fewer_classes_have_the_first_of_the_same_colours(n: int) -> None:
    colours = class_colours(n)
    assert len(set(colours)) == n
    assert colours == class_colours(60)[:n]
    assert UNLABELLED not in colours


def test_a_thousand_classes_have_a_thousand_colours() -> None:
    assert len(set(class_colours(1000))) == 1000


def test_of_a_large_scene_rows_and_columns_are_left_out_and_the_title_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("report.maps._MOST_PIXELS", 40)
    titles: list[str] = []
    monkeypatch.setattr("report.maps.figure_text", lambda text, *given: titles.append(text) or text)
    truth = np.zeros((60, 100), dtype=np.int64)
    # What is drawn of every third row and column is right, what is left out is wrong.
    predicted = np.ones_like(truth)
    predicted[::3, ::3] = 0
    path = draw_classification_map(truth, predicted, ["a", "b"], tmp_path / "map.png", title="large")
    assert "large (one of 3 rows and columns)" in titles
    picture = imread(path)[..., :3]
    # The legend alone is left to show the colour of errors.
    assert count(picture, WRONG) < count(picture, RIGHT) / 20
