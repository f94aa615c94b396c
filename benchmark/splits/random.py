"""Random pixels of every class: the field's habit, kept for comparison. Test patches overlap training patches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.label_budget import LabelBudget
from benchmark.pixel_order import hashed_order
from benchmark.split import Split
from benchmark.splits.base import SplitRule
from hsicl_core.errors import SplitError


class RandomSplitRule(SplitRule):
    """Draws pixels of every class without regard to where they lie.

    Training sets are nested: the pixels of a small label budget are among those of a larger one. Validation pixels come
    from the other end of the same order, so they stay the same over budgets.
    """

    def split(
        self, labels: NDArray[np.int64], *, budget: LabelBudget, val_per_class: int, patch_size: int, seed: int,
        **masks: Any,
    ) -> Split:  # fmt: skip
        """Return the budget's train pixels of every class, then val, and the rest as test.

        A class gives ``min(val_per_class, half of what training leaves)`` validation pixels.

        Raises:
            SplitError: a class has too few pixels to keep one for validation and one for test, or masks are given.
        """
        if masks:
            raise SplitError(f"rule 'random' takes no masks, got {', '.join(masks)}: use rule='given'")
        flat = labels.ravel()
        counts = np.bincount(flat[flat >= 0])
        lacking = np.where(counts > 0, budget.train + 2 - counts, 0)
        if lacking.max() > 0:
            worst = int(lacking.argmax())
            feasible = int(counts[worst]) - 2
            remedy = f"use at most {feasible} of them" if feasible >= 1 else "leave this class unlabelled (-1)"
            raise SplitError(
                f"{budget.words}, but class {worst} has {counts[worst]} labelled pixels, of which one must be left for "
                f"validation and one for test beside {budget.train[worst]} to train: {remedy}"
            )
        parts: tuple[list[NDArray[np.int64]], ...] = ([], [], [])
        for label in np.flatnonzero(counts):
            order = hashed_order(np.flatnonzero(flat == label), seed)
            n_train = int(budget.train[label])
            n_val = min(val_per_class, (len(order) - n_train) // 2)
            for part, pixels in zip(parts, np.split(order, [n_train, len(order) - n_val]), strict=True):
                part.append(pixels)
        train, test, val = (np.sort(np.concatenate(part)) for part in parts)
        return Split(train=train, val=val, test=test, rule="random", patch_size=patch_size)
