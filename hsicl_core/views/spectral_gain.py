"""A random gain for each channel of each patch: illumination and calibration, not class."""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.checks import check_number
from hsicl_core.views.base import View


class SpectralGain(View):
    """Multiplies each channel of each patch by 1 + a normal draw, the same over the whole patch.

    There is no offset: channels may be principal components, whose scales differ by orders of magnitude.

    Args:
        gain: standard deviation of the draw, >= 0.
    """

    def __init__(self, *, gain: float = 0.1) -> None:
        check_number("gain", gain, minimum=0)
        self.gain = gain

    def draw(self, shape: torch.Size, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return a standard normal draw for each channel, (n, channels, 1, 1)."""
        return (torch.randn((*shape[:2], 1, 1), generator=generator, device=generator.device),)

    def apply(self, patches: Tensor, *drawn: Tensor) -> Tensor:
        """Return patches under gains of their own."""
        (normal,) = drawn
        return patches * (1.0 + self.gain * normal.to(patches.dtype))
