"""Synthetic scenes: the model they claim, the strengths asked for, and the same bytes however they are made."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import re
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tqdm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import hsicl
from benchmark.scene import Scene
from benchmark.scene_commands import _RECIPE_OPTIONS
from benchmark.scene_files import load_scene
from benchmark.synthetic import writing
from benchmark.synthetic.ground import Cells, _counted_out
from benchmark.synthetic.recipe import SyntheticRecipe
from benchmark.synthetic.rows import SyntheticRows
from benchmark.synthetic.writing import import_synthetic, synthetic_abundances, synthetic_scene, write_synthetic
from hsicl_core.errors import InvalidValueError, SceneError, UserError

# Seven spectra of ten bands that no two of which are parallel.
SPECTRA = 1000 + 400 * np.random.default_rng(5).normal(size=(7, 10)).round(3)


def recipe(**changes: Any) -> SyntheticRecipe:
    """A small scene of made-up spectra without noise."""
    plain = {"height": 40, "width": 48, "spectra": SPECTRA, "classes": 4, "region": 8, "snr_db": None}
    return SyntheticRecipe(**{**plain, **changes})


def real(**changes: Any) -> SyntheticRecipe:
    """A small scene of the spectra of Indian Pines."""
    return SyntheticRecipe(**{"height": 40, "width": 48, "classes": 6, "bands": 30, "region": 6, **changes})


def nearest_neighbour_accuracy(scene: Scene) -> float:
    """Share of the pixels in odd columns whose nearest pixel of the even columns is of their class."""
    train, test = scene.cube[:, ::2], scene.cube[:, 1::2]
    train, test = (part.reshape(-1, part.shape[2]).astype(np.float64) for part in (train, test))
    squares = (train**2).sum(axis=1) - 2 * test @ train.T
    return float((scene.labels[:, ::2].ravel()[squares.argmin(axis=1)] == scene.labels[:, 1::2].ravel()).mean())


# --- the same bytes -------------------------------------------------------------------------------------------------


def digest(cube: NDArray[np.generic], labels: NDArray[np.generic]) -> str:
    return hashlib.sha256(cube.tobytes() + labels.astype("<i2").tobytes()).hexdigest()[:16]


EVERYTHING: dict[str, Any] = {
    "mixing": 0.3, "border_mixing": 2, "illumination": 0.1, "labelled": 0.8, "border_gap": 1, "snr_db": 25, "seed": 3,
    "proportions": "source",
}  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "snr_db", "golden"),
    [
        ("float32", None, "02160ea70f9ed05a"),
        # Rounded, because the tails of the normal numbers go through the logarithm of the machine's library.
        ("uint16", 25, "21ab0e1901bd9d25"),
    ],
)
def test_the_same_recipe_gives_the_same_bytes_for_ever(dtype: str, snr_db: float | None, golden: str) -> None:
    scene = synthetic_scene(real(**{**EVERYTHING, "snr_db": snr_db}, dtype=dtype))
    assert scene.cube.dtype == dtype
    assert digest(scene.cube, scene.labels) == golden, "other pixels: raise SYNTHETIC_VERSION"


@settings(deadline=None, max_examples=15)
@given(block=st.integers(1, 50), start=st.integers(0, 39), length=st.integers(1, 40), seed=st.integers(0, 2**70))
def test_no_pixel_depends_on_the_block_it_is_made_in(block: int, start: int, length: int, seed: int) -> None:
    rows = SyntheticRows(recipe(border_mixing=2, mixing=0.4, border_gap=1, labelled=0.7, snr_db=10, seed=seed))
    stop = min(start + length, 40)
    for make in (rows.cube, rows.labels, rows.abundances):
        whole = make(0, 40)
        assert np.array_equal(make(start, stop), whole[start:stop])
        parts = [make(first, min(first + block, 40)) for first in range(0, 40, block)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_no_pixel_depends_on_the_chunk_it_is_worked_on_in(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = synthetic_scene(real(**EVERYTHING)).hash
    monkeypatch.setattr("benchmark.synthetic.rows.CHUNK_BYTES", 7 * 30 * 4)
    assert synthetic_scene(real(**EVERYTHING)).hash == whole


@pytest.mark.parametrize("cube_format", ["npy", "envi"])
@pytest.mark.parametrize("dtype", ["float32", "uint16"])
@pytest.mark.parametrize("block_rows", [None, 1, 7, 1000])
def test_files_hold_the_pixels_of_the_scene_in_memory(
    tmp_path: Path, cube_format: str, dtype: str, block_rows: int | None
) -> None:
    wanted = synthetic_scene(real(**EVERYTHING, dtype=dtype))
    seen: list[tuple[int, int]] = []
    cube, labels = write_synthetic(
        tmp_path / "made", real(**EVERYTHING, dtype=dtype), cube_format=cube_format, block_rows=block_rows,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    read = load_scene(cube, labels, unlabelled=-1, class_names=wanted.class_names)
    assert read.cube.dtype == dtype
    assert read.hash == wanted.hash
    assert np.load(labels).dtype == np.int16
    assert seen[-1] == (wanted.cube.nbytes, wanted.cube.nbytes)
    assert len(seen) == {None: 1, 1: 40, 7: 6, 1000: 1}[block_rows]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made"]
    described = json.loads((tmp_path / "made" / "recipe.json").read_text())
    assert described["provenance"] == wanted.provenance
    assert tuple((tmp_path / "made" / "class_names.txt").read_text().splitlines()) == wanted.class_names


def test_wavelengths_follow_the_chosen_bands(tmp_path: Path) -> None:
    source = dataclasses.replace(synthetic_scene(recipe()), wavelengths_nm=np.linspace(400, 2500, 10), name="source")
    made = SyntheticRecipe(height=30, width=30, spectra=source, bands=4)
    assert synthetic_scene(made).wavelengths_nm == pytest.approx(np.linspace(400, 2500, 10)[[0, 3, 6, 9]])
    cube, labels = write_synthetic(tmp_path / "made", made, cube_format="envi")
    assert load_scene(cube, labels, unlabelled=-1).wavelengths_nm == pytest.approx([400, 1100, 1800, 2500])


def test_one_strength_changes_nothing_else() -> None:
    plain, noisy, noisier = (synthetic_scene(recipe(snr_db=snr)).cube.astype(np.float64) for snr in (None, 40, 20))
    # The same noise, ten times as strong.
    assert (noisier - plain) == pytest.approx(10 * (noisy - plain), abs=0.01)
    little, much = (synthetic_abundances(recipe(mixing=mixing))[0] for mixing in (0.2, 0.8))
    assert np.array_equal(little > 0, much > 0)
    assert np.array_equal(synthetic_scene(recipe()).labels, synthetic_scene(recipe(mixing=1)).labels)
    assert not np.array_equal(synthetic_scene(recipe()).labels, synthetic_scene(recipe(seed=1)).labels)


def test_memory_does_not_grow_with_the_height(tmp_path: Path) -> None:
    peaks = []
    for height in (600, 2400):
        tracemalloc.start()
        cube, _ = write_synthetic(tmp_path / str(height), recipe(height=height, width=500, snr_db=20), block_rows=50)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert cube.stat().st_size == 128 + height * 500 * 10 * 4
    assert peaks[1] < 1.2 * peaks[0] < 0.5 * 2400 * 500 * 10 * 4


# --- the model ------------------------------------------------------------------------------------------------------


def test_a_pixel_is_its_abundances_times_the_spectra() -> None:
    made = recipe(mixing=0.7, border_mixing=2)
    abundances, spectra = synthetic_abundances(made)
    assert spectra == pytest.approx(SPECTRA[:4])
    assert abundances.min() >= 0
    assert abundances.sum(axis=2) == pytest.approx(1, abs=1e-6)
    pixels = synthetic_scene(made).cube.reshape(-1, 10).astype(np.float64)
    recovered = np.linalg.lstsq(spectra.T.astype(np.float64), pixels.T, rcond=None)[0].T
    assert recovered == pytest.approx(abundances.reshape(-1, 4), abs=1e-5)


def test_border_mixing_is_the_share_of_the_classes_in_a_square() -> None:
    labels = synthetic_scene(recipe()).labels
    abundances, _ = synthetic_abundances(recipe(border_mixing=2))
    padded = np.pad(labels, 2, mode="edge")
    for row in range(40):
        for column in range(48):
            square = padded[row : row + 5, column : column + 5]
            wanted = np.bincount(square.ravel(), minlength=4) / 25
            assert abundances[row, column] == pytest.approx(wanted, abs=1e-6)


def test_mixing_gives_a_uniform_fraction_of_one_other_class() -> None:
    made = recipe(height=100, width=100, mixing=0.6)
    labels = synthetic_scene(made).labels
    abundances, _ = synthetic_abundances(made)
    own = np.take_along_axis(abundances, labels[..., None], axis=2)[..., 0]
    assert ((abundances > 0).sum(axis=2) == 2).all()
    fractions = np.sort(1 - own.ravel())
    assert fractions == pytest.approx(np.linspace(0, 0.6, fractions.size), abs=0.02)
    partners = abundances.copy()
    np.put_along_axis(partners, labels[..., None], 0, axis=2)
    for label in range(4):
        shares = np.bincount(partners.argmax(axis=2)[labels == label], minlength=4) / (labels == label).sum()
        assert np.delete(shares, label) == pytest.approx(1 / 3, abs=0.04)


def test_variability_has_the_covariance_of_the_real_pixels() -> None:
    source = load_scene("indian_pines")
    bands = [0, 50, 100, 149, 199]
    made = synthetic_scene(SyntheticRecipe(height=300, width=300, classes=3, bands=5, snr_db=None))
    assert made.class_names == ("Corn-notill", "Soybean-mintill", "Woods")
    for label, name in enumerate(made.class_names):
        wanted = source.cube[source.labels == source.class_names.index(name)][:, bands].astype(np.float64)
        found = made.cube[made.labels == label].astype(np.float64)
        spread = wanted.std(axis=0)
        assert (found.mean(axis=0) - wanted.mean(axis=0)) / spread == pytest.approx(0, abs=0.03)
        assert np.corrcoef(found.T) == pytest.approx(np.corrcoef(wanted.T), abs=0.03)
        assert found.std(axis=0) / spread == pytest.approx(1, abs=0.03)
    # Nothing is a copy: a copy in another region would make any classifier look good.
    pixels = made.cube.reshape(-1, 5)
    assert len(np.unique(pixels, axis=0)) > 0.99 * len(pixels)


def test_variability_scales() -> None:
    none, half, full = (synthetic_scene(real(variability=v, snr_db=None)).cube.astype(float) for v in (0.0, 0.5, 1.0))
    assert np.abs(full - none).max() > 100
    assert (half - none) == pytest.approx((full - none) / 2, abs=0.01)
    assert len(np.unique(none.reshape(-1, 30), axis=0)) == 6


@pytest.mark.parametrize("snr_db", [0.0, 20.0, 35.0])
@pytest.mark.parametrize("changes", [{}, {"mixing": 0.8, "border_mixing": 1, "illumination": 0.3}])
def test_measured_snr_is_the_one_asked_for_in_every_band(snr_db: float, changes: dict[str, Any]) -> None:
    signal = synthetic_scene(real(height=150, width=100, snr_db=None, **changes)).cube.astype(np.float64)
    noise = synthetic_scene(real(height=150, width=100, snr_db=snr_db, **changes)).cube - signal
    measured = 10 * np.log10((signal**2).mean(axis=(0, 1)) / (noise**2).mean(axis=(0, 1)))
    assert measured == pytest.approx(snr_db, abs=0.3)
    # White: no mean, no correlation between neighbours or bands.
    unit = noise / noise.std(axis=(0, 1))
    assert unit.mean(axis=(0, 1)) == pytest.approx(0, abs=0.04)
    for other in (unit[1:], unit[:, 1:], unit[..., 1:]):
        same = unit[tuple(slice(0, side) for side in other.shape)]
        assert (same * other).mean() == pytest.approx(0, abs=0.01)
    assert (np.abs(unit) < 1).mean() == pytest.approx(0.6827, abs=0.005)


def test_illumination_is_one_gain_per_pixel() -> None:
    ratio = synthetic_scene(recipe(illumination=0.4)).cube / synthetic_scene(recipe()).cube.astype(np.float64)
    assert (ratio.max(axis=2) - ratio.min(axis=2)).max() < 1e-5
    assert np.sort(ratio[..., 0].ravel()) == pytest.approx(np.linspace(0.6, 1.4, 40 * 48), abs=0.04)


def test_uint16_is_the_rounded_float32() -> None:
    values = {dtype: synthetic_scene(real(snr_db=-10, dtype=dtype)).cube for dtype in ("float32", "uint16")}
    assert values["float32"].min() < 0  # so that clipping is seen
    assert np.array_equal(values["uint16"], np.clip(np.rint(values["float32"]), 0, 65535))


# --- controlled experiments -----------------------------------------------------------------------------------------


def test_classes_are_separable_without_noise_and_mixing() -> None:
    assert nearest_neighbour_accuracy(synthetic_scene(recipe())) == 1
    clean = synthetic_scene(SyntheticRecipe(height=64, width=64, region=8, variability=0.0, snr_db=None))
    assert clean.n_classes == 16
    assert nearest_neighbour_accuracy(clean) == 1


@pytest.mark.parametrize(
    ("field", "strengths"),
    [
        ("snr_db", [60.0, 25.0, 15.0, 5.0, -5.0]),
        ("mixing", [0.0, 0.7, 0.85, 1.0]),
        ("border_mixing", [0, 1, 2, 4]),
        ("variability", [0.0, 0.5, 1.0, 2.0]),
    ],
)
def test_accuracy_falls_with_each_difficulty(field: str, strengths: list[float]) -> None:
    plain: dict[str, Any] = {"variability": 0.0, "snr_db": None, "bands": 20}
    means = [
        np.mean([nearest_neighbour_accuracy(synthetic_scene(real(**{**plain, field: s}, seed=k))) for k in range(3)])
        for s in strengths
    ]
    assert means[0] == 1
    assert (np.diff(means) < -0.01).all(), means


# --- the ground -----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(height=st.integers(1, 60), width=st.integers(1, 60), side=st.integers(2, 25), seed=st.integers(0, 1000))
def test_cells_belong_to_the_nearest_seed(height: int, width: int, side: int, seed: int) -> None:
    cells = Cells(height, width, side, np.random.default_rng(seed))
    found = cells.of(np.arange(height), width)
    y = (np.arange(height) + 0.5) * cells.grid[0] / height
    x = (np.arange(width) + 0.5) * cells.grid[1] / width
    seeds = cells.seeds.reshape(2, -1)
    distances = (y[:, None, None] - seeds[0]) ** 2 + (x[None, :, None] - seeds[1]) ** 2
    chosen = np.take_along_axis(distances, found[..., None], axis=2)[..., 0]
    assert chosen == pytest.approx(distances.min(axis=2), abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(20, 60), width=st.integers(20, 60), region=st.integers(2, 8), gap=st.integers(0, 1),
    labelled=st.floats(0.3, 1), proportions=st.sampled_from(["balanced", "source", (1, 2, 3, 0.5)]),
)  # fmt: skip
def test_every_generated_scene_is_a_scene(
    height: int, width: int, region: int, gap: int, labelled: float, proportions: Any
) -> None:
    made = recipe(height=height, width=width, region=region, border_gap=gap, labelled=labelled, proportions=proportions)
    if gap and region < 4:
        # Regions this small may be all border.
        made = dataclasses.replace(made, border_gap=0)
    scene = synthetic_scene(made)
    scene.check()
    assert scene.cube.shape == (height, width, 10)
    assert scene.n_classes == 4


@given(weights=st.lists(st.floats(0.01, 1), min_size=2, max_size=20), spare=st.integers(0, 500))
def test_regions_are_counted_out_to_the_nearest_whole_numbers(weights: list[float], spare: int) -> None:
    shares = np.array(weights) / sum(weights)
    n = len(shares) + spare
    counts = _counted_out(n, shares)
    assert counts.sum() == n
    assert counts.min() >= 1
    if (shares * n >= 1).all():
        assert np.abs(counts - shares * n).max() < 1


@pytest.mark.parametrize(
    ("proportions", "wanted"),
    [
        ("balanced", [0.25, 0.25, 0.25, 0.25]),
        ((4, 3, 2, 1), [0.4, 0.3, 0.2, 0.1]),
    ],
)
def test_proportions_of_the_classes_are_as_asked(proportions: Any, wanted: list[float]) -> None:
    scene = synthetic_scene(recipe(height=240, width=240, proportions=proportions))
    assert scene.class_counts / scene.class_counts.sum() == pytest.approx(wanted, abs=0.01)


def test_proportions_of_the_source() -> None:
    scene = synthetic_scene(SyntheticRecipe(height=300, width=300, region=6, bands=2, proportions="source"))
    source = load_scene("indian_pines")
    assert scene.class_names == source.class_names
    wanted = source.class_counts / source.class_counts.sum()
    assert scene.class_counts / scene.class_counts.sum() == pytest.approx(wanted, abs=0.005)


def test_regions_are_as_large_as_asked_and_contiguous() -> None:
    from scipy import ndimage

    borders = []
    for region in (4, 8, 16):
        cells = Cells(96, 96, region, np.random.default_rng(1)).of(np.arange(96), 96)
        assert len(np.unique(cells)) == (96 // region) ** 2
        assert all(ndimage.label(cells == cell)[1] == 1 for cell in np.unique(cells))
        borders.append((cells[1:] != cells[:-1]).mean())
    assert borders[0] / borders[1] == pytest.approx(2, rel=0.2)
    assert borders[1] / borders[2] == pytest.approx(2, rel=0.2)


def test_the_labelled_share_is_as_asked_in_gaps_of_whole_regions() -> None:
    full = synthetic_scene(recipe(height=240, width=240))
    some = synthetic_scene(recipe(height=240, width=240, labelled=0.6))
    assert (full.labels >= 0).all()
    assert (some.labels >= 0).mean() == pytest.approx(0.6, abs=0.02)
    assert some.class_counts / full.class_counts == pytest.approx(0.6, abs=0.05)
    # What has no label looks as before, and a gap is as large as a region.
    assert np.array_equal(full.cube, some.cube)
    assert np.array_equal(full.labels[some.labels >= 0], some.labels[some.labels >= 0])
    gap = some.labels < 0
    assert (gap[:, 1:] == gap[:, :-1]).mean() > 0.9


def test_border_gap_takes_the_labels_near_other_classes() -> None:
    full, gap = (synthetic_scene(recipe(border_gap=size)).labels for size in (0, 2))
    padded = np.pad(full, 2, mode="edge")
    for row in range(40):
        for column in range(48):
            is_mixed = len(np.unique(padded[row : row + 5, column : column + 5])) > 1
            assert gap[row, column] == (-1 if is_mixed else full[row, column])


def test_a_real_map_is_tiled_and_cropped() -> None:
    real_map = np.array([[0, 0, 1], [-1, 2, 2]])
    made = recipe(classes=None, label_map=real_map, height=5, width=7)
    scene = synthetic_scene(made)
    assert np.array_equal(scene.labels, np.tile(real_map, (3, 3))[:5, :7])
    # Class k has the k-th spectrum; the unlabelled pixel that of a neighbour.
    assert scene.cube[scene.labels >= 0] == pytest.approx(SPECTRA[scene.labels[scene.labels >= 0]])
    assert scene.cube[1, 0] in (pytest.approx(SPECTRA[0]), pytest.approx(SPECTRA[2]))
    gaps = synthetic_scene(recipe(classes=None, label_map=np.indices((60, 60))[0] // 14 % 3, labelled=0.5))
    assert (gaps.labels >= 0).mean() == pytest.approx(0.5, abs=0.1)


def test_the_map_of_a_scene_wears_its_own_spectra() -> None:
    source = load_scene("indian_pines")
    scene = synthetic_scene(
        SyntheticRecipe(height=145, width=145, label_map="indian_pines", snr_db=None, variability=0.0)
    )
    assert np.array_equal(scene.labels, source.labels)
    assert scene.class_names == source.class_names
    for label in range(16):
        is_class = source.labels == label
        assert np.allclose(scene.cube[is_class], source.cube[is_class].mean(axis=0), rtol=1e-6)


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"height": 0}, "height=0"),
        ({"width": 2.5}, "width=2.5"),
        ({"region": 1}, "region=1"),
        ({"classes": 1}, "classes=1"),
        ({"classes": 8}, "8 classes.*has 7"),
        ({"bands": 0}, "bands=0"),
        ({"bands": 11}, "bands=11.*has 10"),
        ({"labelled": 0.0}, "labelled=0.0"),
        ({"labelled": 1.1}, "labelled=1.1"),
        ({"border_gap": -1}, "border_gap=-1"),
        ({"border_mixing": -1}, "border_mixing=-1"),
        ({"mixing": 1.5}, "mixing=1.5"),
        ({"illumination": 1.0}, "illumination=1.0"),
        ({"variability": -1.0}, "variability=-1.0"),
        ({"variability": 1.0}, "variability=1 needs real pixels"),
        ({"snr_db": float("nan")}, "snr_db=nan"),
        ({"snr_db": 500.0}, "snr_db=500.0"),
        ({"dtype": "int16"}, "dtype='int16'"),
        ({"dtype": "uint16", "spectra": SPECTRA / 1000}, "dtype='uint16'"),
        ({"seed": -1}, "seed=-1"),
        ({"proportions": "even"}, "proportions='even'"),
        ({"proportions": (1, 2, 0, 1)}, "proportions=0"),
        ({"proportions": (1, 2)}, "2 numbers for 4"),
        ({"region": 40}, "region=40 gives 1 regions"),
        ({"border_gap": 30}, "no labelled pixel of class 0"),
        ({"spectra": SPECTRA[0]}, r"\(classes, bands\)"),
        ({"spectra": np.where(SPECTRA > 1000, np.nan, SPECTRA)}, "finite"),
        ({"spectra": "indian_pine"}, "indian_pines"),
        ({"label_map": np.eye(3, dtype=int)}, "classes=4 is given"),
        ({"label_map": np.eye(3, dtype=int), "classes": None, "proportions": "source"}, "proportions='source'"),
        ({"label_map": np.full((3, 3), 2), "classes": None}, "label_map holds 1 classes"),
        ({"label_map": np.eye(3), "classes": None}, "whole numbers"),
        ({"label_map": np.eye(3, dtype=int) - 2, "classes": None}, "ids from -2"),
        ({"label_map": np.arange(9).reshape(3, 3), "classes": None}, "9 classes.*has 7"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else re.sub(r"\W+", " ", value),
)
def test_what_cannot_be_made_is_refused_in_one_line(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    for make in (synthetic_scene, lambda made: write_synthetic(tmp_path / "made", made)):
        with pytest.raises(UserError, match=words) as caught:
            make(recipe(**changes))
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(InvalidValueError, match="not empty"):
        write_synthetic(tmp_path / "full", recipe())
    with pytest.raises(InvalidValueError, match="cube_format='tiff'"):
        write_synthetic(tmp_path / "new", recipe(), cube_format="tiff")
    with pytest.raises(InvalidValueError, match="block_rows=0"):
        write_synthetic(tmp_path / "new", recipe(), block_rows=0)

    def stop(done: int, total: int) -> None:
        raise OSError(28, "No space left on device")

    for folder in (tmp_path / "new", tmp_path / "full" / "mine" / "below"):
        with pytest.raises(SceneError, match="cannot write"):
            write_synthetic(folder, recipe(), progress=stop)
    with pytest.raises(SceneError, match="No space left"):
        import_synthetic("field", recipe(), tmp_path, progress=stop)
    assert list((tmp_path / "imported").iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: argparse.Namespace(free=1000))
    with pytest.raises(SceneError, match=r"needs 76800 bytes.*1000 free"):
        write_synthetic(tmp_path / "new", recipe())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "imported"]
    (tmp_path / "empty").mkdir()
    monkeypatch.undo()
    assert write_synthetic(tmp_path / "empty", recipe())[0].is_file()


# --- provenance and the command -------------------------------------------------------------------------------------


def test_the_provenance_tells_every_parameter() -> None:
    provenance = synthetic_scene(recipe(mixing=0.25, seed=11)).provenance
    assert provenance.startswith("SYNTHETIC")
    told = json.loads(provenance[provenance.index("{") :])
    assert set(told) == {field.name for field in dataclasses.fields(SyntheticRecipe)} | {"version"}
    assert (told["mixing"], told["seed"], told["height"]) == (0.25, 11, 40)
    assert told["spectra"].startswith("array (7, 10) float64 (")
    assert told != json.loads(recipe(spectra=SPECTRA + 1, mixing=0.25, seed=11).describe())
    scene = load_scene("indian_pines")
    assert scene.hash in SyntheticRecipe(height=9, width=9, spectra=scene).describe()


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root of its own, and a working folder of its own."""
    monkeypatch.setenv("HSICL_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


SIZE = ["--height", "30", "--width", "36"]


def test_the_command_leaves_a_named_scene(
    data_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A bar that does not wait for a second of work.
    monkeypatch.setattr("tqdm.tqdm", lambda real=tqdm.tqdm, **options: real(**{**options, "delay": 0}))
    options = ["--classes", "5", "--bands", "20", "--snr", "25", "--mixing", "0.2", "--region", "6", "--seed", "4"]
    assert hsicl.main(["scenes", "synthesize", "field", *SIZE, *options, "--dtype", "uint16"]) == 0
    out, err = capsys.readouterr()
    assert "SYNTHETIC" in out
    assert "--scene field works" in out
    assert err == ""  # no progress where nobody watches
    wanted = SyntheticRecipe(
        height=30, width=36, classes=5, bands=20, snr_db=25.0, mixing=0.2, region=6, seed=4, dtype="uint16"
    )
    scene = load_scene("field")
    assert scene.hash == synthetic_scene(wanted).hash
    assert scene.cube.dtype == np.uint16
    assert wanted.describe() in scene.provenance
    assert sorted(path.name for path in (data_folder / "data" / "imported").iterdir()) == ["field"]
    assert hsicl.main(["scenes", "synthesize", "field", *SIZE]) == 2
    assert "taken" in capsys.readouterr().err


def test_the_files_of_the_command_can_be_imported_as_it_says(
    data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--spectra", "indian_pines", "--region", "4", "--bands", "8"]
    assert hsicl.main(["scenes", "synthesize", "field", *SIZE, *options, "--files", "made"]) == 0
    command = capsys.readouterr().out.splitlines()[-1].partition("hsicl ")[2].split()
    assert not (data_folder / "data").exists()
    assert hsicl.main(command) == 0
    wanted = synthetic_scene(SyntheticRecipe(height=30, width=36, region=4, bands=8))
    assert load_scene("field").hash == wanted.hash


def test_a_wrong_option_is_one_line(data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, words in ((["--mixing", "2"], "mixing=2.0"), (["--spectra", "indian_pine"], "indian_pines")):
        assert hsicl.main(["scenes", "synthesize", "field", *SIZE, *options]) == 2
        err = capsys.readouterr().err
        assert words in err
        assert err.count("\n") == 1
    assert not list(data_folder.rglob("*.npy"))


def test_the_defaults_that_the_help_names_are_the_recipes() -> None:
    fields = {field.name: field for field in dataclasses.fields(SyntheticRecipe)}
    for _, name, kind, _, text in _RECIPE_OPTIONS:
        named = text.partition("(default: ")[2].rstrip(")")
        default = fields[name].default
        if default is None:
            assert named == {"variability": "1"}.get(name, "all")
        elif default == "generated":
            assert named == "a generated one"
        else:
            assert kind(named) == default


def test_progress_is_told_in_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(writing, "BLOCK_BYTES", 48 * 10 * 4 * 9)
    seen: list[tuple[int, int]] = []
    import_synthetic("field", recipe(), tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == [48 * 10 * 4 * rows for rows in (9, 18, 27, 36, 40)]
    assert {total for _, total in seen} == {40 * 48 * 10 * 4}
