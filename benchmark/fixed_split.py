"""FixedSplit: training and test maps that a scene is published with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class FixedSplit:
    """Where a published split trains and tests. Its ids are raw: they say nothing about the scene's own classes.

    Attributes:
        train: (height, width) ids of training pixels, 0 elsewhere.
        test: (height, width) ids of test pixels, 0 elsewhere.
        val: (height, width) ids of validation pixels, 0 elsewhere; None where the split has none of its own.
        classes: mask id -> class index of the scene, to compare the masks with its labels; None where they are not
            compared.
        source: who published it.
        known_defects: what a table's footnote must say about it.
    """

    train: NDArray[np.integer]
    test: NDArray[np.integer]
    val: NDArray[np.integer] | None = None
    classes: Mapping[int, int] | None = None
    source: str = ""
    known_defects: str = ""

    @cached_property
    def digest(self) -> str:
        """16 hex digits of SHA-256 over the pixels of each mask, whatever ids they hold."""
        sha = hashlib.sha256()
        for name, mask in (("train", self.train), ("test", self.test), ("val", self.val)):
            if mask is not None:
                sha.update(f"{name} {mask.shape} ".encode())
                sha.update(np.packbits(mask > 0).data)
        return sha.hexdigest()[:16]
