"""A random rectangle of each patch set to 0, never over its centre, whose class the patch stands for.

**Source:** random erasing, Zhong et al. 2020, arXiv 1708.04896.
**Differs:** the centre pixel always stays, every patch is erased, sides are drawn uniformly and apart from each other,
and the rectangle is filled with 0, the mean after standardisation, instead of noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.checks import check_number
from hsicl_core.views.base import View


class CenterKeepingErasing(View):
    """Sets a rectangle of each patch to 0 in all channels; a patch of one pixel has nothing to erase.

    Height and width are drawn uniformly from 1 pixel up to the largest, the place uniformly from those that do not
    cover the centre.

    Args:
        largest: longest side of the rectangle as a share of the patch's, rounded down but at least a pixel, in
            (0, 0.5]. At most half, so that every rectangle has a place beside the centre.
    """

    def __init__(self, *, largest: float = 0.5) -> None:
        check_number("largest", largest, above=0, maximum=0.5)
        self.largest = largest

    def draw(self, shape: torch.Size, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return height and width of the rectangles, and which of the places for them, (n,) each."""
        n, side = shape[0], shape[2]
        if side == 1:
            return ()
        longest = max(1, int(self.largest * side))
        height, width = torch.randint(1, longest + 1, (2, n), generator=generator, device=generator.device)
        return height, width, torch.rand(n, generator=generator, device=generator.device, dtype=torch.float64)

    def apply(self, patches: Tensor, *drawn: Tensor) -> Tensor:
        """Return patches with a rectangle of zeros."""
        side = patches.shape[2]
        if side == 1:
            return patches.clone(memory_format=torch.preserve_format)
        height, width, place = drawn
        top, left = _place_beside_centre(height, width, side, place)
        line = torch.arange(side, device=patches.device)
        is_row = (line >= top[:, None]) & (line < (top + height)[:, None])
        is_column = (line >= left[:, None]) & (line < (left + width)[:, None])
        return patches * ~(is_row[:, :, None] & is_column[:, None])[:, None]


def _place_beside_centre(height: Tensor, width: Tensor, side: int, place: Tensor) -> tuple[Tensor, Tensor]:
    """Return top and left (n,) of rectangles that do not cover the centre; ``place`` in [0, 1) picks one of all.

    The places are counted: first the tops whose rows miss the centre's, with every left; then the ``height`` tops whose
    rows hold it, with the lefts whose columns miss it.
    """
    centre = side // 2
    n_tops, n_lefts = side - height + 1, side - width + 1
    n_free = (n_tops - height) * n_lefts
    index = (place * (n_free + height * (n_lefts - width))).long()
    is_free = index < n_free
    # Tops and lefts that miss the centre, counted past those that hold it.
    top, left = index // n_lefts, index % n_lefts
    top = torch.where(top > centre - height, top + height, top)
    beside = index - n_free
    top_beside = centre - height + 1 + beside // (n_lefts - width)
    left_beside = beside % (n_lefts - width)
    left_beside = torch.where(left_beside > centre - width, left_beside + width, left_beside)
    return torch.where(is_free, top, top_beside), torch.where(is_free, left, left_beside)
