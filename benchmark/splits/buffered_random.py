"""Random pixels of every class, tested on only where no patch meets theirs: the field's habit without its leak."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.label_budget import LabelBudget
from benchmark.pixel_order import hashed_order
from benchmark.split import Split, within_reach
from benchmark.splits.base import MIN_TEST, SplitRule
from hsicl_core.errors import SplitError

Pixels = NDArray[np.int64]


class BufferedRandomSplitRule(SplitRule):
    """Draws training pixels as ``"random"`` does and removes what leaks; the removed pixels are in no part.

    Every class that is served trains on the very pixels that ``"random"`` gives it for the same index and budget. Test
    and validation pixels are at least ``patch_size`` rows or columns from all training pixels, and test pixels from all
    validation pixels, so that ``benchmark.leakage`` is 0.

    A class that keeps fewer than ``MIN_TEST`` test pixels is given up: it is in no part, and what its training pixels
    had taken from others is free again. Classes are given up one at a time, the one with the fewest test pixels first
    (of equals the rarest, then the first), until all others keep enough; they are named in ``Split.unsupported``.

    Validation pixels come from the end of the order of ``"random"``; one that meets a training patch is passed over for
    the next. They take what training leaves: no class may lose more than half of its test pixels to the guards of
    validation, nor more than leaves it ``MIN_TEST``. Classes take turns, pixel by pixel, until each has
    ``min(val_per_class, half of what training leaves of its pixels)`` or no place for another. One without any is named
    in ``Split.unvalidated``.

    Scattered pixels take far more ground with their guards than ``"block"`` takes: of a small scene little or nothing
    is left at large patches.

    **Cost:** O(classes * height * width).
    """

    draws_as = "random"

    def split(
        self, labels: NDArray[np.int64], *, budget: LabelBudget, val_per_class: int, patch_size: int, seed: int,
        **masks: Any,
    ) -> Split:  # fmt: skip
        """Return the guarded split; see the class.

        Raises:
            SplitError: fewer than two classes can be served, or none can be validated, or masks are given.
        """
        if masks:
            raise SplitError(f"rule 'buffered_random' takes no masks, got {', '.join(masks)}: use rule='given'")
        counts = np.bincount(labels[labels >= 0])
        present = np.flatnonzero(counts).tolist()
        orders = {k: hashed_order(np.flatnonzero(labels == k), seed) for k in present}
        train, unsupported, testable = _trained(labels, orders, budget.train, patch_size)
        served = f"{len(train)} of {len(present)} classes with {budget.words} and patch_size={patch_size}"
        remedy = "use fewer labels, smaller patches or rule='block'"
        if len(train) < min(2, len(present)):
            first = min(unsupported)
            raise SplitError(
                f"rule 'buffered_random' can serve {served} (class {first}: {unsupported[first]}): {remedy}"
            )
        far = {k: orders[k][: budget.train[k] - 1 : -1] for k in train}
        far = {k: order[testable.ravel()[order]] for k, order in far.items()}
        wanted = {k: min(val_per_class, int(counts[k] - budget.train[k]) // 2) for k in train}
        val = _validated(labels, far, wanted, testable, patch_size)
        unvalidated = {
            k: f"the guard around any of its {len(far[k])} pixels that are {patch_size} pixels from all training "
            f"pixels would leave a class less than half of its test pixels, or fewer than {MIN_TEST}"
            for k in sorted(train)
            if not val[k]
        }
        if len(unvalidated) == len(train):
            raise SplitError(f"rule 'buffered_random' can serve {served}, but validate none: {remedy}")
        parts = (
            np.sort(np.concatenate(list(train.values()))),
            np.array(sorted(pixel for pixels in val.values() for pixel in pixels), dtype=np.int64),
            np.flatnonzero(testable),
        )
        guarded = int(counts[list(train)].sum()) - sum(part.size for part in parts)
        return Split(
            *parts,
            rule="buffered_random",
            patch_size=patch_size,
            unsupported=dict(sorted(unsupported.items())),
            dropped={"within the guard": guarded} if guarded else {},
            unvalidated=unvalidated,
        )


def _trained(
    labels: NDArray[np.int64], orders: dict[int, Pixels], budget: Pixels, patch_size: int
) -> tuple[dict[int, Pixels], dict[int, str], NDArray[np.bool_]]:
    """Return class -> training pixels, class -> why it is given up, and the map of what can be tested on."""
    train: dict[int, Pixels] = {}
    unsupported: dict[int, str] = {}
    for label, order in orders.items():
        needed = int(budget[label])
        if len(order) < needed + MIN_TEST:
            unsupported[label] = f"only {len(order)} pixels, but {needed} train and {MIN_TEST} test pixels are needed"
        else:
            train[label] = order[:needed]
    while train:
        # The last entry serves label -1.
        is_served = np.zeros(budget.size + 1, dtype=bool)
        is_served[list(train)] = True
        testable = is_served[labels] & ~within_reach(np.concatenate(list(train.values())), labels.shape, patch_size - 1)
        left = np.bincount(labels[testable], minlength=budget.size)
        worst = min(train, key=lambda label: (left[label], len(orders[label]), label))
        if left[worst] >= MIN_TEST:
            return train, unsupported, testable
        unsupported[worst] = (
            f"only {left[worst]} of its {len(orders[worst])} pixels are {patch_size} pixels from all training pixels, "
            f"{MIN_TEST} are needed to test"
        )
        del train[worst]
    return train, unsupported, np.zeros(labels.shape, dtype=bool)


def _validated(
    labels: NDArray[np.int64], far: dict[int, Pixels], wanted: dict[int, int], testable: NDArray[np.bool_],
    patch_size: int,
) -> dict[int, list[int]]:  # fmt: skip
    """Return class -> validation pixels, and take them and their guards from ``testable``."""
    left = np.bincount(labels[testable])
    floor = np.where(left > 0, np.maximum(MIN_TEST, (left + 1) // 2), 0)
    val: dict[int, list[int]] = {label: [] for label in far}
    turns: dict[int, Iterator[int]] = {label: map(int, order) for label, order in far.items()}
    while turns:
        for label in list(turns):
            for pixel in turns[label]:
                row, column = divmod(pixel, labels.shape[1])
                area = tuple(slice(max(at - patch_size + 1, 0), at + patch_size) for at in (row, column))
                hit = testable[area]
                lost = np.bincount(labels[area][hit], minlength=left.size)
                if (left - lost >= floor).all():
                    left -= lost
                    hit[:] = False
                    val[label].append(pixel)
                    break
            else:
                del turns[label]
                continue
            if len(val[label]) == wanted[label]:
                del turns[label]
    return val
