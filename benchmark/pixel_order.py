"""One seeded order of pixels that is the same on every platform and with every NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)


def hashed(items: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return a random-looking number for every item, which depends on the item and the seed only.

    NumPy does not promise that a Generator draws the same numbers in its next version; integer arithmetic modulo 2**64
    stays what it is. For one seed, different items never get the same number.

    Args:
        items: any shape, >= 0, e.g. flat pixel indices.
        seed: 0..2**64-1.

    Returns:
        Numbers of the same shape.

    **Source:** Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195 (SplitMix64), its output function at position
    ``item`` of the stream of a mixed seed.
    """
    start = _mix(np.array([seed], dtype=np.uint64) + _STEP)
    return _mix(start + (np.asarray(items).astype(np.uint64) + np.uint64(1)) * _STEP)


def hashed_order(items: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return ``items`` (n,) in an order that depends on the set of items and the seed, not on the order given."""
    return items[np.argsort(hashed(items, seed))]


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
