"""Colours for classes, told apart as well as their number allows, also with red-green blindness."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
from matplotlib.colors import to_hex, to_rgb
from numpy.typing import NDArray

UNLABELLED = "#ededed"
# Okabe and Ito's colours for everyone (https://jfly.uni-koeln.de/color/), without the black; they come first.
_FIRST = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
# Linear RGB as seen without green and without red cones: Machado et al. 2009, doi 10.1109/TVCG.2009.113, severity 1.
_NORMAL = np.eye(3)
_WITHOUT_GREEN = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
_WITHOUT_RED = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
# Linear sRGB to Oklab, https://bottosson.github.io/posts/oklab/; its two colour axes counted twice, as its author does
# for colour differences.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
) * [[1], [2], [2]]


@lru_cache
def class_colours(n: int) -> tuple[str, ...]:
    """Return n colours ``#rrggbb``: the first seven are fixed, each further one is the farthest from all before.

    Args:
        n: >= 0. Beyond about twenty neighbours get hard to tell apart; beyond 3000 colours repeat.
    """
    steps = np.linspace(0, 1, 15)
    candidates = np.array(list(product(steps, steps, steps)))
    lightness = _appearance(candidates)[:, 0, 0]
    # Close to black or white all hues look alike on a thin field.
    candidates = candidates[(lightness > 0.3) & (lightness < 0.93)]
    seen = _appearance(candidates)
    chosen = list(_FIRST[:n])
    anchors = _appearance(np.array([to_rgb(colour) for colour in (*chosen, UNLABELLED, "#ffffff")]))
    # Over the ways of seeing the closest counts.
    nearest = np.min([_difference(seen, anchor[None]) for anchor in anchors], axis=0)
    for _ in range(n - len(chosen)):
        farthest = int(nearest.argmax())
        chosen.append(to_hex(candidates[farthest]))
        nearest = np.minimum(nearest, _difference(seen, seen[farthest][None]))
    return tuple(chosen)


def _appearance(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, 3, 3): for each way of seeing the Oklab values of the colours (n, 3) in sRGB, 0..1."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ways = [np.clip(linear @ matrix.T, 0, 1) for matrix in (_NORMAL, _WITHOUT_GREEN, _WITHOUT_RED)]
    return np.cbrt(np.stack(ways, axis=1) @ _TO_CONES.T) @ _TO_OKLAB.T


def _difference(seen: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) the difference to another colour in the way of seeing where it is smallest.

    Most readers see all hues, so for them twice the difference is asked.
    """
    distance: NDArray[np.float64] = (np.linalg.norm(seen - other, axis=-1) * [0.5, 1, 1]).min(axis=-1)
    return distance
