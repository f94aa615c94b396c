"""Random pixels of every class: the field's habit, kept for comparison. Test patches overlap training patches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
        self, labels: NDArray[np.int64], *, labels_per_class: int, val_per_class: int, patch_size: int, seed: int,
        **masks: NDArray[np.generic],
    ) -> Split:  # fmt: skip
        """Return ``labels_per_class`` train pixels per class, then val, and the rest as test.

        A class gives ``min(val_per_class, half of what training leaves)`` validation pixels.

        Raises:
            SplitError: a class has too few pixels to keep one for validation and one for test, or masks are given.
        """
        if masks:
            raise SplitError(f"rule 'random' takes no masks, got {', '.join(masks)}: use rule='given'")
        flat = labels.ravel()
        classes, counts = np.unique(flat[flat >= 0], return_counts=True)
        smallest = int(counts.argmin())
        feasible = int(counts[smallest]) - 2
        if labels_per_class > feasible:
            remedy = f"use at most {feasible}" if feasible >= 1 else "leave this class unlabelled (-1)"
            raise SplitError(
                f"labels_per_class={labels_per_class}, but class {classes[smallest]} has {counts[smallest]} labelled "
                f"pixels, of which one must be left for validation and one for test: {remedy}"
            )
        parts: tuple[list[NDArray[np.int64]], ...] = ([], [], [])
        for label in classes:
            order = hashed_order(np.flatnonzero(flat == label), seed)
            n_val = min(val_per_class, (len(order) - labels_per_class) // 2)
            cuts = [labels_per_class, len(order) - n_val]
            for part, pixels in zip(parts, np.split(order, cuts), strict=True):
                part.append(pixels)
        train, test, val = (np.sort(np.concatenate(part)) for part in parts)
        return Split(train=train, val=val, test=test, rule="random", patch_size=patch_size)
