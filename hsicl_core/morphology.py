"""Morphological profiles of which no value depends on more than the patch of its pixel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from hsicl_core.rows import Rows, empty, mirrored_rows, row_blocks


def radii_within(reach: int) -> range:
    """Return the radii of the disks whose opening ends within ``reach`` pixels: an erosion, then a dilation."""
    return range(1, reach // 2 + 1)


def morphological_profile(image: Rows, reach: int) -> Tensor:
    """Return the image with its openings and closings by disks of growing radius, each reconstructed within the reach.

    Args:
        image: (height, width, channels) float32, the border mirrored.
        reach: pixels that a value may depend on in every direction, >= 2 and below height and width.

    Returns:
        (height, width, channels * (2 * n + 1)) float32 for the n radii of ``radii_within``: the image, the openings and
        the closings, the smallest disk first.

    Raises:
        InvalidValueError: the image is too small to be mirrored that far.

    Cost: O(reach^3) minima per value.
    """
    height, width, channels = image.shape
    radii = radii_within(reach)
    out = empty(height, width, channels * (2 * len(radii) + 1), device=image.device)
    for rows in row_blocks(image):
        padded = mirrored_rows(image, rows.start, rows.stop, reach).permute(2, 0, 1)
        parts = [_without_border(padded, reach)]
        parts += [opening(padded, radius, reach) for radius in radii]
        parts += [-opening(-padded, radius, reach) for radius in radii]
        out[rows] = torch.cat(parts).permute(1, 2, 0)
    return out


def opening(image: Tensor, radius: int, reach: int) -> Tensor:
    """Return the erosion by a disk, grown back under the image as far as the reach allows.

    It lies between the opening by the disk and the opening by reconstruction, and is the latter where nothing that
    the erosion left is farther away than ``reach - radius`` steps along the structure.

    Args:
        image: (channels, height + 2 * reach, width + 2 * reach).
        radius: of the disk, at most half the reach.
        reach: pixels that a value depends on in every direction.

    Returns:
        (channels, height, width).
    """
    grown = eroded(image, radius)
    for border in range(radius + 1, reach + 1):
        grown = torch.minimum(F.max_pool2d(grown, 3, stride=1), _without_border(image, border))
    return grown


def eroded(image: Tensor, radius: int) -> Tensor:
    """Return the minimum over the disk of all pixels no farther than ``radius``, without a border of that width.

    Args:
        image: (channels, height + 2 * radius, width + 2 * radius).
        radius: >= 0.
    """
    height, width = (side - 2 * radius for side in image.shape[1:])
    lowest = _without_border(image, radius)
    for row in range(-radius, radius + 1):
        for column in range(-radius, radius + 1):
            if row**2 + column**2 <= radius**2:
                top, left = radius + row, radius + column
                lowest = torch.minimum(lowest, image[:, top : top + height, left : left + width])
    return lowest


def _without_border(image: Tensor, border: int) -> Tensor:
    return image[:, border : image.shape[1] - border, border : image.shape[2] - border]
