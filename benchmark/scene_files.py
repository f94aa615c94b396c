"""load_scene: from a name or a file of any known format to a Scene."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.files.array_files import split_key
from benchmark.importing.scene_import import imported_names, load_imported
from benchmark.importing.scene_reading import ReadOptions, read_scene
from benchmark.importing.scene_summary import SceneSummary, describe
from benchmark.registries import SCENES
from benchmark.scene import Scene
from benchmark.scenes.base import data_root
from hsicl_core.errors import InvalidValueError, UnknownNameError

__all__ = ["SceneSummary", "describe", "load_scene", "scene_names"]


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
    labels_are: str = "auto",
    unlabelled: int | None = None,
    class_names: Sequence[str] | None = None,
    root: Path | None = None,
) -> Scene:
    """Return a scene by name, or read one from a file.

    Args:
        name_or_path: a name of ``scene_names()``; or ``FILE`` or ``FILE:KEY`` with the cube: ``.mat``, ``.npy``,
            ``.npz``, ENVI (``.hdr`` or the data file beside it), GeoTIFF.
        labels: the labels for a cube from a file: ``FILE``, ``FILE:KEY`` or an array. May be left out where the
            cube's own file holds one map that fits. Class ids are renumbered to 0..K-1.
        shape: (height, width, bands) of the cube. Without it, the labels must say which axes are rows and columns:
            a cube with its bands first, or a table of pixels, is understood where nothing else fits.
        order: ``"C"`` where the pixels of a flat cube or map run along rows, ``"F"`` where along columns (MATLAB).
        labels_are: ``"map"``, ``"mask"``, ``"one_hot"``, ``"abundances"``, or ``"auto"``; see
            ``benchmark.files.label_forms.read_labels``.
        unlabelled: the id of unlabelled pixels. Without it: NaN and negative ids, and if there are none, 0.
        class_names: K names in the order of the ids; without them those of the label file, or ``class <id>``.
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
    path, _ = split_key(name_or_path)
    if not path.suffix and len(path.parts) == 1 and not path.exists():
        raise UnknownNameError("scene", name, scene_names(root))
    return read_scene(name_or_path, labels, ReadOptions(shape, order, labels_are, unlabelled, class_names)).scene
