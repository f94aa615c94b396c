"""Counts of pixels in all windows of a map at once, and the search for development windows that is built on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """Rows ``top..bottom-1`` and columns ``left..right-1`` of an image."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def area(self) -> tuple[slice, slice]:
        """Index of the window's pixels in a (height, width) map."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, reach: int) -> Window:
        """Return the window with all pixels within ``reach`` of it; what lies above or left of the image is cut."""
        return Window(
            max(self.top - reach, 0), max(self.left - reach, 0), self.bottom + reach, self.right + reach
        )  # slices forgive what lies beyond the other two edges

    def meets(self, other: Window) -> bool:
        """Whether the two have a pixel in common."""
        return (
            self.top < other.bottom and other.top < self.bottom and self.left < other.right and other.left < self.right
        )


# Windows looked at at a time: what is held besides the sums stays small on maps of any size.
BAND = 2**18


class BoxSums:
    """Numbers of marked pixels in any windows, each in constant time.

    Args:
        marked: (height, width) booleans, fewer than 2**31.
    """

    def __init__(self, marked: NDArray[np.bool_]) -> None:
        self.shape: tuple[int, int] = (marked.shape[0], marked.shape[1])
        self._sums = np.zeros((marked.shape[0] + 1, marked.shape[1] + 1), dtype=np.int32)
        np.cumsum(marked, axis=0, dtype=np.int32, out=self._sums[1:, 1:])
        np.cumsum(self._sums[1:, 1:], axis=1, dtype=np.int32, out=self._sums[1:, 1:])

    def at_least(self, least: int, size: tuple[int, int]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Give the windows of one size that hold enough, as first rows and first columns, one band after the other.

        Args:
            least: marked pixels that a window must hold.
            size: (height, width) of the windows.
        """
        s, (height, width) = self._sums, size
        n_rows = s.shape[0] - height
        step = max(1, BAND // s.shape[1])
        for first in range(0, n_rows, step):
            upper = s[first : min(first + step, n_rows)]
            lower = s[first + height : min(first + step, n_rows) + height]
            held = lower[:, width:] - upper[:, width:] - lower[:, :-width] + upper[:, :-width]
            tops, lefts = np.nonzero(held >= least)
            yield tops + first, lefts

    def around(
        self, tops: NDArray[np.int64], lefts: NDArray[np.int64], size: tuple[int, int], reach: int
    ) -> NDArray[np.int64]:
        """Return the sums over windows grown by ``reach`` and clipped to the image.

        Args:
            tops: (n,) first rows of the windows.
            lefts: (n,) first columns.
            size: (height, width) of all of them.
            reach: by how many pixels each side is moved outwards, >= 0.
        """
        top, left = np.maximum(tops - reach, 0), np.maximum(lefts - reach, 0)
        bottom = np.minimum(tops + size[0] + reach, self.shape[0])
        right = np.minimum(lefts + size[1] + reach, self.shape[1])
        s = self._sums
        return s[bottom, right] - s[top, right] - s[bottom, left] + s[top, left]


def largest_side(patch_size: int, quota: int, is_share: bool) -> int:
    """Return the longest side of a window: four patches; for a share of a class, as long as its pixels may need.

    Budgets in labels per class never need more: what they cannot hold they do not serve.
    """
    side = 4 * patch_size
    while is_share and side * side < 4 * quota:
        side *= 2
    return side


def window_sizes(patch_size: int, shape: tuple[int, int], quota: int, is_share: bool) -> list[tuple[int, int]]:
    """Return the sizes to try for a block: a square of half a patch, then all others, smallest guarded area first.

    Args:
        patch_size: side in pixels of the patches.
        shape: (height, width) of the image, which no window exceeds.
        quota: pixels that the block must hold; for one, a window of one pixel comes last.
        is_share: whether the quota comes of a share of the class.
    """
    usual = patch_size // 2 + 1
    sides = sorted(
        {
            max(2, (patch_size + 3) // 4), usual, patch_size + 1, 2 * patch_size, 4 * patch_size,
            largest_side(patch_size, quota, is_share),
        }
    )  # fmt: skip
    sizes = {(min(height, shape[0]), min(width, shape[1])) for height in sides for width in sides}
    square = (min(usual, shape[0]), min(usual, shape[1]))
    grown = 2 * (patch_size - 1)
    ordered = sorted(sizes, key=lambda size: (size != square, (size[0] + grown) * (size[1] + grown), size))
    return [*ordered, (1, 1)] if quota == 1 else ordered
