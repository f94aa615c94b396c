"""Write a scene's cube and labels in every format and layout that load_scene reads.

Functions called ``write_*`` take a scene and return what to give to load_scene; ``CUBES`` and ``LABELS`` hold every way
of writing a cube or labels alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.scene import Scene

# What to give as the cube or the labels, and the options that it needs.
Written = tuple[str, dict[str, Any]]


def raw_labels(scene: Scene) -> np.ndarray:
    return (scene.labels + 1).astype(np.uint8)


def write_npy(scene: Scene, folder: Path) -> tuple[str, str]:
    np.save(folder / "cube.npy", scene.cube)
    np.save(folder / "labels.npy", raw_labels(scene))
    return str(folder / "cube.npy"), str(folder / "labels.npy")


def write_npz(scene: Scene, folder: Path) -> tuple[str, str]:
    path = folder / "both.npz"
    np.savez_compressed(path, image=scene.cube, other=scene.cube * 2, truth=raw_labels(scene))
    return f"{path}:image", f"{path}:truth"


def write_mat(scene: Scene, folder: Path, compressed: bool = True) -> tuple[str, None]:
    io = pytest.importorskip("scipy.io")
    path = folder / "both.mat"
    io.savemat(path, {"x": scene.cube, "truth": raw_labels(scene), "note": "text"}, do_compression=compressed)
    return str(path), None


def write_mat73(scene: Scene, folder: Path, **options: Any) -> tuple[str, None]:
    path = folder / "new.mat"
    hdf5_file(path, {"x": scene.cube, "truth": raw_labels(scene)}, **options)
    return str(path), None


def hdf5_file(path: Path, arrays: dict[str, np.ndarray], **options: Any) -> None:
    """Write a MATLAB 7.3 file; the options are h5py's for its cubes."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array.transpose(), **(options if array.ndim == 3 else {}))
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(128))


def write_envi(scene: Scene, folder: Path) -> tuple[str, str]:
    envi = pytest.importorskip("spectral.io.envi")
    metadata = {"wavelength": scene.wavelengths_nm / 1000, "wavelength units": "Micrometers"}
    envi.save_image(str(folder / "cube.hdr"), scene.cube, interleave="bil", metadata=metadata)
    envi.save_image(str(folder / "labels.hdr"), raw_labels(scene))
    return str(folder / "cube.hdr"), str(folder / "labels.hdr")


def write_tiff(scene: Scene, folder: Path, **options: Any) -> tuple[str, str]:
    tifffile = pytest.importorskip("tifffile")
    # Bands first, as GDAL writes band-sequential files.
    tifffile.imwrite(
        folder / "cube.tif", np.moveaxis(scene.cube, -1, 0).copy(), photometric="minisblack", planarconfig="separate",
        **options,
    )  # fmt: skip
    tifffile.imwrite(folder / "labels.tif", raw_labels(scene))
    return str(folder / "cube.tif"), str(folder / "labels.tif")


def _npy(arrange: Callable[[np.ndarray], np.ndarray], **options: Any) -> Callable[[np.ndarray, Path], Written]:
    def write(cube: np.ndarray, folder: Path) -> Written:
        np.save(folder / "array.npy", arrange(cube))
        return str(folder / "array.npy"), {**options, **({"shape": cube.shape} if "shape" in options else {})}

    return write


def _npz(save: Callable[..., None]) -> Callable[[np.ndarray, Path], Written]:
    def write(cube: np.ndarray, folder: Path) -> Written:
        save(folder / "array.npz", x=np.asfortranarray(cube), other=np.zeros(3))
        return f"{folder / 'array.npz'}:x", {}

    return write


def _mat(compressed: bool, version: str = "5") -> Callable[[np.ndarray, Path], Written]:
    def write(cube: np.ndarray, folder: Path) -> Written:
        io = pytest.importorskip("scipy.io")
        # Version 4 knows two axes only.
        array = cube.reshape(-1, cube.shape[-1]) if version == "4" else cube
        io.savemat(folder / "array.mat", {"x": array}, do_compression=compressed, format=version)
        return f"{folder / 'array.mat'}:x", {}

    return write


def _mat73(**options: Any) -> Callable[[np.ndarray, Path], Written]:
    def write(cube: np.ndarray, folder: Path) -> Written:
        hdf5_file(folder / "array.mat", {"x": cube}, **options)
        return str(folder / "array.mat"), {}

    return write


def _envi(interleave: str, *, by_data: bool = False, **options: Any) -> Callable[[np.ndarray, Path], Written]:
    def write(cube: np.ndarray, folder: Path) -> Written:
        envi = pytest.importorskip("spectral.io.envi")
        envi.save_image(str(folder / "array.hdr"), cube, interleave=interleave, ext=".bin", **options)
        return str(folder / ("array.bin" if by_data else "array.hdr")), {}

    return write


def _tiff(
    arrange: Callable[[np.ndarray], np.ndarray], **options: Any
) -> Callable[[np.ndarray, Path], Written]:  # fmt: skip
    def write(cube: np.ndarray, folder: Path) -> Written:
        tifffile = pytest.importorskip("tifffile")
        if options.get("compression") == "lzw":
            pytest.importorskip("imagecodecs")
        tifffile.imwrite(folder / "array.tif", arrange(cube), photometric="minisblack", **options)
        return str(folder / "array.tif"), {}

    return write


def _tiff_pages(cube: np.ndarray, folder: Path) -> Written:
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffWriter(folder / "array.tif") as file:
        for band in np.moveaxis(cube, -1, 0):
            file.write(np.ascontiguousarray(band), contiguous=False, metadata=None)
    return str(folder / "array.tif"), {}


def bands_first(cube: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(cube, -1, 0))


def by_rows(cube: np.ndarray) -> np.ndarray:
    return cube.reshape(-1, cube.shape[-1])


def by_columns(cube: np.ndarray) -> np.ndarray:
    return cube.swapaxes(0, 1).reshape(-1, cube.shape[-1])


def _same(cube: np.ndarray) -> np.ndarray:
    return cube


CUBES: dict[str, Callable[[np.ndarray, Path], Written]] = {
    "npy": _npy(_same),
    "npy, Fortran order": _npy(np.asfortranarray),
    "npy, big-endian": _npy(lambda cube: cube.astype(cube.dtype.newbyteorder(">"))),
    "npy, bands first": _npy(bands_first),
    "npy, rows bands columns": _npy(lambda cube: cube.swapaxes(1, 2)),
    "npy, pixels bands": _npy(by_rows),
    "npy, bands pixels": _npy(lambda cube: by_rows(cube).T),
    "npy, pixels bands, columns": _npy(by_columns, order="F"),
    "npy, bands pixels, columns": _npy(lambda cube: by_columns(cube).T.copy(), order="F"),
    "npy, one line": _npy(np.ravel, shape=None),
    "npy, cube(:)": _npy(lambda cube: cube.ravel(order="F")[:, None], shape=None, order="F"),
    "npy, bands first by request": _npy(bands_first, shape=None),
    "npz": _npz(np.savez),
    "npz, compressed": _npz(np.savez_compressed),
    "mat 4, pixels bands": _mat(False, "4"),
    "mat 5": _mat(False),
    "mat 7, compressed": _mat(True),
    "mat 7.3": _mat73(),
    "mat 7.3, compressed chunks": _mat73(chunks=(2, 7, 5), compression="gzip"),
    "envi bsq": _envi("bsq"),
    "envi bil": _envi("bil"),
    "envi bip": _envi("bip"),
    "envi bsq, big-endian": _envi("bsq", byteorder=1),
    "envi bil, the data file given": _envi("bil", by_data=True),
    "tiff, planar": _tiff(bands_first, planarconfig="separate"),
    "tiff, chunky": _tiff(_same, planarconfig="contig", metadata=None),
    "tiff, planar tiles, deflate, BigTIFF": _tiff(
        bands_first, planarconfig="separate", tile=(16, 16), compression="deflate", bigtiff=True
    ),
    "tiff, chunky tiles": _tiff(_same, planarconfig="contig", tile=(16, 16), metadata=None),
    "tiff, LZW with predictor": _tiff(bands_first, planarconfig="separate", compression="lzw", predictor=True),
    "tiff, big-endian": _tiff(bands_first, planarconfig="separate", byteorder=">"),
    "tiff, a page per band": _tiff_pages,
    "tiff, a page per row": _tiff(_same),
}


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Return (height, width, K) 0 and 1, all 0 where labels are -1."""
    return (labels[..., None] == np.arange(labels.max() + 1)).astype(np.uint8)


def abundances(labels: np.ndarray) -> np.ndarray:
    """Return (height, width, K) fractions whose largest is the label's, all 0 where labels are -1."""
    n = labels.max() + 1
    rest = np.random.default_rng(0).uniform(0, 1, (*labels.shape, n))
    rest /= rest.sum(axis=2, keepdims=True)
    return np.where(labels[..., None] < 0, 0, 0.45 * rest + 0.55 * one_hot(labels))


def _no_label_nan(values: np.ndarray) -> np.ndarray:
    return np.where((values == 0).all(axis=2, keepdims=True), np.nan, values)


# Name -> (the form that is recognised, what is stored, which order it needs).
LABELS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray], str]] = {
    "ids from 1, 0 unlabelled": ("map", lambda labels: (labels + 1).astype(np.uint8), "C"),
    "ids from 0, -1 unlabelled": ("map", lambda labels: np.where(labels < 0, -1, labels + 1), "C"),
    "ids as floats, NaN unlabelled": ("map", lambda labels: np.where(labels < 0, np.nan, labels + 1.0), "C"),
    "ids, flat by rows": ("map", lambda labels: (labels + 1).ravel(), "C"),
    "ids, a line by columns": ("map", lambda labels: (labels + 1).ravel(order="F")[None, :], "F"),
    "one-hot": ("one_hot", one_hot, "C"),
    "one-hot, truth values": ("one_hot", lambda labels: one_hot(labels).astype(bool), "C"),
    "one-hot, classes first": ("one_hot", lambda labels: bands_first(one_hot(labels)), "C"),
    "one-hot, pixels classes": ("one_hot", lambda labels: by_rows(one_hot(labels)), "C"),
    "one-hot, classes pixels, columns": ("one_hot", lambda labels: by_columns(one_hot(labels)).T, "F"),
    "one-hot, NaN unlabelled": ("one_hot", lambda labels: _no_label_nan(one_hot(labels)), "C"),
    "abundances": ("abundances", abundances, "C"),
    "abundances, float32, classes first": (
        "abundances", lambda labels: bands_first(abundances(labels)).astype("f4"), "C"
    ),
    "abundances, pixels classes, columns": ("abundances", lambda labels: by_columns(abundances(labels)), "F"),
    "abundances, classes pixels": ("abundances", lambda labels: by_rows(abundances(labels)).T, "C"),
    "abundances, NaN unlabelled": ("abundances", lambda labels: _no_label_nan(abundances(labels)), "C"),
}  # fmt: skip
