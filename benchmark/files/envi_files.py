"""ENVI's files: a text header beside the plain values."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.files.stored_array import MAPPED_ABOVE_BYTES, StoredArray, check_claim
from hsicl_core.errors import MissingPackageError, SceneError

DATA_SUFFIXES = (".img", ".dat", ".bsq", ".bil", ".bip", ".raw", ".bin")
_MOST_HEADER_BYTES = 2**24
# Some writers leave a little behind the image; a header of another image leaves more.
_MOST_REST = 1.01
# How each interleave stores (height, width, bands), and how it is turned back.
_STORED = {"bsq": ((2, 0, 1), (1, 2, 0)), "bil": ((0, 2, 1), (0, 2, 1)), "bip": ((0, 1, 2), (0, 1, 2))}


def header_beside(data: Path) -> Path | None:
    """Return the header of a data file, ``NAME.hdr`` or ``NAME.SUFFIX.hdr``, or None."""
    names = (f"{data.name}.hdr", f"{data.stem}.hdr", f"{data.name}.HDR", f"{data.stem}.HDR")
    return next((data.with_name(name) for name in names if os.path.isfile(data.with_name(name))), None)


def list_envi(path: Path) -> list[StoredArray]:
    """Return the image of an ENVI header: (height, width, bands), or (height, width) of one band."""
    fields = _read_header(path)
    height, width, bands = (int(fields[name]) for name in ("lines", "samples", "bands"))
    dtype = _dtype(fields)
    interleave = str(fields["interleave"]).strip().lower()
    if interleave not in _STORED:
        raise ValueError(f"its interleave is {interleave!r}, known are {', '.join(_STORED)}")
    offset = int(fields.get("header offset", 0))
    data = _data_beside(path, interleave)
    if min(height, width, bands) < 1 or offset < 0:
        raise ValueError(f"lines {height}, samples {width}, bands {bands} and header offset {offset} make no image")
    available = data.stat().st_size - offset
    n_bytes = check_claim(path, path.stem, (height, width, bands), dtype.itemsize, available)
    if available > n_bytes * _MOST_REST:
        raise ValueError(f"its header describes {n_bytes} bytes, {data.name} holds {available}: one of them is wrong")
    to_stored, to_cube = _STORED[interleave]
    stored_shape = tuple((height, width, bands)[axis] for axis in to_stored)
    # One band is a map, such as a classification file.
    shape = (height, width, bands) if bands > 1 else (height, width)

    def read() -> NDArray[np.generic]:
        if n_bytes > MAPPED_ABOVE_BYTES:
            values: NDArray[np.generic] = np.memmap(data, dtype, "r", offset, stored_shape)
        else:
            values = np.fromfile(data, dtype, math.prod(stored_shape), offset=offset).reshape(stored_shape)
        return values.transpose(to_cube).reshape(shape)

    names = fields.get("class names")
    return [
        StoredArray(
            path.stem,
            shape,
            dtype.kind,
            read,
            _wavelengths(fields, bands),
            band_axis=2 if bands > 1 else None,
            id_names=tuple(names) if isinstance(names, list) else None,
            files=(path, data),
        )
    ]


def _read_header(path: Path) -> dict[str, Any]:
    try:
        from spectral.io import envi
    except ImportError as error:
        raise MissingPackageError("spectral", f"reading {path} (ENVI)") from error

    if path.stat().st_size > _MOST_HEADER_BYTES:
        raise ValueError(f"a header of {path.stat().st_size} bytes")
    text = path.read_bytes()
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        # Written under some older code page: every byte is a letter of this one.
        text = text.decode("latin-1").encode("utf-8")
    with tempfile.TemporaryDirectory(prefix="hsicl-") as folder:
        copy = Path(folder) / "header.hdr"
        copy.write_bytes(text)
        fields: dict[str, Any] = envi.read_envi_header(str(copy))
    fields.setdefault("byte order", "0")
    envi.check_compatibility(fields)
    return fields


def _dtype(fields: dict[str, Any]) -> np.dtype[np.generic]:
    from spectral.io import envi

    code = str(fields["data type"]).strip()
    if code not in envi.envi_to_dtype:
        raise ValueError(f"its data type is {code!r}, known are {', '.join(envi.envi_to_dtype)}")
    order = {"0": "<", "1": ">"}.get(str(fields["byte order"]).strip())
    if order is None:
        raise ValueError(f"its byte order is {fields['byte order']!r}, 0 and 1 are known")
    return np.dtype(envi.envi_to_dtype[code]).newbyteorder(order)


def _data_beside(path: Path, interleave: str) -> Path:
    endings = ("", *DATA_SUFFIXES, f".{interleave}")
    names = [path.stem + ending for lower in endings for ending in (lower, lower.upper())]
    for name in names:
        if os.path.isfile(path.with_name(name)):
            return path.with_name(name)
    raise SceneError(
        f"{path}: no data file lies beside this header: put it there as {path.stem} or {path.stem}.img "
        f"(also {' '.join(DATA_SUFFIXES[1:])})"
    )


def _wavelengths(fields: dict[str, Any], bands: int) -> tuple[float, ...] | None:
    values = fields.get("wavelength")
    if not isinstance(values, list):
        return None
    found = [float(value) for value in values if value]
    if len(found) != bands or not np.isfinite(found).all():
        raise ValueError(f"its header gives {len(found)} wavelengths for {bands} bands")
    unit = str(fields.get("wavelength units", "")).strip().lower()
    in_micrometres = unit.startswith(("micro", "um", "µm")) or (not unit.startswith("nano") and max(found) < 100)
    return tuple(value * (1000 if in_micrometres else 1) for value in found)
