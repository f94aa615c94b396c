"""load_scene: from a name or a file of any known format to a Scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.array_files import StoredArray, list_arrays, reading, split_key
from benchmark.raw_arrays import check_layout, resolved_labels, shaped_cube, shaped_labels
from benchmark.registries import SCENES
from benchmark.scene import Scene
from benchmark.scene_import import imported_names, load_imported
from benchmark.scenes.base import data_root
from hsicl_core.errors import InvalidValueError, SceneError, UnknownNameError


def scene_names(root: Path | None = None) -> list[str]:
    """Return the names that ``load_scene`` knows, sorted: registered scenes and a user's imported ones.

    Args:
        root: data root; None takes ``data_root()``.
    """
    return sorted({*SCENES.names(), *imported_names(data_root() if root is None else root)})


def load_scene(
    name_or_path: str | Path,
    labels: str | Path | NDArray[np.generic] | None = None,
    *,
    shape: tuple[int, int, int] | None = None,
    order: str = "C",
    unlabelled: int | None = None,
    class_names: Sequence[str] | None = None,
    root: Path | None = None,
) -> Scene:
    """Return a scene by name, or read one from a file.

    Args:
        name_or_path: a name of ``scene_names()``; or ``FILE`` or ``FILE:KEY`` with the cube: ``.mat``, ``.npy``,
            ``.npz``, ENVI ``.hdr``, GeoTIFF.
        labels: the label map for a cube from a file: ``FILE``, ``FILE:KEY`` or an array (height, width). May be left
            out where the cube's own file holds one map that fits. Class ids are renumbered to 0..K-1.
        shape: (height, width, bands) of a cube that is stored flat or with its bands first.
        order: ``"C"`` where the pixels of a flat cube or map run along rows, ``"F"`` where along columns (MATLAB).
        unlabelled: the id of unlabelled pixels. Without it: NaN and negative ids, and if there are none, 0.
        class_names: K names in the order of the ids; ``class <id>`` where not given.
        root: data root of named scenes; None takes ``data_root()``.

    Returns:
        The checked scene.

    Raises:
        UnknownNameError: neither a known name nor a file name.
        SceneNotFoundError: a file is missing.
        SceneError: a file is damaged, or cube and labels do not fit.
        MissingPackageError: the format needs a package that is not installed.
    """
    name = str(name_or_path)
    options = {"labels": labels, "shape": shape, "unlabelled": unlabelled, "class_names": class_names}
    root = data_root() if root is None else root
    is_registered = name in SCENES.names()
    if is_registered or name in imported_names(root):
        given = [option for option, value in options.items() if value is not None]
        if given:
            raise InvalidValueError(
                f"{', '.join(given)} given with the scene name {name!r}, which has its own: "
                "give a file, or leave them out"
            )
        return SCENES.get(name).load(root) if is_registered else load_imported(name, root)
    check_layout(shape, order)
    path, key = split_key(name_or_path)
    if not path.suffix and len(path.parts) == 1 and not path.exists():
        raise UnknownNameError("scene", name, scene_names(root))

    stored = list_arrays(path)
    cube_array = _chosen_cube(path, stored, key, shape)
    with reading(path):
        cube = shaped_cube(cube_array.read(), shape, order, str(path))
    if labels is None:
        raw, where = _labels_beside(path, stored, cube.shape), str(path)
    elif isinstance(labels, str | Path):
        raw, where = _labels_from_file(labels), str(labels)
    else:
        raw, where = np.asarray(labels), "the given labels"
    resolved, names = resolved_labels(shaped_labels(raw, cube.shape[:2], order), where, unlabelled, class_names)
    wavelengths = cube_array.wavelengths_nm
    return Scene(
        name=path.stem,
        cube=cube,
        labels=resolved,
        class_names=names,
        wavelengths_nm=None if wavelengths is None else np.array(wavelengths, dtype=np.float64),
        provenance=f"read from {path.name}, labels from {Path(where).name if where != 'the given labels' else where}",
    )


@dataclass(frozen=True)
class SceneSummary:
    """What a scene is, for a person to compare with what they meant.

    Attributes:
        name: the scene's name.
        shape: (height, width, bands).
        dtype: of the cube.
        value_range: smallest and largest value.
        wavelengths_nm: first and last, None where not known.
        labelled_share: share of pixels with a label, 0..1.
        class_counts: class name -> pixels.
        provenance: source, licence and credit.
    """

    name: str
    shape: tuple[int, int, int]
    dtype: str
    value_range: tuple[float, float]
    wavelengths_nm: tuple[float, float] | None
    labelled_share: float
    class_counts: dict[str, int]
    provenance: str


def describe(scene: Scene) -> SceneSummary:
    """Return the summary of a scene."""
    waves = scene.wavelengths_nm
    height, width, bands = scene.cube.shape
    return SceneSummary(
        name=scene.name,
        shape=(height, width, bands),
        dtype=str(scene.cube.dtype),
        value_range=(float(np.min(scene.cube)), float(np.max(scene.cube))),
        wavelengths_nm=None if waves is None else (float(waves[0]), float(waves[-1])),
        labelled_share=float((scene.labels >= 0).mean()),
        class_counts=dict(zip(scene.class_names, scene.class_counts.tolist(), strict=True)),
        provenance=scene.provenance,
    )


def _chosen_cube(
    path: Path, stored: list[StoredArray], key: str | None, shape: tuple[int, int, int] | None
) -> StoredArray:
    numeric = [array for array in stored if array.dtype_kind in "iuf"]
    if shape is None:
        fitting = [array for array in numeric if len(array.shape) == 3]
        wish = "of real numbers with three axes (for a flat one give --shape H,W,B)"
    else:
        size = math.prod(shape)
        fitting = [array for array in numeric if math.prod(array.shape) == size]
        wish = f"of real numbers with {size} values, as shape={tuple(shape)} asks"
    return _the_one(path, stored, key, fitting, f"cube {wish}")


def _the_one(
    path: Path, stored: list[StoredArray], key: str | None, fitting: list[StoredArray], wanted: str
) -> StoredArray:
    """Return the array called ``key``, or without one the only one that fits."""
    held = ", ".join(f"{array.key} {array.shape}" for array in stored[:8]) or "no array"
    if key is not None:
        for array in stored:
            if array.key == key:
                return array
        raise SceneError(f"{path}: no array {key!r}, it holds {held}: correct the name after the colon")
    if len(fitting) != 1:
        count = "more than one" if fitting else "no"
        remedy = f"name one as {path.name}:KEY" if fitting else "give another file"
        raise SceneError(f"{path}: {count} array that may be a {wanted}; it holds {held}: {remedy}")
    return fitting[0]


def _labels_beside(path: Path, stored: list[StoredArray], cube_shape: tuple[int, ...]) -> NDArray[np.generic]:
    fitting = [array for array in stored if array.shape == tuple(cube_shape[:2]) and array.dtype_kind in "biuf"]
    if len(fitting) != 1:
        raise SceneError(
            f"{path}: a scene needs a label map, and {len(fitting)} arrays of shape {tuple(cube_shape[:2])} lie in "
            "this file: give labels=FILE or FILE:KEY"
        )
    with reading(path):
        return fitting[0].read()


def _labels_from_file(source: str | Path) -> NDArray[np.generic]:
    path, key = split_key(source)
    stored = list_arrays(path)
    fitting = [array for array in stored if array.dtype_kind in "biuf" and len(array.shape) <= 2]
    chosen = _the_one(path, stored, key, fitting, "label map with two axes")
    with reading(path):
        return chosen.read()
