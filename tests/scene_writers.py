"""Write a scene's cube and labels in every format that load_scene reads; each returns what to give to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.scene import Scene


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


def write_mat(scene: Scene, folder: Path) -> tuple[str, None]:
    io = pytest.importorskip("scipy.io")
    path = folder / "both.mat"
    io.savemat(path, {"x": scene.cube, "truth": raw_labels(scene), "note": "text"}, do_compression=True)
    return str(path), None


def write_mat73(scene: Scene, folder: Path) -> tuple[str, None]:
    h5py = pytest.importorskip("h5py")
    path = folder / "new.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["x"] = scene.cube.transpose()
        file["truth"] = raw_labels(scene).transpose()
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(128))
    return str(path), None


def write_envi(scene: Scene, folder: Path) -> tuple[str, str]:
    envi = pytest.importorskip("spectral.io.envi")
    metadata = {"wavelength": scene.wavelengths_nm / 1000, "wavelength units": "Micrometers"}
    envi.save_image(str(folder / "cube.hdr"), scene.cube, interleave="bil", metadata=metadata)
    envi.save_image(str(folder / "labels.hdr"), raw_labels(scene))
    return str(folder / "cube.hdr"), str(folder / "labels.hdr")


def write_tiff(scene: Scene, folder: Path) -> tuple[str, str]:
    tifffile = pytest.importorskip("tifffile")
    # Bands first, as GDAL writes band-sequential files.
    tifffile.imwrite(
        folder / "cube.tif", np.moveaxis(scene.cube, -1, 0).copy(), photometric="minisblack", planarconfig="separate"
    )
    tifffile.imwrite(folder / "labels.tif", raw_labels(scene))
    return str(folder / "cube.tif"), str(folder / "labels.tif")
