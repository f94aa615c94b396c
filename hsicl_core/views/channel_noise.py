"""Normal noise on every value, as large in each channel as that channel's spread allows: sensor noise.

**Source:** none in particular; additive noise is a usual view of spectra.
**Differs:** its size follows the channel's own spread in the batch, because channels may be principal components, whose
scales differ by orders of magnitude: noise of one size would drown the last ones.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from hsicl_core.checks import check_number
from hsicl_core.views.base import View


class ChannelNoise(View):
    """Adds independent normal draws to every value, scaled by the channel's standard deviation over the batch.

    Args:
        noise: standard deviation of the noise relative to the channel's, >= 0.
    """

    def __init__(self, *, noise: float = 0.1) -> None:
        check_number("noise", noise, minimum=0)
        self.noise = noise

    looks_across: ClassVar[bool] = True

    def draw(self, shape: torch.Size, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return the noise before it is scaled, (n, height, width, channels) as the patches lie in memory."""
        n, channels, height, width = shape
        return (torch.randn((n, height, width, channels), generator=generator, device=generator.device),)

    def apply(self, patches: Tensor, *drawn: Tensor) -> Tensor:
        """Return noisy patches."""
        (noise,) = drawn
        wide = patches.to(torch.promote_types(patches.dtype, torch.float32))
        mean = wide.mean(dim=(0, 2, 3), keepdim=True)
        spread = (wide - mean).square().mean(dim=(0, 2, 3), keepdim=True).sqrt().to(patches.dtype)
        return torch.addcmul(patches, noise.to(patches.dtype).permute(0, 3, 1, 2), self.noise * spread)
