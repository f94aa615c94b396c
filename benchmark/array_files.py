"""Arrays out of files: MATLAB, NumPy, ENVI and GeoTIFF, each checked against its size before anything is read."""

from __future__ import annotations

import math
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from hsicl_core.errors import MissingPackageError, SceneError, SceneNotFoundError, UserError

# Arrays up to this size are read into memory, larger ones are mapped where the format allows.
MAPPED_ABOVE_BYTES = 256 * 2**20
# No lossless compression that these formats use shrinks even zeros by more; a header that claims more lies.
MOST_COMPRESSION = 5000


@dataclass(frozen=True)
class StoredArray:
    """One array of a file, known by its header alone.

    Attributes:
        key: its name in the file; the stem of the file where the format has no names.
        shape: its shape as ``read`` returns it.
        dtype_kind: NumPy's letter for its kind of values, e.g. ``"u"`` or ``"O"``.
        read: reads it.
        wavelengths_nm: (bands,) centre wavelengths in nm where the file tells them.
    """

    key: str
    shape: tuple[int, ...]
    dtype_kind: str
    read: Callable[[], NDArray[np.generic]]
    wavelengths_nm: tuple[float, ...] | None = None


def split_key(source: str | Path) -> tuple[Path, str | None]:
    """Return path and key of ``FILE`` or ``FILE:KEY``. A file that exists under the full name has no key."""
    text = str(source)
    if ":" in text and not os.path.exists(text):
        path, key = text.rsplit(":", 1)
        if path and key and Path(path).suffix:
            return Path(path).expanduser(), key
    return Path(text).expanduser(), None


def list_arrays(path: Path) -> list[StoredArray]:
    """Return what arrays a file holds, from its headers.

    Args:
        path: ``.mat`` (v4 to v7.3), ``.npy``, ``.npz``, ``.hdr`` (ENVI, beside its data file), ``.tif`` or ``.tiff``.

    Raises:
        SceneNotFoundError: no such file.
        SceneError: an unknown format, or a file that is damaged or claims more than it holds.
    """
    lister = _LISTERS.get(path.suffix.lower())
    if not os.path.isfile(path):  # unlike Path.is_file, False also for names that no file can have
        raise SceneNotFoundError(f"no file {path}: check the path, relative to the folder you are in ({Path.cwd()})")
    if lister is None:
        raise SceneError(
            f"{path}: unknown format {path.suffix!r}: give one of {', '.join(sorted(_LISTERS))} (ENVI: the .hdr file)"
        )
    with reading(path):
        return lister(path)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a library raises over a damaged file into one line that names the file."""
    try:
        with warnings.catch_warnings():
            # A library's remarks on a file are of no use beside the error or the array that follows.
            warnings.simplefilter("ignore")
            yield
    except UserError:
        raise
    except Exception as error:
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise SceneError(f"{path}: cannot be read ({cause}): the file is damaged or not what its name says") from error


def _check_claim(path: Path, key: str, n_bytes: int, available: int) -> None:
    if n_bytes > available:
        raise SceneError(
            f"{path}: array {key!r} claims {n_bytes} bytes, the file can hold {available} at most: it is truncated or "
            "its header is wrong; get it again"
        )


def _list_npy(path: Path) -> list[StoredArray]:
    with path.open("rb") as file:
        shape, _, dtype = _npy_header(file)
        start = file.tell()
    n_bytes = math.prod(shape) * dtype.itemsize
    _check_claim(path, path.stem, n_bytes, path.stat().st_size - start)

    def read() -> NDArray[np.generic]:
        mode = "r" if n_bytes > MAPPED_ABOVE_BYTES else None
        array: NDArray[np.generic] = np.load(path, mmap_mode=mode, allow_pickle=False)  # type: ignore[arg-type]
        return array

    return [StoredArray(path.stem, shape, dtype.kind, read)]


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _list_npz(path: Path) -> list[StoredArray]:
    found = []
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            key = entry.filename.removesuffix(".npy")
            if key == entry.filename:
                continue
            with archive.open(entry) as file:
                shape, _, dtype = _npy_header(file)
            n_bytes = math.prod(shape) * dtype.itemsize
            available = min(entry.file_size, path.stat().st_size * MOST_COMPRESSION)
            _check_claim(path, key, n_bytes, available)

            def read(key: str = key) -> NDArray[np.generic]:
                with np.load(path, allow_pickle=False) as arrays:
                    array: NDArray[np.generic] = arrays[key]
                    return array

            found.append(StoredArray(key, shape, dtype.kind, read))
    return found


def _list_mat(path: Path) -> list[StoredArray]:
    with path.open("rb") as file:
        head = file.read(520)
    if b"MATLAB 7.3" in head[:128] or b"\x89HDF" in head:
        return _list_mat73(path)
    from scipy import io

    found = []
    available = path.stat().st_size * MOST_COMPRESSION
    for key, shape, kind in io.whosmat(path):
        # Whole numbers may be stored as single bytes whatever their type.
        _check_claim(path, key, math.prod(shape), available)

        def read(key: str = key) -> NDArray[np.generic]:
            return np.asarray(io.loadmat(path, variable_names=[key])[key])

        is_number = kind in {"logical", "single", "double"} or kind.startswith(("int", "uint"))
        found.append(StoredArray(key, tuple(shape), "f" if is_number else "O", read))
    return found


def _list_mat73(path: Path) -> list[StoredArray]:
    try:
        import h5py
    except ImportError as error:
        raise MissingPackageError("h5py", f"reading {path} (MATLAB 7.3)") from error

    found = []
    available = path.stat().st_size * MOST_COMPRESSION
    with h5py.File(path, "r") as file:
        for key, item in file.items():
            if not isinstance(item, h5py.Dataset):
                continue
            _check_claim(path, key, item.size * item.dtype.itemsize, available)

            def read(key: str = key) -> NDArray[np.generic]:
                with h5py.File(path, "r") as file:
                    # MATLAB stores columns first, so HDF5 shows every array transposed.
                    return np.ascontiguousarray(np.transpose(file[key][()]))

            found.append(StoredArray(key, item.shape[::-1], item.dtype.kind, read))
    return found


def _list_envi(path: Path) -> list[StoredArray]:
    try:
        from spectral.io import envi
    except ImportError as error:
        raise MissingPackageError("spectral", f"reading {path} (ENVI)") from error

    image = envi.open(str(path))
    height, width, bands = image.shape
    dtype = np.dtype(image.dtype)
    _check_claim(
        path, path.stem, height * width * bands * dtype.itemsize, Path(image.filename).stat().st_size - image.offset
    )
    wavelengths = image.bands.centers
    if wavelengths is not None:
        unit = str(image.bands.band_unit or "").strip().lower()
        in_micrometres = unit.startswith(("micro", "um", "µm")) or (
            not unit.startswith("nano") and max(wavelengths) < 100
        )
        wavelengths = tuple(float(value) * (1000 if in_micrometres else 1) for value in wavelengths)

    def read() -> NDArray[np.generic]:
        # The library's own load() turns everything into float32; the map keeps the values as they are.
        view = np.asarray(image.open_memmap(interleave="bip", writable=False))
        return view if view.nbytes > MAPPED_ABOVE_BYTES else view.copy()

    # One band is a map, such as a classification file.
    shape = (height, width, bands) if bands > 1 else (height, width)
    return [StoredArray(path.stem, shape, dtype.kind, lambda: read().reshape(shape), wavelengths)]


def _list_tiff(path: Path) -> list[StoredArray]:
    try:
        import tifffile
    except ImportError as error:
        raise MissingPackageError("tifffile", f"reading {path} (GeoTIFF)") from error

    with tifffile.TiffFile(path) as file:
        if not file.series:
            raise ValueError("it holds no image")
        series = file.series[0]
        axes, shape, dtype = series.axes, tuple(series.shape), np.dtype(series.dtype or "V1")
        size = path.stat().st_size
        plain = all(page is None or page.compression == 1 for page in series.pages)
        _check_claim(path, path.stem, series.nbytes, size if plain else size * MOST_COMPRESSION)
    if axes.count("Y") != 1 or axes.count("X") != 1 or len(axes) > 3:
        raise ValueError(f"its axes are {axes}, a cube has rows (Y), columns (X) and bands")
    order = [axes.index("Y"), axes.index("X"), *(i for i, axis in enumerate(axes) if axis not in "YX")]

    def read() -> NDArray[np.generic]:
        array: NDArray[np.generic] = tifffile.imread(path, series=0)
        return np.ascontiguousarray(array.transpose(order))

    return [StoredArray(path.stem, tuple(shape[i] for i in order), dtype.kind, read)]


_LISTERS: dict[str, Callable[[Path], list[StoredArray]]] = {
    ".mat": _list_mat,
    ".npy": _list_npy,
    ".npz": _list_npz,
    ".hdr": _list_envi,
    ".tif": _list_tiff,
    ".tiff": _list_tiff,
}
