"""One of the eight symmetries of the square for each patch: spectra stay, places change."""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.views.base import View


class FlipRotate(View):
    """Flips and quarter turns, uniformly drawn for each patch. One gather of whole spectra."""

    def __call__(self, patches: Tensor, generator: torch.Generator) -> Tensor:
        """Return each patch under a symmetry of its own."""
        n, channels, side, _ = patches.shape
        places = torch.arange(side * side, device=patches.device).view(side, side)
        symmetries = [torch.rot90(square, turns).reshape(-1) for square in (places, places.T) for turns in range(4)]
        drawn = torch.randint(8, (n,), generator=generator, device=patches.device)
        index = torch.stack(symmetries)[drawn] + torch.arange(n, device=patches.device)[:, None] * side * side
        spectra = patches.permute(0, 2, 3, 1).reshape(-1, channels).index_select(0, index.reshape(-1))
        return spectra.view(n, side, side, channels).permute(0, 3, 1, 2)
