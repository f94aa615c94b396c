"""Views of several members at once: each draws from its own generator, all patches are cut and changed together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hsicl_core.patches import PatchSource
from hsicl_core.view_pairs import draw_pairs
from hsicl_core.views.base import View


class StackedViews:
    """Two views of the pixels of every member, as ``hsicl_core.view_pairs.ViewPairs`` draws them for each, bit for bit.

    Args:
        views: applied in order.
        source: patches of the scene.
        pixels: (n,) flat indices of each member; a sample is an index into them.
        generators: of the members, on the device of the pixels.
    """

    def __init__(
        self, views: Sequence[View], source: PatchSource, pixels: Sequence[Tensor],
        generators: Sequence[torch.Generator],
    ) -> None:  # fmt: skip
        self._views = views
        self._source = source
        self._generators = generators
        self._pixels = torch.cat(list(pixels))
        lengths = [len(of_member) for of_member in pixels]
        self._starts = torch.tensor([sum(lengths[:place]) for place in range(len(lengths))], device=self._pixels.device)
        self._moving = [view for view in views if type(view).move is not View.move]
        self._allowed = [self._where(of_member) for of_member in pixels] if self._moving else []

    def rows(self, samples: Tensor) -> Tensor:
        """Return where the samples (M, batch) of the members stand when what is known of each is laid end to end."""
        return samples + self._starts[:, None]

    def draw(self, samples: Tensor) -> Tensor:
        """Return (M * 2 * batch, channels, size, size) patches: of each member the first views, then the second.

        Args:
            samples: (M, batch) int64.
        """
        first = self._pixels[self.rows(samples)]
        second = first
        if self._moving:
            second = torch.stack([self._moved(place, of_member) for place, of_member in enumerate(first)])
        return draw_pairs(self._views, self._source, first, second, self._generators)

    def _where(self, pixels: Tensor) -> Tensor:
        allowed = torch.zeros(self._source.image.shape[:2], dtype=torch.bool, device=pixels.device)
        allowed.view(-1)[pixels] = True
        return allowed

    def _moved(self, place: int, pixels: Tensor) -> Tensor:
        for view in self._moving:
            pixels = view.move(pixels, self._allowed[place], self._generators[place])
        return pixels
