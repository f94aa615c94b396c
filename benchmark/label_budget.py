"""Label budget: how many pixels of every class train."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from hsicl_core.errors import InvalidValueError


@dataclass(frozen=True)
class LabelBudget:
    """Training pixels per class, whichever way they were asked for.

    Attributes:
        train: (n_classes,) training pixels by class index, 0 for an index without labelled pixels.
        words: the budget as the user gave it, for messages.
        is_share: whether it grows with the class, so that a class may have a large one.
    """

    train: NDArray[np.int64]
    words: str
    is_share: bool = False

    @classmethod
    def per_class(cls, counts: NDArray[np.int64], n_labels: int) -> LabelBudget:
        """Return the same number for every class.

        Args:
            counts: (n_classes,) labelled pixels.
            n_labels: training pixels of each class, >= 1.
        """
        return cls(np.where(counts > 0, n_labels, 0), f"labels_per_class={n_labels}")

    @classmethod
    def per_cent(cls, counts: NDArray[np.int64], percent: float) -> LabelBudget:
        """Return a share of every class: to the nearest pixel, halves upwards, and one pixel at least.

        Public codes differ: some round every class down and take three at least (DBDA), some round up (SSRN),
        scikit-learn's stratified sampling rounds most classes to the nearest and may leave a class without any. The
        nearest stays within a pixel per class of all but the minima. It is counted in exact arithmetic: 29 % of 50
        pixels are 14.5, hence 15.

        Args:
            counts: (n_classes,) labelled pixels.
            percent: above 0, below 100.

        Raises:
            InvalidValueError: no such share.
        """
        is_number = isinstance(percent, int | float | np.number) and not isinstance(percent, bool)
        if not is_number or not 0 < percent < 100:
            raise InvalidValueError(
                f"labels_percent must be a number above 0 and below 100, got labels_percent={percent!r}: "
                "give per cent of each class, e.g. 10"
            )
        share = Fraction(repr(float(percent))) / 100
        train = [max(1, math.floor(share * n + Fraction(1, 2))) if n else 0 for n in counts.tolist()]
        return cls(np.array(train, dtype=np.int64), f"labels_percent={float(percent):g}", is_share=True)
