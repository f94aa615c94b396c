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

    def __call__(self, patches: Tensor, generator: torch.Generator) -> Tensor:
        """Return patches under gains of their own."""
        shape = (*patches.shape[:2], 1, 1)
        drawn = torch.randn(shape, generator=generator, device=patches.device, dtype=patches.dtype)
        return patches * (1.0 + self.gain * drawn)
