"""How the axes of arrays, as files hold them, become a cube (height, width, bands) and its labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsicl_core.errors import InvalidValueError, SceneError

_RUNS = {"C": "pixels along rows (order C)", "F": "pixels along columns (order F)"}


@dataclass(frozen=True)
class Layout:
    """One way to understand the axes of an array.

    Attributes:
        text: the way, in words.
        apply: turns the array into (height, width, bands), (height, width, classes) or (height, width); a view where
            strides allow.
    """

    text: str
    apply: Callable[[NDArray[np.generic]], NDArray[np.generic]]


@dataclass(frozen=True)
class Arrangement:
    """How cube and labels of one scene are understood."""

    cube: Layout
    labels: Layout


def arrange(
    cube: tuple[int, ...],
    labels: tuple[int, ...],
    *,
    shape: tuple[int, int, int] | None = None,
    order: str = "C",
    band_axis: int | None = None,
    where: str = "the cube",
) -> Arrangement:
    """Return the one way in which a cube and labels of these shapes make a scene.

    Args:
        cube: shape of the stored cube: three axes, the bands last, first or between; or (pixels, bands) or
            (bands, pixels); with ``shape`` also (pixels * bands,).
        labels: shape of the stored labels: (height, width), (height, width, classes), (classes, height, width),
            (pixels,), (pixels, classes) or (classes, pixels).
        shape: (height, width, bands) of the cube; None infers it from what fits.
        order: ``"C"`` where flat pixels run along rows, ``"F"`` where they run along columns (MATLAB).
        band_axis: the axis of the bands where the format itself says so.
        where: the file, for messages.

    Raises:
        InvalidValueError: ``shape`` or ``order`` is none.
        SceneError: nothing fits, or more than one way does.
    """
    found = arrangements(cube, labels, shape=shape, order=order, band_axis=band_axis)
    if len(found) == 1:
        return found[0]
    what = f"{where}: a cube stored as {cube} and labels stored as {labels}"
    if found:
        ways = "; or ".join(f"cube: {way.cube.text}, labels: {way.labels.text}" for way in found)
        raise SceneError(
            f"{what} fit in more than one way ({ways}): give --shape H,W,B, the cube is then taken as it is"
        )
    if shape is not None:
        if not cube_layouts(cube, shape[:2], order, shape[2], band_axis):
            raise SceneError(
                f"{where}: the array has shape {cube}, which cannot be a cube of shape {tuple(shape)}: "
                f"{math.prod(shape)} values are needed, bands first, last or flat; correct --shape H,W,B"
            )
        raise SceneError(
            f"{what} do not fit: {shape[0]} x {shape[1]} pixels are asked for; correct --shape or --labels"
        )
    raise SceneError(
        f"{what} do not fit: rows and columns of the labels must be two axes of the cube's shape in the same order, "
        "untransposed; give the label map of the same image, or --shape H,W,B if both are flat"
    )


def arrangements(
    cube: tuple[int, ...],
    labels: tuple[int, ...],
    *,
    shape: tuple[int, int, int] | None = None,
    order: str = "C",
    band_axis: int | None = None,
) -> list[Arrangement]:
    """Return every way in which a cube and labels of these shapes make a scene; see ``arrange``.

    With ``shape`` given the cube is understood in one way at most: as it is rather than bands first, and pixels first
    where there are as many bands as pixels, as in every table of samples.
    """
    check_layout(shape, order)
    if shape is not None:
        first = cube_layouts(cube, shape[:2], order, shape[2], band_axis)[:1]
        return [Arrangement(way, other) for way in first for other in label_layouts(labels, shape[:2], order)]
    return [
        Arrangement(way, other)
        for image in _images(cube, labels)
        for way in cube_layouts(cube, image, order, None, band_axis)
        for other in label_layouts(labels, image, order)
    ]


def cube_layouts(
    stored: tuple[int, ...], image: tuple[int, int], order: str, bands: int | None = None, band_axis: int | None = None
) -> list[Layout]:
    """Return the ways in which an array can be a cube.

    Args:
        stored: shape of the array.
        image: (height, width).
        order: order of flat pixels.
        bands: number of bands, None where any number will do.
        band_axis: the axis of the bands where it is known.
    """
    pixels = math.prod(image)
    found = []
    if len(stored) == 3:
        words = {2: "rows, columns, bands", 0: "bands first: bands, rows, columns", 1: "rows, bands, columns"}
        for axis in words if band_axis is None else (band_axis,):
            if _without(stored, axis) == tuple(image) and bands in (None, stored[axis]):
                found.append(Layout(words[axis], _bands_last(axis)))
    if bands is not None and math.prod(stored) == max(stored, default=0) == pixels * bands:
        shape = (*image, bands)
        text = "flat: " + {"C": "row by row, bands last", "F": "MATLAB's cube(:), band by band"}[order]
        found.append(Layout(text, lambda array: array.reshape(-1).reshape(shape, order="F" if order == "F" else "C")))
    if len(stored) == 2:
        for axis, words_ in ((0, "pixels, bands"), (1, "bands, pixels")):
            if stored[axis] == pixels and bands in (None, stored[1 - axis]):
                found.append(Layout(f"flat: {words_}, {_RUNS[order]}", _unflatten(axis, image, order)))
    return found


def label_layouts(stored: tuple[int, ...], image: tuple[int, int], order: str) -> list[Layout]:
    """Return the ways in which an array can be the labels of an image (height, width)."""
    pixels = math.prod(image)
    if tuple(stored) == tuple(image):
        return [Layout("rows, columns", lambda array: array)]
    if math.prod(stored) == max(stored, default=0) == pixels and len(stored) < 3:
        text = f"flat: {_RUNS[order]}"
        return [Layout(text, lambda array: array.reshape(-1).reshape(image, order="F" if order == "F" else "C"))]
    found = []
    if len(stored) == 3:
        for axis, words in ((2, "rows, columns, classes"), (0, "classes, rows, columns")):
            if _without(stored, axis) == tuple(image):
                found.append(Layout(words, _bands_last(axis)))
    if len(stored) == 2:
        for axis, words in ((0, "pixels, classes"), (1, "classes, pixels")):
            if stored[axis] == pixels:
                found.append(Layout(f"flat: {words}, {_RUNS[order]}", _unflatten(axis, image, order)))
    return found


def shaped_cube(
    array: NDArray[np.generic], shape: tuple[int, int, int], order: str, where: str
) -> NDArray[np.generic]:  # fmt: skip
    """Return the cube (height, width, bands) of an array of any layout that ``cube_layouts`` knows.

    Raises:
        SceneError: the array has not the values that ``shape`` asks for.
    """
    return arrange(array.shape, shape[:2], shape=shape, order=order, where=where).cube.apply(array)


def shaped_labels(array: NDArray[np.generic], shape: tuple[int, int], order: str) -> NDArray[np.generic]:
    """Return the label map (height, width) of an array that may be flat."""
    return label_layouts(array.shape, shape, order)[0].apply(array)


def check_layout(shape: tuple[int, int, int] | None, order: str) -> None:
    """Raise InvalidValueError unless ``shape`` is (height, width, bands) or None and ``order`` is "C" or "F"."""
    if order not in _RUNS:
        raise InvalidValueError(f"order must be 'C' (along rows) or 'F' (along columns, MATLAB), got order={order!r}")
    if shape is not None and (
        len(shape) != 3 or any(not isinstance(side, int | np.integer) or side < 1 for side in shape)
    ):
        raise InvalidValueError(f"shape must be three whole numbers H,W,B >= 1, got shape={shape!r}")


def read_shape(text: str | None) -> tuple[int, int, int] | None:
    """Return (height, width, bands) from text such as ``"145,145,200"``, None from None.

    Raises:
        InvalidValueError: the text is not three positive integers.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    # isdecimal is true of digits of any script, and a number of a thousand digits is no side of an image.
    if len(parts) != 3 or not all(part.isdecimal() and len(part) < 10 and int(part) > 0 for part in parts):
        raise InvalidValueError(f"--shape {text!r} is not H,W,B: write three positive integers, e.g. 145,145,200")
    height, width, bands = map(int, parts)
    return height, width, bands


def _images(cube: tuple[int, ...], labels: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return every (height, width) that the axes of a cube, or of labels for a flat one, may mean."""
    found = []
    if len(cube) == 3:
        found = [_without(cube, axis) for axis in (2, 0, 1)]
    elif len(labels) == 2:
        found = [tuple(labels)]
    elif len(labels) == 3:
        found = [_without(labels, axis) for axis in (2, 0)]
    return [(height, width) for height, width in dict.fromkeys(found)]


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _bands_last(axis: int) -> Callable[[NDArray[np.generic]], NDArray[np.generic]]:
    return lambda array: np.moveaxis(array, axis, -1)


def _unflatten(pixel_axis: int, image: tuple[int, int], order: str) -> Callable[..., NDArray[np.generic]]:
    def apply(array: NDArray[np.generic]) -> NDArray[np.generic]:
        height, width = image
        flat = np.moveaxis(array, pixel_axis, 0)
        if order == "F":
            return flat.reshape(width, height, -1).swapaxes(0, 1)
        return flat.reshape(height, width, -1)

    return apply
