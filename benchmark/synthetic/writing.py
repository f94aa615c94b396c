"""Synthetic scenes of any size: in memory, or written in blocks of rows."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from benchmark.importing.imported_scenes import write_imported
from benchmark.importing.scene_import import check_new_name
from benchmark.scene import Scene
from benchmark.scenes.base import data_root as default_root
from benchmark.synthetic.recipe import SyntheticRecipe
from benchmark.synthetic.rows import SyntheticRows
from hsicl_core.checks import check_choice, check_integer
from hsicl_core.errors import InvalidValueError, SceneError

# Rows of about this many bytes are made and written at a time.
BLOCK_BYTES = 8 * 2**20
CLASS_NAMES = "class_names.txt"
Progress = Callable[[int, int], object]


def synthetic_scene(recipe: SyntheticRecipe, name: str = "synthetic") -> Scene:
    """Return the scene of a recipe.

    Args:
        recipe: size, sources and strengths; its docstring states the model.
        name: name of the scene.

    Returns:
        A scene whose provenance begins with ``SYNTHETIC`` and holds the whole recipe.

    Raises:
        InvalidValueError: the recipe does not fit its sources.
        SceneError: a class has no labelled pixel, or a source cannot be loaded.
        SceneNotFoundError, UnknownNameError: a source is not there.
    """
    rows = SyntheticRows(recipe)
    labels = np.concatenate(list(_label_blocks(rows)))
    cube = np.empty(rows.shape, dtype=rows.dtype)
    for start, stop in _blocks(rows):
        cube[start:stop] = rows.cube(start, stop)
    return Scene(
        name=name,
        cube=cube,
        labels=labels.astype(np.int64),
        class_names=rows.spectra.names,
        wavelengths_nm=rows.spectra.wavelengths_nm,
        provenance=synthetic_provenance(recipe),
    )


def synthetic_abundances(recipe: SyntheticRecipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what the scene of a recipe was mixed of.

    Returns:
        Abundances (height, width, K), >= 0, adding up to one; and the spectra (K, bands) that they weigh.
    """
    rows = SyntheticRows(recipe)
    parts = [rows.abundances(start, stop) for start, stop in _blocks(rows)]
    return np.concatenate(parts), rows.spectra.means


def synthetic_provenance(recipe: SyntheticRecipe) -> str:
    """Return what a table's footnote must say about the scene of a recipe."""
    return f"SYNTHETIC, no measured image: linear mixing of class spectra with noise, recipe {recipe.describe()}"


def write_synthetic(
    folder: str | Path,
    recipe: SyntheticRecipe,
    *,
    cube_format: str = "npy",
    block_rows: int | None = None,
    progress: Progress | None = None,
) -> tuple[Path, Path]:
    """Write the scene of a recipe to a new folder, a block of rows at a time, whatever its size.

    The folder is written beside its place and renamed, so that it is there whole or not at all. Needs memory for one
    block, the class spectra and a few numbers per region.

    Args:
        folder: new or empty; gets the cube (``cube.npy``, or ``cube.hdr`` with ``cube.img`` in the order BIP),
            ``labels.npy`` (int16, -1 = unlabelled), ``class_names.txt`` and ``recipe.json``.
        recipe: what to make; the same pixels as ``synthetic_scene``.
        cube_format: ``"npy"`` or ``"envi"``.
        block_rows: rows made at a time, >= 1; None takes 8 MiB of them. The pixels do not depend on it.
        progress: called after each block with the bytes of the cube written so far and in all.

    Returns:
        The files to give to ``scenes import`` as cube and labels.

    Raises:
        InvalidValueError: the folder holds something, a value is out of range, or the recipe does not fit its sources.
        SceneError: a class has no labelled pixel, the disk is too small, or it cannot be written.
    """
    folder = Path(folder)
    check_choice("cube_format", cube_format, _CUBES)
    cube_name, open_cube = _CUBES[cube_format]
    if block_rows is not None:
        check_integer("block_rows", block_rows, minimum=1)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InvalidValueError(f"folder {str(folder)!r} is there and not empty: name a new one")
    rows = SyntheticRows(recipe)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        draft.mkdir(parents=True)
        n_bytes, free = math.prod(rows.shape) * rows.dtype.itemsize, shutil.disk_usage(draft).free
        if n_bytes > free:
            raise SceneError(f"the cube needs {n_bytes} bytes, {folder.parent} has {free} free: make room")
        _write_labels(draft / "labels.npy", rows)
        with open_cube(draft, rows) as file:
            for start, stop in _blocks(rows, block_rows):
                file.write(rows.cube(start, stop).data)
                if progress is not None:
                    progress(n_bytes * stop // recipe.height, n_bytes)
        (draft / CLASS_NAMES).write_text("\n".join(rows.spectra.names) + "\n", encoding="utf-8")
        _write_recipe(draft / "recipe.json", rows)
        draft.rename(folder)
    except OSError as error:
        raise SceneError(
            f"cannot write the scene to {folder} ({error.strerror or error}): name a folder you may write to"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder / cube_name, folder / "labels.npy"


def import_synthetic(
    name: str, recipe: SyntheticRecipe, data_root: Path | None = None, *, progress: Progress | None = None
) -> Path:
    """Leave the scene of a recipe in the data root under a name, as ``import_scene`` does with a user's files.

    Args:
        name: the new name, lower_snake.
        recipe: what to make.
        data_root: where to keep it; None takes ``$HSICL_DATA`` or ``~/.local/share/hsicl``.
        progress: see ``write_synthetic``.

    Returns:
        The path of the scene card.

    Raises:
        InvalidValueError: the name is taken or not lower_snake, or see ``write_synthetic``.
        SceneError: see ``write_synthetic``.
    """
    root = default_root() if data_root is None else Path(data_root)
    check_new_name(name, root)
    folder = root / "imported" / f".{name}.{os.getpid()}.synthetic"
    try:
        cube, labels = write_synthetic(folder, recipe, progress=progress)
        described = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
        waves = described["wavelengths_nm"]
        scene = Scene(
            name=name,
            cube=np.load(cube, mmap_mode="r"),
            labels=np.load(labels).astype(np.int64),
            class_names=tuple((folder / CLASS_NAMES).read_text(encoding="utf-8").splitlines()),
            wavelengths_nm=None if waves is None else np.array(waves),
            provenance=described["provenance"],
            # Its values are finite and its classes counted.
            _checked=True,
        )
        return write_imported(scene, root, moved=cube, options=json.loads(recipe.describe()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _blocks(rows: SyntheticRows, block_rows: int | None = None) -> Iterator[tuple[int, int]]:
    height, width, bands = rows.shape
    size = max(1, BLOCK_BYTES // (width * bands * rows.dtype.itemsize)) if block_rows is None else block_rows
    return ((start, min(start + size, height)) for start in range(0, height, size))


def _label_blocks(rows: SyntheticRows) -> Iterator[NDArray[np.int16]]:
    """Give the labels in blocks of rows, and at the end refuse a map that lacks a class."""
    counts = np.zeros(len(rows.spectra.names), dtype=np.int64)
    for start, stop in _blocks(rows):
        labels = rows.labels(start, stop)
        counts += np.bincount(labels[labels >= 0], minlength=len(counts))
        yield labels
    if not counts.all():
        empty = [name for name, count in zip(rows.spectra.names, counts, strict=True) if count == 0]
        raise SceneError(
            f"no labelled pixel of {', '.join(empty)}: take a larger scene, fewer classes, larger regions or a "
            "narrower border_gap"
        )


def _write_labels(path: Path, rows: SyntheticRows) -> None:
    with path.open("wb") as file:
        _write_npy_header(file, rows.shape[:2], np.dtype("<i2"))
        for labels in _label_blocks(rows):
            file.write(np.ascontiguousarray(labels, dtype="<i2").data)


def _open_npy(folder: Path, rows: SyntheticRows) -> IO[bytes]:
    file = (folder / "cube.npy").open("wb")
    _write_npy_header(file, rows.shape, rows.dtype)
    return file


def _write_npy_header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": dtype.str, "fortran_order": False, "shape": shape})


def _open_envi(folder: Path, rows: SyntheticRows) -> IO[bytes]:
    from spectral.io import envi

    height, width, bands = rows.shape
    header = {
        "lines": height,
        "samples": width,
        "bands": bands,
        "header offset": 0,
        "file type": "ENVI Standard",
        "data type": envi.dtype_to_envi[rows.dtype.char],
        "interleave": "bip",
        "byte order": 0,
    }
    if rows.spectra.wavelengths_nm is not None:
        header |= {"wavelength units": "Nanometers", "wavelength": rows.spectra.wavelengths_nm.tolist()}
    envi.write_envi_header(str(folder / "cube.hdr"), header)
    return (folder / "cube.img").open("wb")


# Format -> name of the file to read it by, and what opens it for the bare values.
_CUBES: dict[str, tuple[str, Callable[[Path, SyntheticRows], IO[bytes]]]] = {
    "npy": ("cube.npy", _open_npy),
    "envi": ("cube.hdr", _open_envi),
}


def _write_recipe(path: Path, rows: SyntheticRows) -> None:
    waves = rows.spectra.wavelengths_nm
    described = {
        "provenance": synthetic_provenance(rows.recipe),
        "wavelengths_nm": None if waves is None else waves.tolist(),
    }
    path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
