"""Guarded blocks: no two patches of different parts, train, validation or test, share a pixel."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.label_budget import LabelBudget
from benchmark.split import Split
from benchmark.splits._plan import Plan
from benchmark.splits.base import MIN_TEST, SplitRule
from hsicl_core.errors import SplitError

# Most training and validation blocks per class, in order of preference. Three: enough that a class's training pixels
# do not all come from one corner of one field. Two to validate: two small blocks tell more than one.
N_BLOCKS = ((3, 2), (3, 1), (2, 1), (1, 1))
# Fewer blocks are used where the guards of more would leave less than this share of the labelled pixels for testing.
TEST_SHARE = 0.5


class BlockSplitRule(SplitRule):
    """Train and validation pixels come from a few small blocks per class; test pixels lie beyond a guard around them.

    Pixels of different parts are at least ``patch_size`` rows or columns apart, whatever their classes, so that their
    patches have no pixel in common and ``benchmark.leakage`` is 0, for validation pixels too. Labelled pixels inside
    the guard are in no part.

    Blocks are chosen class by class, the rarest first, because the rarest have the fewest places: the training blocks
    of all classes, then the validation blocks of all. A block is one window of a seeded sample of all windows that hold
    enough pixels of the class: the one whose guard takes least from what all classes have left to be tested on (a pixel
    counts one over its class's remaining test pixels). A class gets up to three training blocks whose windows are a
    patch apart; two or one where more would leave less than half of the labelled pixels for testing, or less than a
    quarter of the class's own, or less room for the class's validation. Training pixels are spread over all blocks of
    their class. Other label budgets need other blocks: the training sets of two budgets are not nested. Where a share
    of a large class is asked for, windows grow with it beyond their usual four patches.

    Validation blocks are blocks of their own, so that validation tells what carries over to other places. They take
    what training leaves, never the reverse. A class gets two, a patch apart, and otherwise, in this order: one block;
    half of the validation pixels; one pixel; all this with an eighth of every class's pixels left for testing instead
    of a quarter, then with ``MIN_TEST`` pixels; none. A class without a validation pixel is named with its reason in
    ``Split.unvalidated``: no class has one that leaks.

    A class that cannot keep ``MIN_TEST`` test pixels outside the guards of its training pixels is in no part and is
    named with its reason in ``Split.unsupported``.

    **Cost:** O(classes * blocks * height * width).
    """

    def split(
        self, labels: NDArray[np.int64], *, budget: LabelBudget, val_per_class: int, patch_size: int, seed: int,
        **masks: Any,
    ) -> Split:  # fmt: skip
        """Return the guarded split; see the class.

        Raises:
            SplitError: more than half of the classes have too few pixels, or fewer than two can be served, or none can
                be validated, or masks are given.
        """
        if masks:
            raise SplitError(f"rule 'block' takes no masks, got {', '.join(masks)}: use rule='given'")
        counts = np.bincount(labels[labels >= 0])
        _check_counts(counts, budget)
        n_classes = int((counts > 0).sum())
        best: Plan | None = None
        for n_train_blocks, several in groupby(N_BLOCKS, key=lambda pair: pair[0]):
            trained = Plan(labels, budget, val_per_class, patch_size, seed)
            trained.train_all(n_train_blocks)
            for _, n_val_blocks in several:
                # Another plan that is good enough would not be better, unless it serves more classes.
                if best is None or not _is_enough(best) or len(trained.train) > len(best.train):
                    plan = trained.validated(n_val_blocks)
                    if best is None or _merit(plan) > _merit(best):
                        best = plan
            if best is not None and _is_enough(best) and not best.is_contested:
                break
        assert best is not None
        served = f"{len(best.train)} of {n_classes} classes with {budget.words} and patch_size={patch_size}"
        remedy = "use fewer labels, smaller patches or rule='random'"
        if len(best.train) < min(2, n_classes):
            first = min(best.unsupported)
            raise SplitError(f"rule 'block' can serve {served} (class {first}: {best.unsupported[first]}): {remedy}")
        if not best.val:
            first = min(best.unvalidated)
            raise SplitError(
                f"rule 'block' can serve {served}, but validate none (class {first}: {best.unvalidated[first]}): "
                f"{remedy}"
            )
        return best.as_split()


def _is_enough(plan: Plan) -> bool:
    return bool(plan.val) and plan.ground.test_share >= TEST_SHARE


def _merit(plan: Plan) -> tuple[int, bool, bool, float]:
    """Return what the better of two plans has more of: classes, any validation, enough test pixels, test pixels."""
    share = plan.ground.test_share
    # Among those with enough, the earlier has more blocks.
    return len(plan.train), bool(plan.val), share >= TEST_SHARE, min(share, TEST_SHARE)


def _check_counts(counts: NDArray[np.int64], budget: LabelBudget) -> None:
    """Refuse a label budget that most classes cannot pay, instead of giving a split of the few that can."""
    present = counts[counts > 0]
    lacking = budget.train[counts > 0] + MIN_TEST > present
    if 2 * int(lacking.sum()) > len(present):
        rarest = int(np.where(counts > 0, counts, counts.max()).argmin())
        feasible = int(np.sort(present)[len(present) // 2]) - MIN_TEST
        remedy = f"use at most {feasible} per class" if feasible >= 1 else "use a scene with more labelled pixels"
        raise SplitError(
            f"{budget.words} is more than most classes have beside {MIN_TEST} pixels to test "
            f"(class {rarest} has {counts[rarest]} labelled pixels): {remedy}"
        )
