"""GeoTIFF: any layout of bands, tiles, strips and pages, classic or BigTIFF, compressed or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.files.stored_array import MAPPED_ABOVE_BYTES, StoredArray, check_claim, room_for, unpacked_bytes
from hsicl_core.errors import MissingPackageError

_UNCOMPRESSED = 1
# A segment may grow a little where its values do not compress.
_OVERHEAD_BYTES = 2**16
_BUFFER_BYTES = 2**24


def list_tiff(path: Path) -> list[StoredArray]:
    """Return the first image of a TIFF file, its axes as they are stored."""
    tifffile = _tifffile(path)
    with tifffile.TiffFile(path) as file:
        if not file.series:
            raise ValueError("it holds no image")
        series = file.series[0]
        axes, shape, dtype = series.axes, tuple(series.shape), np.dtype(series.dtype or "V1")
        _check_segments(path, series, shape, dtype)
    if axes.count("Y") != 1 or axes.count("X") != 1 or len(axes) > 3:
        raise ValueError(f"its axes are {axes}, a cube has rows (Y), columns (X) and bands")
    # Samples of a pixel are bands; pages may be bands, or rows where a cube was saved as if it were a stack.
    band_axis = axes.index("S") if "S" in axes else None

    def read() -> NDArray[np.generic]:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            if series.dataoffset is not None and series.nbytes > MAPPED_ABOVE_BYTES:
                order = series.keyframe.parent.byteorder
                mapped: NDArray[np.generic] = np.memmap(path, dtype.newbyteorder(order), "r", series.dataoffset, shape)
                return mapped
            out = room_for(shape, dtype)
            try:
                # A few segments at a time, rather than a quarter of a gigabyte.
                series.asarray(out=out, buffersize=_BUFFER_BYTES)
            except (ValueError, KeyError) as error:
                if "imagecodecs" in str(error):
                    raise MissingPackageError("imagecodecs", f"reading {path} (its compression)") from error
                raise
            return out

    return [StoredArray(path.stem, shape, dtype.kind, read, band_axis=band_axis, files=(path,))]


def _tifffile(path: Path) -> Any:
    try:
        import tifffile
    except ImportError as error:
        raise MissingPackageError("tifffile", f"reading {path} (GeoTIFF)") from error
    return tifffile


def _check_segments(path: Path, series: Any, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
    size = path.stat().st_size
    pages = [page for page in series.pages if page is not None]
    is_plain = all(page.keyframe.compression == _UNCOMPRESSED for page in pages)
    check_claim(path, path.stem, shape, dtype.itemsize, size if is_plain else unpacked_bytes(size))
    if is_plain:
        return
    segment = int(np.prod([int(side) for side in series.keyframe.chunks], dtype=object)) * dtype.itemsize
    # Tiles are decoded whole, also where the image is smaller than one.
    check_claim(path, path.stem, series.keyframe.chunks, dtype.itemsize, unpacked_bytes(size))
    longest = max((max(page.databytecounts, default=0) for page in pages), default=0)
    if longest > 2 * segment + _OVERHEAD_BYTES:
        raise ValueError(f"a compressed segment of {longest} bytes for {segment} bytes of image")
