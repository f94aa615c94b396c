"""Normal noise on every value, as large in each channel as that channel's spread allows: sensor noise.

**Source:** none in particular; additive noise is a usual view of spectra.
**Differs:** its size follows the channel's own spread in the batch, because channels may be principal components, whose
scales differ by orders of magnitude: noise of one size would drown the last ones.
"""

from __future__ import annotations

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

    def __call__(self, patches: Tensor, generator: torch.Generator) -> Tensor:
        """Return noisy patches."""
        n, channels, height, width = patches.shape
        wide = patches.to(torch.promote_types(patches.dtype, torch.float32))
        mean = wide.mean(dim=(0, 2, 3), keepdim=True)
        spread = (wide - mean).square().mean(dim=(0, 2, 3), keepdim=True).sqrt().to(patches.dtype)
        # Drawn channels-last, as the patches lie.
        drawn = torch.randn(
            (n, height, width, channels), generator=generator, device=patches.device, dtype=patches.dtype
        )  # fmt: skip
        return torch.addcmul(patches, drawn.permute(0, 3, 1, 2), self.noise * spread)
