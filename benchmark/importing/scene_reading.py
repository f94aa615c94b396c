"""From files, or parts of them, to a checked Scene and what was understood on the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.files.array_files import StoredArray, list_arrays, reading, split_key
from benchmark.files.georeference import find_colours, find_georeference
from benchmark.files.label_forms import FORMS, read_labels
from benchmark.files.raw_arrays import arrange, arrangements, check_layout
from benchmark.scene import Scene
from hsicl_core.errors import InvalidValueError, SceneError

_GIVEN = "the given labels"


@dataclass(frozen=True)
class ReadOptions:
    """How files are to be understood; see ``load_scene``."""

    shape: tuple[int, int, int] | None = None
    order: str = "C"
    labels_are: str = "auto"
    unlabelled: int | None = None
    class_names: Sequence[str] | None = None

    def check(self) -> None:
        """Raise InvalidValueError where an option has no meaning."""
        check_layout(self.shape, self.order)
        if self.labels_are not in FORMS:
            raise InvalidValueError(
                f"labels_are={self.labels_are!r} is no form of labels: choose one of {', '.join(FORMS)}"
            )


@dataclass(frozen=True)
class SceneOfFiles:
    """A scene, and how its files were understood.

    Attributes:
        scene: checked.
        label_form: ``"map"``, ``"mask"``, ``"one_hot"`` or ``"abundances"``.
        understood: lines of text: array, layout and form of cube and labels.
        files: all that was read, each once.
        is_as_stored: whether the scene's cube is the stored array, its axes untouched.
    """

    scene: Scene
    label_form: str
    understood: tuple[str, ...]
    files: tuple[Path, ...]
    is_as_stored: bool


def read_scene(
    cube: str | Path, labels: str | Path | NDArray[np.generic] | None, options: ReadOptions, name: str | None = None
) -> SceneOfFiles:
    """Read a scene from ``FILE`` or ``FILE:KEY`` of its cube and labels; see ``load_scene``.

    Raises:
        SceneNotFoundError: a file is missing.
        SceneError: a file is damaged, or cube and labels do not fit.
        MissingPackageError: the format needs a package that is not installed.
    """
    options.check()
    path, key = split_key(cube)
    stored = list_arrays(path)
    cube_array = _chosen_cube(path, stored, key, options.shape)
    if isinstance(labels, np.ndarray):
        label_array, where = _in_memory(labels), _GIVEN
    elif labels is None:
        label_array, where = _labels_beside(path, stored, cube_array, options), str(path)
    else:
        label_array, where = _labels_from_file(labels, cube_array, options), str(labels)
    way = arrange(
        cube_array.shape, label_array.shape,
        shape=options.shape, order=options.order, band_axis=cube_array.band_axis, where=str(path),
    )  # fmt: skip
    with reading(path):
        values = way.cube.apply(cube_array.read())
    with reading(Path(where)):
        raw = way.labels.apply(label_array.read())
    given = read_labels(
        raw, where, form=options.labels_are, unlabelled=options.unlabelled, class_names=options.class_names,
        id_names=label_array.id_names,
    )  # fmt: skip
    waves = cube_array.wavelengths_nm
    label_path = label_array.files[0] if label_array.files else None
    source = f"read from {path.name}, labels from {where if where == _GIVEN else Path(where).name}"
    scene = Scene(
        name=name or path.stem,
        cube=values,
        labels=given.labels,
        class_names=given.class_names,
        wavelengths_nm=None if waves is None else np.array(waves, dtype=np.float64),
        provenance=source + ("; LABELS ARE DERIVED, not field truth: largest abundance" if given.is_derived else ""),
        georeference=find_georeference([cube_array.files[0], label_path], values.shape[:2]),
        colours=find_colours(label_path, raw, given.labels) if label_path and given.form == "map" else None,
    )
    return SceneOfFiles(
        scene=scene,
        label_form=given.form,
        understood=(
            f"cube: {cube_array.key}, stored {_sides(cube_array.shape)} ({way.cube.text})",
            f"labels: {label_array.key}, stored {_sides(label_array.shape)} ({way.labels.text}), read as {given.form}"
            + (", DERIVED from abundances, not field truth" if given.is_derived else ""),
            *given.notes,
        ),
        files=tuple(dict.fromkeys((*cube_array.files, *label_array.files))),
        is_as_stored=values.shape == cube_array.shape,
    )


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _in_memory(labels: NDArray[np.generic]) -> StoredArray:
    return StoredArray(_GIVEN, labels.shape, labels.dtype.kind, lambda: labels)


def _chosen_cube(
    path: Path, stored: list[StoredArray], key: str | None, shape: tuple[int, int, int] | None
) -> StoredArray:
    numeric = [array for array in stored if array.dtype_kind in "iuf"]
    if shape is None:
        # A table of pixels only where no image is.
        flat = [array for array in numeric if len(array.shape) == 2 and min(array.shape) > 1]
        fitting = [array for array in numeric if len(array.shape) == 3] or flat
        wish = "of real numbers with three axes (for a flat one give --shape H,W,B)"
    else:
        size = math.prod(shape)
        fitting = [array for array in numeric if math.prod(array.shape) == size]
        wish = f"of real numbers with {size} values, as shape={tuple(shape)} asks"
    return _the_one(path, stored, key, fitting, f"cube {wish}", "iuf")


def _labels_beside(
    path: Path, stored: list[StoredArray], cube: StoredArray, options: ReadOptions
) -> StoredArray:  # fmt: skip
    fitting = [array for array in stored if array is not cube and len(array.shape) <= 2]
    fitting = [array for array in fitting if array.dtype_kind in "biuf" and _fits(cube, array, options)]
    if len(fitting) != 1:
        raise SceneError(
            f"{path}: a scene needs a label map, and {len(fitting)} arrays that fit a cube of shape {cube.shape} lie "
            "beside it in this file: give labels=FILE or FILE:KEY"
        )
    return fitting[0]


def _labels_from_file(source: str | Path, cube: StoredArray, options: ReadOptions) -> StoredArray:
    path, key = split_key(source)
    stored = list_arrays(path)
    numeric = [array for array in stored if array.dtype_kind in "biuf"]
    fitting = [array for array in numeric if _fits(cube, array, options)]
    maps = [array for array in fitting if math.prod(array.shape) == max(array.shape) or len(array.shape) == 2]
    # A file's only array is what is meant; whether it fits is said where it is looked at.
    chosen = (numeric if len(numeric) == 1 else None) or (maps if len(maps) == 1 else fitting)
    is_flat = options.shape is None and len(cube.shape) < 3
    hint = " (it is flat: give --shape H,W,B)" if is_flat else ""
    return _the_one(path, stored, key, chosen, f"label map for a cube of shape {cube.shape}{hint}", "biuf")


def _fits(cube: StoredArray, labels: StoredArray, options: ReadOptions) -> bool:
    return bool(
        arrangements(
            cube.shape, labels.shape, shape=options.shape, order=options.order, band_axis=cube.band_axis
        )
    )  # fmt: skip


def _the_one(
    path: Path, stored: list[StoredArray], key: str | None, fitting: list[StoredArray], wanted: str, kinds: str
) -> StoredArray:
    """Return the array called ``key``, or without one the only one that fits."""
    held = ", ".join(f"{array.key} {array.shape}" for array in stored[:8]) or "no array"
    if key is not None:
        for array in stored:
            if array.key == key:
                if array.dtype_kind not in kinds:
                    raise SceneError(
                        f"{path}: array {key!r} holds no real numbers (kind {array.dtype_kind!r}: complex, text, "
                        f"truth values, cells or structures), it holds {held}: name another after the colon"
                    )
                return array
        raise SceneError(f"{path}: no array {key!r}, it holds {held}: correct the name after the colon")
    if len(fitting) != 1:
        count = "more than one" if fitting else "no"
        remedy = f"name one as {path.name}:KEY" if fitting else "give another file"
        raise SceneError(f"{path}: {count} array that may be a {wanted}; it holds {held}: {remedy}")
    return fitting[0]
