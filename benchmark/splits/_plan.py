"""The order of decisions of the rule ``block``: class by class, all for training, then all for validation."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmark.label_budget import LabelBudget
from benchmark.split import Split
from benchmark.splits._ground import TRAIN, VAL, Block, Ground
from benchmark.splits._windows import largest_side
from benchmark.splits.base import MIN_TEST

# What every class keeps for testing, as shares of its pixels: the first wherever a cheaper choice of blocks allows it,
# the next before the bare minimum.
USUAL_TEST_SHARES = (0.25, 0.125)


class Plan:
    """The blocks chosen so far and the ground that they leave for testing.

    Attributes:
        ground: what is left to test on.
        train: class index -> its training blocks; no other class is served.
        val: class index -> its validation blocks.
        unsupported: class index -> why it has no training blocks.
        unvalidated: class index -> why a served class has no validation blocks.
        is_contested: whether a class was given up beside blocks of others, so that fewer might have left it room.

    Args:
        labels: (height, width), -1 = unlabelled.
        budget: training pixels of every class.
        val_per_class: validation pixels per class, wherever possible.
        patch_size: side in pixels of the patches that must not meet.
        seed: of all orders.
    """

    def __init__(
        self, labels: NDArray[np.int64], budget: LabelBudget, val_per_class: int, patch_size: int, seed: int
    ) -> None:
        self.ground = Ground(labels, patch_size, seed, budget.is_share)
        self.n_train: list[int] = budget.train.tolist()
        self.val_per_class = val_per_class
        self.train: dict[int, list[Block]] = {}
        self.val: dict[int, list[Block]] = {}
        self.unsupported: dict[int, str] = {}
        self.unvalidated: dict[int, str] = {}
        self.is_contested = False
        counts = self.ground.counts
        shares = (np.maximum(MIN_TEST, (share * counts).astype(np.int64)) for share in USUAL_TEST_SHARES)
        self.floors = (*shares, np.full_like(counts, MIN_TEST))

    def train_all(self, n_blocks: int) -> None:
        """Choose up to ``n_blocks`` training blocks for every class, the rarest first."""
        counts = self.ground.counts
        present = np.flatnonzero(counts)
        for label in present[np.argsort(counts[present], kind="stable")].tolist():
            mine = self.ground.labels == label
            found = self._training(label, mine, min(n_blocks, self.n_train[label]))
            if found is None:
                self.unsupported[label] = self._why_unsupported(label, mine)
                self.is_contested |= bool(self.train)
                self.ground.give_up(label)
            else:
                self.train[label], self.ground = found

    def validated(self, n_blocks: int) -> Plan:
        """Return the plan with up to ``n_blocks`` validation blocks for every served class, the rarest first."""
        other = Plan.__new__(Plan)
        other.__dict__.update(self.__dict__, val={}, unvalidated={})
        # What can be tested on now is outside the guards of all training pixels; of each other's, nothing is asked.
        far = self.ground.testable
        for label in self.train:
            mine = far & (self.ground.labels == label)
            found = other._validation(label, mine, n_blocks)
            if found is None:
                other.unvalidated[label] = other._why_unvalidated(label, mine)
            else:
                other.val[label], other.ground = found
        return other

    def as_split(self) -> Split:
        """Return the plan as a split."""
        train, val = (
            np.sort(np.concatenate([np.empty(0, np.int64), *(b.pixels for blocks in part.values() for b in blocks)]))
            for part in (self.train, self.val)
        )
        test = np.flatnonzero(self.ground.testable)
        guarded = int(self.ground.counts[list(self.train)].sum()) - train.size - val.size - test.size
        return Split(
            train=train,
            val=val,
            test=test,
            rule="block",
            patch_size=self.ground.patch_size,
            unsupported=dict(sorted(self.unsupported.items())),
            dropped={"within the guard": guarded} if guarded else {},
            unvalidated=dict(sorted(self.unvalidated.items())),
        )

    def _training(self, label: int, mine: NDArray[np.bool_], n_most: int) -> tuple[list[Block], Ground] | None:
        """Return the blocks that leave the class most room for validation; of equals, the most blocks."""
        first: tuple[list[Block], Ground] | None = None
        amounts = self._val_amounts(label)
        for floor in self._floors_in_reach(label, mine):
            best, most = None, 0
            for n in range(n_most, 0, -1):
                ground = self.ground.copy()
                blocks = ground.take(label, mine, self.n_train[label], n, floor, TRAIN)
                if not blocks:
                    continue
                first = first or (blocks, ground)
                far = mine & ground.testable
                more = (amount for amount in amounts if amount > most)
                room = next((n_val for n_val in more if ground.copy().take(label, far, n_val, 1, floor, VAL)), 0)
                if room > most:
                    best, most = (blocks, ground), room
                if most == amounts[0]:
                    break
            if best:
                return best
        return first

    def _validation(self, label: int, mine: NDArray[np.bool_], n_most: int) -> tuple[list[Block], Ground] | None:
        for floor, n_val in product(self._floors_in_reach(label, mine), self._val_amounts(label)):
            for n in range(min(n_most, n_val), 0, -1):
                ground = self.ground.copy()
                blocks = ground.take(label, mine, n_val, n, floor, VAL)
                if blocks:
                    return blocks, ground
        return None

    def _val_amounts(self, label: int) -> list[int]:
        """Return the numbers of validation pixels to try."""
        free = int(self.ground.counts[label]) - self.n_train[label]
        full = min(self.val_per_class, max(1, free // 4))
        return sorted({full, (full + 1) // 2, 1}, reverse=True)

    def _floors_in_reach(self, label: int, mine: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
        """Return the floors that the class can keep beside a single pixel; no search serves for the others."""
        most = self.ground.most_kept(label, mine, 1)
        return [floor for floor in self.floors if most is not None and floor[label] <= most]

    def _why_unsupported(self, label: int, mine: NDArray[np.bool_]) -> str:
        ground, needed = self.ground, self.n_train[label]
        count = int(ground.counts[label])
        if count < needed + MIN_TEST:
            return f"only {count} pixels, but {needed} train and {MIN_TEST} test pixels are needed"
        kept = ground.most_kept(label, mine, needed)
        if kept is None:
            side = largest_side(ground.patch_size, needed, ground.is_share)
            return f"its {count} pixels are scattered: no window of {side} x {side} holds {needed} to train"
        if kept < MIN_TEST:
            return (
                f"only {kept} of its {count} pixels would be left for testing outside the guards of {ground.guard} "
                f"pixels around any {needed} that train, {MIN_TEST} are needed"
            )
        return f"the guard around any {needed} of its {count} pixels would take the last test pixels of another class"

    def _why_unvalidated(self, label: int, mine: NDArray[np.bool_]) -> str:
        ground = self.ground
        count, n_far = int(ground.counts[label]), int(mine.sum())
        kept = ground.most_kept(label, mine, 1)
        # A served class has MIN_TEST such pixels at least, so that kept is a number.
        if kept is None or kept < MIN_TEST:
            return (
                f"{n_far} of its {count} pixels are {ground.patch_size} pixels from all training pixels, but only "
                f"{kept or 0} would be left for testing outside the guard around any one of them, {MIN_TEST} are needed"
            )
        return (
            f"the guard around any of its {n_far} pixels that are {ground.patch_size} pixels from all training pixels "
            "would take the last test pixels of another class"
        )
