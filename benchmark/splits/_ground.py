"""What a guarded split still has to test on, and the search for the blocks that take least of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.pixel_order import hashed, hashed_order
from benchmark.split import within_reach
from benchmark.splits._windows import BoxSums, Window, largest_side, window_sizes


class Draw(NamedTuple):
    """How one part's windows are drawn.

    Attributes:
        stream: number of the part's first seeded order; every further block of a class takes the next.
        n_compared: windows among which the one that costs least is taken. More of them leave more test pixels; fewer
            of them differ more between seeds.
    """

    stream: int
    n_compared: int


# Training blocks should differ between seeds. Validation blocks pay better for being compared: close to one another,
# even of different classes, they share their guards.
TRAIN = Draw(stream=0, n_compared=16)
VAL = Draw(stream=3, n_compared=64)
# Seeded orders per class: three training blocks and two validation blocks.
N_STREAMS = 5
# Windows tried in addition where none of the compared ones serves.
N_TRIED = 128


@dataclass(frozen=True)
class Block:
    """A window and the pixels taken from it, (n,) flat indices in seeded order."""

    window: Window
    pixels: NDArray[np.int64]


class Ground:
    """The pixels that can still be tested on: labelled, outside all guards, of no class that is given up.

    Attributes:
        labels: (height, width), -1 = unlabelled.
        counts: (n_classes,) labelled pixels.
        testable: (height, width) booleans.
        remaining: (n_classes,) testable pixels.
        guard: rows and columns beyond a taken pixel that are not tested on.

    Args:
        labels: (height, width), -1 = unlabelled.
        patch_size: side in pixels of the patches that must not meet.
        seed: of all orders.
        is_share: whether the blocks hold shares of the classes, which may be large.
    """

    def __init__(self, labels: NDArray[np.int64], patch_size: int, seed: int, is_share: bool) -> None:
        self.labels, self.patch_size, self.seed, self.is_share = labels, patch_size, seed, is_share
        self.guard = patch_size - 1
        self.testable = labels >= 0
        self.counts = np.bincount(labels[self.testable])
        self.remaining = self.counts.copy()

    @property
    def test_share(self) -> float:
        """Share of all labelled pixels that would be tested on."""
        return float(self.remaining.sum() / self.counts.sum())

    def copy(self) -> Ground:
        """Return the same ground; what is taken from one of the two is not taken from the other."""
        other = Ground.__new__(Ground)
        other.__dict__.update(self.__dict__, testable=self.testable.copy(), remaining=self.remaining.copy())
        return other

    def give_up(self, label: int) -> None:
        """Test on no pixel of a class."""
        self.testable &= self.labels != label
        self.remaining[label] = 0

    def take(
        self, label: int, mine: NDArray[np.bool_], n_pixels: int, n_blocks: int, floor: NDArray[np.int64], draw: Draw
    ) -> list[Block]:
        """Take pixels of a class and their guards, or say that it cannot be; the ground is then spoilt: try on a copy.

        Args:
            label: the class.
            mine: (height, width) booleans, the pixels of the class that may be taken.
            n_pixels: how many are wanted, >= n_blocks.
            n_blocks: number of blocks, a patch apart, that share them evenly.
            floor: (n_classes,) test pixels below which no class may be brought.
            draw: which windows are compared.

        Returns:
            The blocks; none where no window serves.
        """
        if not mine.any():
            return []
        part = self._part_around(mine, n_pixels)
        sums = BoxSums(mine[part.area])
        blocks: list[Block] = []
        for i in range(n_blocks):
            quota = n_pixels // n_blocks + (i < n_pixels % n_blocks)
            taken = [block.window.grown(self.patch_size) for block in blocks]
            order_seed = self.seed + label * N_STREAMS + draw.stream + i
            window = self._cheapest(label, sums, part, quota, taken, floor, order_seed, draw.n_compared)
            if window is None:
                return []
            blocks.append(self._taken_from(window, mine, quota))
        return blocks

    def most_kept(self, label: int, mine: NDArray[np.bool_], quota: int) -> int | None:
        """Return the most test pixels that a class can keep beside a block of ``quota``; None where none is so full.

        Args:
            label: the class.
            mine: (height, width) booleans, the pixels of the class that may be taken.
            quota: pixels of the block.
        """
        if not mine.any():
            return None
        part = self._part_around(mine, quota).area
        own, sums = BoxSums(self.testable[part] & (self.labels[part] == label)), BoxSums(mine[part])
        most: int | None = None
        # Larger windows than a pixel cannot keep more where one pixel is enough.
        for size in window_sizes(self.patch_size, own.shape, quota, self.is_share) if quota > 1 else [(1, 1)]:
            for tops, lefts in sums.at_least(quota, size):
                if tops.size:
                    kept = self.remaining[label] - own.around(tops, lefts, size, self.guard).min()
                    most = max(most or 0, int(kept))
        return most

    def _part_around(self, mine: NDArray[np.bool_], n_most: int) -> Window:
        """Return the part of the image beyond which no window with pixels of ``mine``, nor its guard, reaches."""
        rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
        margin = largest_side(self.patch_size, n_most, self.is_share) + self.guard
        return Window(rows[0], columns[0], rows[-1] + 1, columns[-1] + 1).grown(margin)

    def _taken_from(self, window: Window, mine: NDArray[np.bool_], quota: int) -> Block:
        rows, columns = np.nonzero(mine[window.area])
        pixels = (rows + window.top) * self.labels.shape[1] + columns + window.left
        pixels = hashed_order(pixels, self.seed)[:quota]
        around = window.grown(self.guard)
        labels, testable = self.labels[around.area], self.testable[around.area]
        rows, columns = np.divmod(pixels, self.labels.shape[1])
        inside = (rows - around.top) * labels.shape[1] + columns - around.left
        lost = within_reach(inside, labels.shape, self.guard) & testable
        self.remaining -= np.bincount(labels[lost], minlength=self.remaining.size)
        testable[lost] = False
        return Block(window, pixels)

    def _cheapest(
        self, label: int, sums: BoxSums, part: Window, quota: int, taken: list[Window], floor: NDArray[np.int64],
        order_seed: int, n_compared: int,
    ) -> Window | None:  # fmt: skip
        """Return the cheapest of some windows with ``quota`` pixels of the class."""
        worth = 10**9 // np.maximum(self.remaining, 1)
        limits = self._limits(label, part, quota, floor)
        for size in window_sizes(self.patch_size, sums.shape, quota, self.is_share):
            drawn = self._drawn(sums, part, quota, size, limits, order_seed, n_compared + N_TRIED)
            for some in (drawn[:n_compared], drawn[n_compared:]):
                some = [window for window in some if not any(window.meets(other) for other in taken)]
                lost = np.array([self._lost(window) for window in some]).reshape(len(some), worth.size)
                # A class that is below the floor already must lose nothing more.
                spares = (self.remaining - lost >= np.minimum(floor, self.remaining)).all(axis=1)
                if spares.any():
                    return some[int(np.where(spares, lost @ worth, np.iinfo(np.int64).max).argmin())]
        return None

    def _limits(self, label: int, part: Window, quota: int, floor: NDArray[np.int64]) -> list[tuple[BoxSums, int]]:
        """Return marked pixels and how many of them a guarded window may hold, where that excludes any window."""
        labels, testable = self.labels[part.area], self.testable[part.area]
        limits = []
        spare = int(self.remaining[label] - floor[label])
        if spare < (largest_side(self.patch_size, quota, self.is_share) + 2 * self.guard) ** 2:
            limits.append((BoxSums(testable & (labels == label)), spare))
        # A class at or below its floor must lose nothing more. The last entry serves label -1.
        is_spent = np.append(self.remaining <= floor, False)
        if (is_spent[:-1] & (self.remaining > 0)).any():
            limits.append((BoxSums(testable & is_spent[labels]), 0))
        return limits

    def _drawn(
        self, sums: BoxSums, part: Window, quota: int, size: tuple[int, int], limits: list[tuple[BoxSums, int]],
        order_seed: int, n_most: int,
    ) -> list[Window]:  # fmt: skip
        """Return the first windows in seeded order that hold ``quota`` pixels of the class and keep the limits."""
        width = self.labels.shape[1]
        places = np.empty(0, dtype=np.int64)
        for tops, lefts in sums.at_least(quota, size):
            for lost, limit in limits:
                fits = lost.around(tops, lefts, size, self.guard) <= limit
                tops, lefts = tops[fits], lefts[fits]
            places = np.concatenate([places, (tops + part.top) * width + lefts + part.left])
            if places.size > n_most:
                places = places[np.argpartition(hashed(places, order_seed), n_most)[:n_most]]
        order = hashed_order(places, order_seed)
        return [
            Window(top, left, top + size[0], left + size[1])
            for top, left in zip(*(at.tolist() for at in np.divmod(order, width)), strict=True)
        ]

    def _lost(self, window: Window) -> NDArray[np.int64]:
        """Return (n_classes,) the testable pixels in the window and its guard."""
        area = window.grown(self.guard).area
        return np.bincount(self.labels[area][self.testable[area]], minlength=self.remaining.size)
