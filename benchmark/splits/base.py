"""The contract of a split rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.split import Split


class SplitRule(ABC):
    """A rule that divides labelled pixels. A plug-in file holds one subclass, which is made without arguments."""

    @abstractmethod
    def split(
        self, labels: NDArray[np.int64], *, labels_per_class: int, val_per_class: int, patch_size: int, seed: int,
        **masks: NDArray[np.generic],
    ) -> Split:  # fmt: skip
        """Return the split of ``labels`` (height, width), -1 = unlabelled. Same arguments, same split, everywhere.

        Raises:
            SplitError: the labels cannot support what is asked.
        """


MEMBER: Any = SplitRule
