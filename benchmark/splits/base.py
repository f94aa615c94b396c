"""The contract of a split rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.label_budget import LabelBudget
from benchmark.split import Split

# A recall over fewer test pixels than this says nothing: rules that guard give up a class that cannot keep them.
MIN_TEST = 5


class SplitRule(ABC):
    """A rule that divides labelled pixels. A plug-in file holds one subclass, which is made without arguments.

    Attributes:
        draws_as: name of the rule whose seeds it takes, so that both draw alike; None for seeds of its own.
        takes_masks: whether a fixed split of the scene decides its parts, and not a label budget.
    """

    draws_as: ClassVar[str | None] = None
    takes_masks: ClassVar[bool] = False

    @abstractmethod
    def split(
        self, labels: NDArray[np.int64], *, budget: LabelBudget, val_per_class: int, patch_size: int, seed: int,
        **masks: Any,
    ) -> Split:  # fmt: skip
        """Return the split of ``labels`` (height, width), -1 = unlabelled. Same arguments, same split, everywhere.

        Args:
            labels: must not be written to.
            budget: training pixels of every class.
            val_per_class: validation pixels of every class, wherever possible.
            patch_size: side in pixels of the patches, odd.
            seed: of all orders.
            **masks: what else ``make_split`` was given.

        Raises:
            SplitError: the labels cannot support what is asked.
        """


MEMBER: Any = SplitRule
