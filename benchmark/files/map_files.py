"""Classification maps as files for other programs: GeoTIFF, ENVI, NumPy; with the georeference of the scene."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from hsicl_core.errors import InvalidValueError, MissingPackageError

NO_CLASS = "unclassified"


@dataclass(frozen=True)
class MapFile:
    """What one file is to hold.

    Attributes:
        image: (height, width), class ids 1..K with 0 = none as uint8 or uint16, or float32.
        georeference: see ``benchmark.files.georeference``; None for none.
        class_names: K + 1 names by id where the image holds class ids, else empty.
        colours: K + 1 colours (red, green, blue), 0..255, by id, or empty.
    """

    image: NDArray[np.generic]
    georeference: Mapping[str, Any] | None
    class_names: Sequence[str] = ()
    colours: Sequence[tuple[int, int, int]] = ()


def map_file_beside(picture: Path, georeference: Mapping[str, Any] | None) -> Path | None:
    """Return where a georeferenced scene's map goes by default, beside its picture, None for a scene without."""
    if georeference is None:
        return None
    return picture.with_name(f"{picture.stem}_map{_ENDING[georeference['kind']]}")


def check_map_file(path: Path, georeference: Mapping[str, Any] | None) -> None:
    """Raise InvalidValueError unless ``write_map_files`` can write there; before anything is computed."""
    if path.suffix.lower() not in _WRITERS:
        raise InvalidValueError(
            f"--data {str(path)!r}: unknown format {path.suffix!r}: give a file that ends in {', '.join(_WRITERS)}"
        )
    if not path.parent.is_dir():
        raise InvalidValueError(f"--data {str(path)!r}: there is no folder {str(path.parent)!r}: make it first")
    kind = _WRITERS[path.suffix.lower()].kind
    if georeference is not None and kind is not None and kind != georeference["kind"]:
        raise InvalidValueError(
            f"--data {str(path)!r}: the scene's georeference is of {georeference['kind']}, which a {path.suffix} file "
            f"cannot carry unchanged: give a file that ends in {_ENDING[georeference['kind']]}, or in .npy"
        )


def write_map_files(
    path: Path, classes: NDArray[np.int64], confidence: NDArray[np.float32] | None, *, class_names: Sequence[str],
    colours: Sequence[str], georeference: Mapping[str, Any] | None,
) -> list[Path]:  # fmt: skip
    """Write the classes, and the confidence beside them as NAME_confidence; all files or none.

    Args:
        path: ends in ``.tif`` (class ids, names and colours), ``.hdr`` (ENVI classification, data in ``.img``) or
            ``.npy`` (class ids alone).
        classes: (height, width) class indices 0..K-1, -1 = none; the file holds ids 1..K, 0 = none.
        confidence: (height, width) in 0..1, or None.
        class_names: K names.
        colours: K colours ``#rrggbb``.
        georeference: copied as it stands; ``.npy`` holds none.

    Returns:
        The paths to open, classes first.

    Raises:
        InvalidValueError: ``check_map_file`` refuses, or the files cannot be written.
        MissingPackageError: the format needs a package that is not installed.
    """
    check_map_file(path, georeference)
    dtype = np.uint8 if len(class_names) <= 255 else np.uint16
    table = [(0, 0, 0), *((int(c[1:3], 16), int(c[3:5], 16), int(c[5:7], 16)) for c in colours)]
    files = {path: MapFile((classes + 1).astype(dtype), georeference, (NO_CLASS, *class_names), table)}
    if confidence is not None:
        files[path.with_stem(f"{path.stem}_confidence")] = MapFile(confidence.astype(np.float32), georeference)
    write = _WRITERS[path.suffix.lower()].write
    try:
        # Finished files only are moved to their places.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".hsicl_map_") as draft:
            for target, file in files.items():
                write(Path(draft) / target.name, file)
            for finished in sorted(Path(draft).iterdir()):
                os.replace(finished, path.parent / finished.name)
    except OSError as error:
        raise InvalidValueError(
            f"--data {str(path)!r}: cannot be written ({error.strerror or error}): choose another place"
        ) from error
    return list(files)


def _write_tiff(path: Path, file: MapFile) -> None:
    try:
        import tifffile
    except ImportError as error:
        raise MissingPackageError("tifffile", f"writing {path.name} (GeoTIFF)") from error

    geo = [] if file.georeference is None else file.georeference["tags"]
    tags = [(code, kind, count, value, True) for code, kind, count, value in geo]
    options: dict[str, Any] = {"photometric": "minisblack"}
    if file.colours:
        colour_map = np.zeros((3, 2 ** (8 * file.image.dtype.itemsize)), dtype=np.uint16)
        # Eight bits to sixteen, 255 to 65535.
        colour_map[:, : len(file.colours)] = np.array(file.colours, dtype=np.uint16).T * 257
        options = {"photometric": "palette", "colormap": colour_map}
        # GDAL's tag for the value that means none.
        tags.append((42113, "s", 0, "0", True))
    tifffile.imwrite(path, file.image, metadata=None, software="hsicl", extratags=tags, **options)
    if file.class_names:
        # TIFF has no place for names; GDAL and QGIS look for them in this file.
        names = "".join(f"<Category>{escape(name)}</Category>" for name in file.class_names)
        band = f'<PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames></PAMRasterBand>'
        path.with_name(f"{path.name}.aux.xml").write_text(f"<PAMDataset>{band}</PAMDataset>\n", encoding="utf-8")


def _write_envi(path: Path, file: MapFile) -> None:
    try:
        from spectral.io import envi
    except ImportError as error:
        raise MissingPackageError("spectral", f"writing {path.name} (ENVI)") from error

    metadata = {} if file.georeference is None else dict(file.georeference["fields"])
    if file.class_names:
        names = [name.translate(_NO_ENVI_SYNTAX) for name in file.class_names]
        envi.save_classification(
            str(path), file.image, metadata=metadata | {"data ignore value": 0}, class_names=names,
            class_colors=file.colours,
        )  # fmt: skip
    else:
        envi.save_image(str(path), file.image, metadata=metadata)


def _write_npy(path: Path, file: MapFile) -> None:
    np.save(path, file.image)


@dataclass(frozen=True)
class _Writer:
    """A format, and the kind of georeference that it carries."""

    write: Callable[[Path, MapFile], None]
    kind: str | None = None


# What separates and ends a list of an ENVI header.
_NO_ENVI_SYNTAX = str.maketrans({",": ";", "{": "(", "}": ")", "\n": " ", "\r": " "})
_ENDING = {"geotiff": ".tif", "envi": ".hdr"}
_WRITERS = {
    ".tif": _Writer(_write_tiff, "geotiff"),
    ".tiff": _Writer(_write_tiff, "geotiff"),
    ".hdr": _Writer(_write_envi, "envi"),
    ".npy": _Writer(_write_npy),
}
