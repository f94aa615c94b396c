"""A neighbouring pixel as the positive: the second view is cut around a pixel nearby.

**Source:** spatial neighbours as positives, as in Tile2Vec (Jean et al. 2019, arXiv 1805.02855) and common for
hyperspectral pixels, whose neighbours mostly share their class.
**Differs:** neighbours are drawn uniformly from a square; across a border between classes the pair is a false positive.
**Cost:** two random numbers per patch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.checks import check_integer
from hsicl_core.views.base import View


class NeighbourPixel(View):
    """Cuts the second view's patch up to ``radius`` rows and columns away; the patches are not changed.

    A pixel whose drawn neighbour lies outside the image, or where no patch may be cut, stays where it is.

    Args:
        radius: in pixels, >= 1.

    Raises:
        InvalidValueError: ``radius`` outside its range.
    """

    def __init__(self, *, radius: int = 1) -> None:
        check_integer("radius", radius, minimum=1)
        self.radius = radius

    def move(self, pixels: Tensor, allowed: Tensor, generator: torch.Generator) -> Tensor:
        """Return the neighbours. See the base class."""
        height, width = allowed.shape
        shift = torch.randint(
            -self.radius, self.radius + 1, (2, len(pixels)), generator=generator, device=pixels.device
        )  # fmt: skip
        row, column = pixels // width + shift[0], pixels % width + shift[1]
        is_inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        moved = torch.where(is_inside, row * width + column, pixels)
        return torch.where(allowed.flatten()[moved], moved, pixels)

    def draw(self, shape: torch.Size, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return nothing: what is left to chance is where the patch is cut."""
        return ()

    def apply(self, patches: Tensor, *drawn: Tensor) -> Tensor:
        """Return the patches as they are."""
        return patches
