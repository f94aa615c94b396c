"""Guarded blocks: no train or validation patch shares a pixel with any test patch."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmark.pixel_order import hashed, hashed_order
from benchmark.split import Split
from benchmark.splits._windows import BoxSums, Window
from benchmark.splits.base import SplitRule
from hsicl_core.errors import SplitError

# A recall over fewer test pixels than this says nothing.
MIN_TEST = 5
# What a class keeps for testing wherever a cheaper choice of blocks allows it, as a share of its pixels.
USUAL_TEST_SHARE = 0.25
# Most blocks per class: enough that a class's training pixels do not all come from one corner of one field.
MAX_BLOCKS = 3
# Fewer blocks are used where the guards of more would leave less than this share of the labelled pixels for testing.
TEST_SHARE = 0.5
# Windows among which the one that costs least is taken. More of them leave more test pixels; fewer of them differ more
# between seeds.
N_COMPARED = 16
# Windows tried in addition where none of those serves.
N_TRIED = 128


class BlockSplitRule(SplitRule):
    """Train and validation pixels come from a few small blocks per class; test pixels lie beyond a guard around them.

    Every train or validation pixel is at least ``patch_size`` rows or columns away from every test pixel, so that their
    patches have no pixel in common and ``benchmark.leakage`` is 0. Labelled pixels inside the guard are in no part.

    Blocks are chosen class by class, the rarest first, because the rarest have the fewest places. A block is one
    window of a seeded sample of all windows that hold enough pixels of the class: the one whose guard takes least from
    what all classes have left to be tested on (a pixel counts one over its class's remaining test pixels). A class
    gets up to three blocks whose windows are a patch apart; two or one where more would leave less than half of the
    labelled pixels for testing, or less than a quarter of the class's own. Training pixels are spread over all blocks
    of their class. Other label budgets need other blocks: the training sets of two budgets are not nested.

    Validation pixels come from the same blocks as the training pixels, usually a few pixels away: they tell which
    setting fits these fields, not how well it carries over to others. Only the test part tells that.

    A class that cannot keep ``MIN_TEST`` test pixels outside all guards is in no part and is named with its reason in
    ``Split.unsupported``.

    **Cost:** O(classes * blocks * height * width).
    """

    def split(
        self, labels: NDArray[np.int64], *, labels_per_class: int, val_per_class: int, patch_size: int, seed: int,
        **masks: NDArray[np.generic],
    ) -> Split:  # fmt: skip
        """Return the guarded split; see the class.

        Raises:
            SplitError: more than half of the classes have too few pixels, or fewer than two can be served, or masks
                are given.
        """
        if masks:
            raise SplitError(f"rule 'block' takes no masks, got {', '.join(masks)}: use rule='given'")
        classes, counts = np.unique(labels[labels >= 0], return_counts=True)
        _check_counts(classes, counts, labels_per_class)
        best: _Plan | None = None
        for n_blocks in range(MAX_BLOCKS, 0, -1):
            plan = _Plan(labels, labels_per_class, val_per_class, patch_size, seed)
            plan.serve_all(n_blocks)
            if best is None or plan.merit > best.merit:
                best = plan
            if best.test_share >= TEST_SHARE and not best.is_contested:
                break
        assert best is not None
        if len(best.blocks) < min(2, len(classes)):
            raise SplitError(
                f"rule 'block' can serve {len(best.blocks)} of {len(classes)} classes with labels_per_class="
                f"{labels_per_class} and patch_size={patch_size} (class {min(best.reasons)}: "
                f"{best.reasons[min(best.reasons)]}): use fewer labels, smaller patches or rule='random'"
            )
        return best.as_split()


@dataclass(frozen=True)
class _Block:
    """A window and the development pixels taken from it, (n,) flat indices in seeded order."""

    window: Window
    pixels: NDArray[np.int64]


@dataclass
class _Plan:
    """The blocks chosen so far and what they leave for testing."""

    labels: NDArray[np.int64]
    labels_per_class: int
    val_per_class: int
    patch_size: int
    seed: int
    blocks: dict[int, list[_Block]] = field(default_factory=dict)
    n_val: dict[int, int] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    # Whether a class was given up beside blocks of others, so that fewer blocks might have left it room.
    is_contested: bool = False

    def __post_init__(self) -> None:
        self.guard = self.patch_size - 1
        # Test pixels so far: labelled, outside all guards, of a class that is not given up.
        self.testable = self.labels >= 0
        self.counts = np.bincount(self.labels[self.testable])
        self.remaining = self.counts.copy()
        self.floors = (
            np.maximum(MIN_TEST, (USUAL_TEST_SHARE * self.counts).astype(np.int64)),
            np.full_like(self.counts, MIN_TEST),
        )

    @property
    def test_share(self) -> float:
        """Share of all labelled pixels that would be tested on."""
        return float(self.testable.sum() / self.counts.sum())

    @property
    def merit(self) -> tuple[int, bool, float]:
        """What the better of two plans has more of: classes, then enough test pixels, then blocks or test pixels."""
        enough = self.test_share >= TEST_SHARE
        return len(self.blocks), enough, 0.0 if enough else self.test_share

    def serve_all(self, n_blocks: int) -> None:
        """Choose up to ``n_blocks`` blocks for every class, the rarest first."""
        present = np.flatnonzero(self.counts)
        for label in present[np.argsort(self.counts[present], kind="stable")].tolist():
            self._serve(label, n_blocks)

    def as_split(self) -> Split:
        """Return the plan as a split."""
        train, val = [], []
        for label, blocks in self.blocks.items():
            # Every block in turn gives one pixel, so that the training pixels come from all of them.
            depth = max(len(block.pixels) for block in blocks)
            turns = [block.pixels[i] for i in range(depth) for block in blocks if i < len(block.pixels)]
            train += turns[: self.labels_per_class]
            val += turns[self.labels_per_class : self.labels_per_class + self.n_val[label]]
        test = np.flatnonzero(self.testable & np.isin(self.labels, list(self.blocks)))
        guarded = int(np.isin(self.labels, list(self.blocks)).sum()) - len(train) - len(val) - test.size
        return Split(
            train=np.sort(np.array(train, dtype=np.int64)),
            val=np.sort(np.array(val, dtype=np.int64)),
            test=test,
            rule="block",
            patch_size=self.patch_size,
            unsupported=dict(sorted(self.reasons.items())),
            dropped={"within the guard": guarded} if guarded else {},
        )

    def _serve(self, label: int, n_blocks: int) -> None:
        full = min(self.val_per_class, max(1, (int(self.counts[label]) - self.labels_per_class) // 4))
        # No more blocks than training pixels, so that validation pixels always lie in a block that trains.
        n_most = min(n_blocks, self.labels_per_class)
        choices = product(sorted({full, (full + 1) // 2, 1}, reverse=True), self.floors, range(n_most, 0, -1))
        kept: int | None = None
        for n_val, floor, n in choices:
            before = self.testable.copy(), self.remaining.copy()
            blocks, kept = self._find_blocks(label, self.labels_per_class + n_val, n, floor)
            if blocks:
                self.blocks[label], self.n_val[label] = blocks, n_val
                return
            self.testable, self.remaining = before
        # The last choice asked for least: one block, one validation pixel, the lowest floor.
        self.reasons[label] = self._reason(label, kept)
        self.is_contested |= bool(self.blocks)
        self.testable &= self.labels != label
        self.remaining[label] = 0

    def _reason(self, label: int, kept: int | None) -> str:
        count, needed = int(self.counts[label]), self.labels_per_class + 1
        if count < needed + MIN_TEST:
            return (
                f"only {count} pixels, but {self.labels_per_class} train, 1 val and {MIN_TEST} test pixels are needed"
            )
        if kept is None:
            side = 4 * self.patch_size
            return (
                f"its {count} pixels are scattered: no window of {side} x {side} holds {needed} to train and validate"
            )
        if kept < MIN_TEST:
            return (
                f"only {kept} of its {count} pixels would be left for testing outside the guards of {self.guard} "
                f"pixels around any {needed} that train and validate, {MIN_TEST} are needed"
            )
        return f"the guard around any {needed} of its {count} pixels would take the last test pixels of another class"

    def _find_blocks(
        self, label: int, n_pixels: int, n_blocks: int, floor: NDArray[np.int64]
    ) -> tuple[list[_Block], int | None]:
        """Return the blocks, or none, and how many test pixels the class would keep; None where no window is full."""
        of_class = self.labels == label
        rows, columns = np.nonzero(of_class)
        # No window that holds pixels of the class, nor its guard, reaches beyond this part of the image.
        margin = 4 * self.patch_size + self.guard
        part = Window(rows.min(), columns.min(), rows.max() + 1, columns.max() + 1).grown(margin)
        sums = BoxSums(of_class[part.area])
        blocks: list[_Block] = []
        kept: int | None = None
        for i in range(n_blocks):
            quota = n_pixels // n_blocks + (i < n_pixels % n_blocks)
            taken = [block.window.grown(self.patch_size) for block in blocks]
            window, kept = self._find_window(label, sums, part, quota, taken, floor)
            if window is None:
                return [], kept
            blocks.append(self._take(window, of_class, quota))
        return blocks, kept

    def _take(self, window: Window, of_class: NDArray[np.bool_], quota: int) -> _Block:
        rows, columns = np.nonzero(of_class[window.area])
        pixels = (rows + window.top) * self.labels.shape[1] + columns + window.left
        pixels = hashed_order(pixels, self.seed)[:quota]
        for row, column in zip(*np.divmod(pixels, self.labels.shape[1]), strict=True):
            area = Window(row, column, row + 1, column + 1).grown(self.guard).area
            hit = self.testable[area]
            self.remaining -= np.bincount(self.labels[area][hit], minlength=self.remaining.size)
            hit[:] = False
        return _Block(window, pixels)

    def _find_window(
        self, label: int, sums: BoxSums, part: Window, quota: int, taken: list[Window], floor: NDArray[np.int64]
    ) -> tuple[Window | None, int | None]:
        """Return the cheapest of some windows with ``quota`` pixels of the class, and the most that it can keep."""
        labels, testable = self.labels[part.area], self.testable[part.area]
        own = BoxSums(testable & (labels == label))
        worth = np.append(10**9 // np.maximum(self.remaining, 1), 0)  # the last serves label -1
        cost = BoxSums(np.where(testable, worth[labels], 0))
        kept: int | None = None
        for size in _window_sizes(self.patch_size, labels.shape):
            tops, lefts = np.nonzero(sums.everywhere(*size) >= quota)
            left = self.remaining[label] - own.around(tops, lefts, size, self.guard)
            if left.size:
                kept = max(kept or 0, int(left.max()))
            fits = left >= floor[label]
            tops, lefts = tops[fits], lefts[fits]
            places = (tops + part.top) * self.labels.shape[1] + lefts + part.left
            order = np.argsort(hashed(places, self.seed + label * MAX_BLOCKS + len(taken)))[: N_COMPARED + N_TRIED]
            tops, lefts = tops[order], lefts[order]
            price = cost.around(tops, lefts, size, self.guard)
            compared, tried = (
                np.argsort(price[:N_COMPARED], kind="stable"),
                np.argsort(price[N_COMPARED:], kind="stable") + N_COMPARED,
            )
            for i in [*compared, *tried]:
                top, left_column = int(tops[i]) + part.top, int(lefts[i]) + part.left
                window = Window(top, left_column, top + size[0], left_column + size[1])
                if not any(window.meets(other) for other in taken) and self._spares_all(window, floor):
                    return window, kept
        return None, kept

    def _spares_all(self, window: Window, floor: NDArray[np.int64]) -> bool:
        """Whether the window's guard brings no class that is not given up below its floor."""
        area = window.grown(self.guard).area
        lost = np.bincount(self.labels[area][self.testable[area]], minlength=self.remaining.size)
        # A class that is below the floor already must lose nothing more.
        return bool((self.remaining - lost >= np.minimum(floor, self.remaining)).all())


def _window_sizes(patch_size: int, shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the sizes to try: a square of half a patch, then all others, smallest guarded area first."""
    usual = patch_size // 2 + 1
    sides = sorted({max(2, (patch_size + 3) // 4), usual, patch_size + 1, 2 * patch_size, 4 * patch_size})
    sizes = {(min(height, shape[0]), min(width, shape[1])) for height in sides for width in sides}
    square = (min(usual, shape[0]), min(usual, shape[1]))
    grown = 2 * (patch_size - 1)
    return sorted(sizes, key=lambda size: (size != square, (size[0] + grown) * (size[1] + grown), size))


def _check_counts(classes: NDArray[np.int64], counts: NDArray[np.int64], labels_per_class: int) -> None:
    """Refuse a label budget that most classes cannot pay, instead of giving a split of the few that can."""
    needed = labels_per_class + 1 + MIN_TEST
    if 2 * int((counts < needed).sum()) > len(counts):
        rarest = int(counts.argmin())
        feasible = int(np.sort(counts)[len(counts) // 2]) - 1 - MIN_TEST
        remedy = f"use at most {feasible}" if feasible >= 1 else "use a scene with more labelled pixels"
        raise SplitError(
            f"labels_per_class={labels_per_class} is more than most classes have beside 1 pixel to validate and "
            f"{MIN_TEST} to test (class {classes[rarest]} has {counts[rarest]} labelled pixels): {remedy}"
        )
