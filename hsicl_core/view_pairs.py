"""Two views of every pixel of a batch, as all label-free training loops draw them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hsicl_core.patches import PatchSource
from hsicl_core.views.base import View, apply_views


class ViewPairs:
    """Draws two views of pixels; where a view moves, the second is cut around another pixel.

    Args:
        views: applied in order, with fresh draws for each of the two views.
        source: patches of the scene.
        pixels: (n,) int64 flat indices; a sample is an index into them, and no patch is cut around any other.
    """

    def __init__(self, views: Sequence[View], source: PatchSource, pixels: Tensor) -> None:
        self._views = views
        self._source = source
        self._pixels = pixels
        # Where a patch may be cut, for views that move.
        self._allowed = torch.zeros(source.image.shape[:2], dtype=torch.bool, device=pixels.device)
        self._allowed.view(-1)[pixels] = True

    def draw(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """Return (2 * batch, channels, size, size) patches of two views of the samples (batch,), the first views first.

        Args:
            samples: (batch,) int64.
            generator: source of all draws, on the device of the pixels.
        """
        pixels = self._pixels[samples]
        patches = self._source.gather(pixels)
        moved = pixels
        for view in self._views:
            moved = view.move(moved, self._allowed, generator)
        others = patches if moved is pixels else self._source.gather(moved)
        return torch.cat([apply_views(self._views, drawn, generator) for drawn in (patches, others)])
