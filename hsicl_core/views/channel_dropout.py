"""Whole channels set to zero, their mean after standardisation: the spectral analogue of erasing."""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.checks import check_number
from hsicl_core.views.base import View


class ChannelDropout(View):
    """Sets each channel of each patch to 0 with a probability; the others are not rescaled.

    Args:
        share: probability of a channel to be dropped, in [0, 1).
    """

    def __init__(self, *, share: float = 0.2) -> None:
        check_number("share", share, minimum=0, below=1)
        self.share = share

    def draw(self, shape: torch.Size, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return a number in [0, 1) for each channel, (n, channels, 1, 1)."""
        return (torch.rand((*shape[:2], 1, 1), generator=generator, device=generator.device),)

    def apply(self, patches: Tensor, *drawn: Tensor) -> Tensor:
        """Return patches without the dropped channels."""
        (number,) = drawn
        return patches * (number >= self.share).to(patches.dtype)
