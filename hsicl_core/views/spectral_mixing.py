"""Each pixel's spectrum mixed with a little of another one of the same patch: mixed pixels, as sensors see them.

**Source:** the linear mixing model of spectral unmixing (Keshava and Mustard 2002, doi 10.1109/79.974727).
**Differs:** the other spectrum is any pixel of the patch, not an endmember, and need not be a neighbour.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.checks import check_number
from hsicl_core.views.base import View


class SpectralMixing(View):
    """Replaces each spectrum x by (1 - w) x + w y, where y is another pixel of its patch; w is drawn for each pixel.

    The centre is mixed too. A patch of one pixel stays as it is. One gather of whole spectra.

    Args:
        largest: w is drawn uniformly from 0 up to this, in [0, 0.5]: at most half, so that a pixel stays mostly itself.
    """

    def __init__(self, *, largest: float = 0.2) -> None:
        check_number("largest", largest, minimum=0, maximum=0.5)
        self.largest = largest

    def draw(self, shape: torch.Size, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return how many places further on the other pixel is, and a number in [0, 1) for w, (n, area) each."""
        n, area = shape[0], shape[2] * shape[3]
        if area == 1:
            return ()
        # One to area - 1 places, around the end: never the pixel itself.
        shift = torch.randint(1, area, (n, area), generator=generator, device=generator.device)
        number = torch.rand((n * area, 1), generator=generator, device=generator.device)
        return shift, number.view(n, area)

    def apply(self, patches: Tensor, *drawn: Tensor) -> Tensor:
        """Return patches of mixed spectra."""
        n, channels, side, _ = patches.shape
        area = side * side
        if area == 1:
            return patches.clone(memory_format=torch.preserve_format)
        shift, number = drawn
        spectra = patches.permute(0, 2, 3, 1).reshape(-1, channels)
        other = (torch.arange(area, device=patches.device) + shift) % area
        index = other + torch.arange(n, device=patches.device)[:, None] * area
        weight = self.largest * number.to(patches.dtype).reshape(-1, 1)
        mixed = torch.lerp(spectra, spectra.index_select(0, index.reshape(-1)), weight)
        return mixed.view(n, side, side, channels).permute(0, 3, 1, 2)
