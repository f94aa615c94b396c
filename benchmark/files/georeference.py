"""Where on the Earth a file's pixels lie and how its classes are coloured: read as it stands, never interpreted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.files.array_files import find_header, reading

# ModelPixelScale, ModelTiepoint, ModelTransformation, GeoKeyDirectory, GeoDoubleParams, GeoAsciiParams.
GEOTIFF_TAGS = (33550, 33922, 34264, 34735, 34736, 34737)
ENVI_FIELDS = ("map info", "projection info", "coordinate system string", "geo points", "rpc info")


def find_georeference(paths: Sequence[Path | None], shape: tuple[int, ...]) -> dict[str, Any] | None:
    """Return what the first georeferenced of the files says, None where none is.

    Args:
        paths: files that can be read; only ``.tif``, ``.tiff`` and ENVI's can say anything.
        shape: (height, width) of the scene; a file with an image of another size is passed over.

    Returns:
        ``{"kind": "geotiff", "tags": [[code, type, count, value], ...]}`` or
        ``{"kind": "envi", "fields": {name: text, ...}}``, which JSON holds without loss.

    Raises:
        SceneError: a file is damaged.
    """
    for header in (find_header(path) for path in paths if path is not None):
        reader = _GEOREFERENCE.get(header.suffix.lower())
        if reader is not None:
            with reading(header):
                found = reader(header, shape)
            if found is not None:
                return found
    return None


def find_colours(path: Path, raw: NDArray[np.generic], labels: NDArray[np.int64]) -> tuple[str, ...] | None:
    """Return the colours ``#rrggbb`` that a label file gives its classes, in label order, None where it gives none.

    Args:
        path: the label file; ENVI's ``class lookup`` and TIFF's colour map are understood.
        raw: (height, width) class ids as the file holds them.
        labels: (height, width) the same as -1, 0..K-1.

    Raises:
        SceneError: the file is damaged.
    """
    header = find_header(path)
    reader = _COLOURS.get(header.suffix.lower())
    if reader is None:
        return None
    with reading(header):
        table = reader(header)
    present, first = np.unique(labels, return_index=True)
    ids = raw.reshape(-1)[first[present >= 0]].astype(np.int64)
    if table is None or ids.max() >= len(table):
        return None
    colours = tuple("#{:02x}{:02x}{:02x}".format(*table[index]) for index in ids.tolist())
    # A table that says nothing, such as one of zeros, is no palette.
    return colours if len(set(colours)) == len(colours) else None


def _geotiff(path: Path, shape: tuple[int, ...]) -> dict[str, Any] | None:
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.series[0].keyframe
        if (page.imagelength, page.imagewidth) != tuple(shape):
            return None
        tags = [page.tags[code] for code in GEOTIFF_TAGS if code in page.tags]
        described = [[tag.code, int(tag.dtype), tag.count, _plain(tag.value)] for tag in tags]
    return {"kind": "geotiff", "tags": described} if described else None


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else np.asarray(value).tolist()


def _envi(path: Path, shape: tuple[int, ...]) -> dict[str, Any] | None:
    header = _envi_header(path)
    if [_envi_number(header, name) for name in ("lines", "samples")] != list(shape):
        return None
    found = {name: _envi_list(header, name) for name in ENVI_FIELDS}
    fields = {name: text for name, text in found.items() if text is not None}
    return {"kind": "envi", "fields": fields} if fields else None


def _envi_header(path: Path) -> str:
    text = path.read_bytes()
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        # Written under some older code page: every byte is a letter of this one.
        return text.decode("latin-1")


def _envi_number(header: str, name: str) -> int | None:
    match = re.search(rf"^\s*{name}\s*=\s*(\d+)", header, re.IGNORECASE | re.MULTILINE)
    return None if match is None else int(match[1])


def _envi_list(header: str, name: str) -> str | None:
    """Return the text of a field in braces, the braces with it, None where there is no such field."""
    match = re.search(rf"^[ \t]*{name}[ \t]*=[ \t]*(\{{[^}}]*\}})", header, re.IGNORECASE | re.MULTILINE)
    return None if match is None else match[1]


def _tiff_colours(path: Path) -> NDArray[np.int64] | None:
    import tifffile

    with tifffile.TiffFile(path) as file:
        table = file.series[0].keyframe.colormap
    if table is None:
        return None
    # Sixteen bits by the standard; some writers leave eight.
    return (table >> 8 if table.max() > 255 else table).T.astype(np.int64)


def _envi_colours(path: Path) -> NDArray[np.int64] | None:
    text = _envi_list(_envi_header(path), "class lookup")
    values = [] if text is None else [int(value) for value in re.findall(r"\d+", text)]
    table = np.array(values, dtype=np.int64)
    return table.reshape(-1, 3) if values and len(values) % 3 == 0 and table.max() <= 255 else None


_GEOREFERENCE = {".tif": _geotiff, ".tiff": _geotiff, ".hdr": _envi}
_COLOURS = {".tif": _tiff_colours, ".tiff": _tiff_colours, ".hdr": _envi_colours}
