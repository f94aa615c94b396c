"""From arrays as files hold them to a cube (height, width, bands) and labels -1, 0..K-1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hsicl_core.errors import InvalidValueError, SceneError

# More ids than this in one map are measurements, not classes.
MOST_CLASSES = 1000


def shaped_cube(
    array: NDArray[np.generic], shape: tuple[int, int, int] | None, order: str, where: str
) -> NDArray[np.generic]:
    """Return the cube (height, width, bands) of an array that may be flat or have its bands first.

    Args:
        array: (height, width, bands), or with ``shape`` given also (bands, height, width), (pixels, bands),
            (bands, pixels) or (pixels * bands,).
        shape: (height, width, bands) of the cube; None takes the array as it is.
        order: ``"C"`` where flat pixels run along rows, ``"F"`` where they run along columns (MATLAB).
        where: the file, for messages.

    Raises:
        InvalidValueError: ``shape`` or ``order`` is none.
        SceneError: the array has not the values that ``shape`` asks for.
    """
    check_layout(shape, order)
    if shape is None:
        return array
    height, width, bands = shape
    pixels = height * width
    if array.shape == (height, width, bands):
        return array
    if array.shape == (bands, height, width):
        return np.moveaxis(array, 0, -1)
    squeezed = array.reshape(-1) if array.size == max(array.shape, default=0) else array
    if squeezed.shape == (pixels * bands,):
        return squeezed.reshape(shape, order="F" if order == "F" else "C")
    # Where pixels == bands both fit, and pixels come first as in every table of samples.
    for flat in (squeezed, squeezed.T):
        if flat.shape == (pixels, bands):
            if order == "F":
                return flat.reshape(width, height, bands).swapaxes(0, 1)
            return flat.reshape(shape)
    raise SceneError(
        f"{where}: the array has shape {array.shape}, which cannot be a cube of shape {tuple(shape)}: "
        f"{math.prod(shape)} values are needed, bands first, last or flat; correct --shape H,W,B"
    )


def check_layout(shape: tuple[int, int, int] | None, order: str) -> None:
    """Raise InvalidValueError unless ``shape`` is (height, width, bands) or None and ``order`` is "C" or "F"."""
    if order not in {"C", "F"}:
        raise InvalidValueError(f"order must be 'C' (along rows) or 'F' (along columns, MATLAB), got order={order!r}")
    if shape is not None and (
        len(shape) != 3 or any(not isinstance(side, int | np.integer) or side < 1 for side in shape)
    ):
        raise InvalidValueError(f"shape must be three whole numbers H,W,B >= 1, got shape={shape!r}")


def shaped_labels(array: NDArray[np.generic], shape: tuple[int, int], order: str) -> NDArray[np.generic]:
    """Return the label map of an array that may be flat; one of another size is left for the scene's own check."""
    if array.shape != shape and array.size == max(array.shape, default=0) == math.prod(shape):
        return array.reshape(-1).reshape(shape, order="F" if order == "F" else "C")
    return array


def resolved_labels(
    raw: NDArray[np.generic], where: str, unlabelled: int | None = None, class_names: Sequence[str] | None = None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return labels -1, 0..K-1 and the K class names of a map with class ids of any convention.

    Args:
        raw: (height, width) class ids. NaN and negative values are unlabelled; if there are none, 0 is.
        where: the file, for messages.
        unlabelled: the id that means unlabelled, if it is another; NaN and negative values are unlabelled all the same.
        class_names: names of the classes in the order of their ids; ``class <id>`` where not given.

    Raises:
        SceneError: ids that are not whole numbers, too many of them, none, or not as many as names.
    """
    if raw.dtype.kind not in "biuf":
        raise SceneError(f"{where}: labels have dtype {raw.dtype}, they must be numbers: name the array of class ids")
    values = raw.astype(np.float64)
    out = np.isnan(values) | (values < 0)
    if unlabelled is not None:
        out |= values == unlabelled
    elif not out.any():
        out = values == 0
    ids = np.unique(values[~out])
    if ids.size == 0:
        raise SceneError(f"{where}: no pixel is labelled: name the array of class ids, or say what means unlabelled")
    if (ids != np.floor(ids)).any() or not np.isfinite(ids).all() or ids.size > MOST_CLASSES:
        raise SceneError(
            f"{where}: {ids.size} different labels from {ids[0]:g} to {ids[-1]:g}, they must be whole numbers, at most "
            f"{MOST_CLASSES} of them: name the array of class ids"
        )
    if class_names is not None and len(class_names) != ids.size:
        raise SceneError(
            f"{where}: {len(class_names)} class names for {ids.size} classes "
            f"(ids {', '.join(f'{i:g}' for i in ids[:20])}): give one name per class, in the order of the ids"
        )
    labels = np.where(out, -1, np.searchsorted(ids, np.where(out, ids[0], values)))
    names = tuple(class_names) if class_names is not None else tuple(f"class {int(i)}" for i in ids)
    return labels.astype(np.int64), names


def read_shape(text: str | None) -> tuple[int, int, int] | None:
    """Return (height, width, bands) from text such as ``"145,145,200"``, None from None.

    Raises:
        InvalidValueError: the text is not three positive integers.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InvalidValueError(f"--shape {text!r} is not H,W,B: write three positive integers, e.g. 145,145,200")
    height, width, bands = map(int, parts)
    return height, width, bands
