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
        moved = pixels
        for view in self._views:
            moved = view.move(moved, self._allowed, generator)
        return draw_pairs(self._views, self._source, pixels[None], moved[None], [generator])


def draw_pairs(
    views: Sequence[View], source: PatchSource, first: Tensor, second: Tensor, generators: Sequence[torch.Generator]
) -> Tensor:
    """Return (M * 2 * batch, channels, size, size) two views of pixels of M trainings, all cut and changed together.

    Each training's draws come from its own generator, those of its first views before those of its second.

    Args:
        views: applied in order.
        source: patches of the scene.
        first: (M, batch) int64 pixels around which the first views are cut.
        second: (M, batch) those of the second views.
        generators: of the M trainings.
    """
    batch, side = first.shape[1], source.patch_size
    if not all(view.draws_apart for view in views):
        by_training = zip(first, second, generators, strict=True)
        return torch.cat([
            apply_views(views, source.gather(pixels), generator)
            for *copies, generator in by_training for pixels in copies
        ])  # fmt: skip
    shape = torch.Size((batch, source.image.shape[2], side, side))
    by_copy = [[view.draw(shape, generator) for view in views] for generator in generators for _ in range(2)]
    by_view = [list(of_view) for of_view in zip(*by_copy, strict=True)]
    pixels = torch.stack([first, second], dim=1).flatten()
    places = views[0].places(side, *_joined(by_view[0])) if views else None
    patches = source.gather(pixels, places)
    for view, drawn in list(zip(views, by_view, strict=True))[0 if places is None else 1 :]:
        if view.looks_across:
            parts = zip(patches.split(batch), drawn, strict=True)
            patches = torch.cat([view.apply(part, *of_copy) for part, of_copy in parts])
        else:
            patches = view.apply(patches, *_joined(drawn))
    return patches


def _joined(drawn: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Return what was drawn copy by copy as it is drawn for all of them."""
    return [torch.cat(parts) for parts in zip(*drawn, strict=True)]
