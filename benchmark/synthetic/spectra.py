"""ClassSpectra: what the pixels of a synthetic scene are mixed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.scene import Scene
from benchmark.scene_files import load_scene
from benchmark.synthetic.recipe import SyntheticRecipe
from hsicl_core.errors import InvalidValueError

# Enough for the covariance of a class; of more, evenly chosen ones stand for all.
MOST_PIXELS = 4096


@dataclass(frozen=True)
class ClassSpectra:
    """Real class spectra and how real pixels deviate from them.

    Attributes:
        names: K class names.
        means: (K, bands) float32 mean spectra.
        deviations: (pixels, bands) float32, per class with mean zero, one class after the other.
        counts: (K,) how many of the deviations belong to each class; all 0 where only means are known.
        shares: (K,) share of each class in the source, adding up to one.
        wavelengths_nm: (bands,) or None.
    """

    names: tuple[str, ...]
    means: NDArray[np.float32]
    deviations: NDArray[np.float32]
    counts: NDArray[np.int64]
    shares: NDArray[np.float64]
    wavelengths_nm: NDArray[np.float64] | None

    @property
    def first(self) -> NDArray[np.int64]:
        """(K,) where the deviations of each class begin."""
        return np.cumsum(self.counts) - self.counts


def class_spectra(recipe: SyntheticRecipe, n_classes: int | None) -> ClassSpectra:
    """Return the spectra that a recipe asks for.

    Args:
        recipe: its ``spectra``, ``bands``, ``variability`` and ``dtype`` are used.
        n_classes: how many, the most frequent of the source; None takes all.

    Raises:
        InvalidValueError: fewer classes or bands in the source than asked for, or values that do not fit the dtype.
        SceneError, SceneNotFoundError, UnknownNameError: the source cannot be loaded.
    """
    source = recipe.spectra
    if isinstance(source, str):
        source = load_scene(source)
    if isinstance(source, Scene):
        spectra = _of_scene(source, n_classes, _chosen_bands(recipe, source.cube.shape[2]))
    else:
        spectra = _of_array(np.asarray(source), n_classes, recipe)
    if recipe.dtype == "uint16" and not (spectra.means.min() >= 0 and 100 <= spectra.means.max() <= 65535):
        raise InvalidValueError(
            f"dtype='uint16' with class spectra from {spectra.means.min():g} to {spectra.means.max():g}: whole numbers "
            "need spectra >= 0 that reach 100..65535; take dtype='float32' or scale the spectra"
        )
    return spectra


def _chosen_bands(recipe: SyntheticRecipe, available: int) -> NDArray[np.int64]:
    asked = available if recipe.bands is None else recipe.bands
    if asked > available:
        raise InvalidValueError(f"bands={asked}: the source of the spectra has {available}, take at most as many")
    return np.linspace(0, available - 1, asked).round().astype(np.int64)


def _chosen_classes(counts: NDArray[np.int64], n_classes: int | None) -> NDArray[np.int64]:
    asked = len(counts) if n_classes is None else n_classes
    if asked > len(counts):
        raise InvalidValueError(
            f"{asked} classes: the source of the spectra has {len(counts)}, take at most as many, or a source with more"
        )
    return np.sort(np.argsort(-counts, kind="stable")[:asked])


def _of_scene(scene: Scene, n_classes: int | None, bands: NDArray[np.int64]) -> ClassSpectra:
    chosen = _chosen_classes(scene.class_counts, n_classes)
    means, deviations = [], []
    for label in chosen:
        rows, columns = np.nonzero(scene.labels == label)
        few = np.linspace(0, len(rows) - 1, min(len(rows), MOST_PIXELS)).astype(np.int64)
        pixels = np.asarray(scene.cube[rows[few], columns[few]], dtype=np.float64)[:, bands]
        means.append(pixels.mean(axis=0))
        deviations.append((pixels - means[-1]).astype(np.float32))
    counts = scene.class_counts[chosen]
    waves = scene.wavelengths_nm
    return ClassSpectra(
        names=tuple(scene.class_names[label] for label in chosen),
        means=np.array(means, dtype=np.float32),
        deviations=np.concatenate(deviations),
        counts=np.array([len(part) for part in deviations]),
        shares=counts / counts.sum(),
        wavelengths_nm=None if waves is None else waves[bands],
    )


def _of_array(spectra: NDArray[np.generic], n_classes: int | None, recipe: SyntheticRecipe) -> ClassSpectra:
    if spectra.ndim != 2 or spectra.dtype.kind not in "iuf" or 0 in spectra.shape or not np.isfinite(spectra).all():
        raise InvalidValueError(
            f"spectra must be finite real numbers (classes, bands), got an array {spectra.shape} of {spectra.dtype}"
        )
    if recipe.within_class:
        raise InvalidValueError(
            f"variability={recipe.within_class:g} needs real pixels to draw from: give spectra as a scene, or leave it "
            "at 0"
        )
    chosen = _chosen_classes(np.zeros(len(spectra), dtype=np.int64), n_classes)
    means = spectra[chosen][:, _chosen_bands(recipe, spectra.shape[1])].astype(np.float32)
    return ClassSpectra(
        names=tuple(f"class {label}" for label in chosen),
        means=means,
        deviations=np.zeros((0, means.shape[1]), dtype=np.float32),
        counts=np.zeros(len(chosen), dtype=np.int64),
        shares=np.full(len(chosen), 1 / len(chosen)),
        wavelengths_nm=None,
    )
