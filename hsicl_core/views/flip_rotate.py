"""One of the eight symmetries of the square for each patch: spectra stay, places change."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from hsicl_core.views.base import View


class FlipRotate(View):
    """Flips and quarter turns, uniformly drawn for each patch. One gather of whole spectra."""

    def draw(self, shape: torch.Size, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return which of the eight symmetries, (n,)."""
        return (torch.randint(8, (shape[0],), generator=generator, device=generator.device),)

    def apply(self, patches: Tensor, *drawn: Tensor) -> Tensor:
        """Return each patch under a symmetry of its own."""
        n, channels, side, _ = patches.shape
        index = self.places(side, *drawn) + torch.arange(n, device=patches.device)[:, None] * side * side
        spectra = patches.permute(0, 2, 3, 1).reshape(-1, channels).index_select(0, index.reshape(-1))
        return spectra.view(n, side, side, channels).permute(0, 3, 1, 2)

    def places(self, side: int, *drawn: Tensor) -> Tensor:
        """Return the places under the symmetry of each patch."""
        (symmetry,) = drawn
        return _symmetries(side, symmetry.device)[symmetry]


@functools.lru_cache(maxsize=16)
def _symmetries(side: int, device: torch.device) -> Tensor:
    """Return (8, side * side) the places of a square under its symmetries."""
    places = torch.arange(side * side, device=device).view(side, side)
    return torch.stack([torch.rot90(square, turns).reshape(-1) for square in (places, places.T) for turns in range(4)])
