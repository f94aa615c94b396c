"""Patches as a gather on the device: the scene lives there once, no patch is ever cut on the host."""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.checks import check_integer
from hsicl_core.rows import pad_reflect


class PatchSource:
    """Square patches around any pixels of an image.

    Args:
        image: (height, width, channels) float.
        patch_size: side in pixels, odd, >= 1.
    """

    def __init__(self, image: Tensor, patch_size: int) -> None:
        check_integer("patch_size", patch_size, minimum=1, odd=True)
        self.image = image
        self.width = image.shape[1]
        self.patch_size = patch_size
        padded = pad_reflect(image, patch_size // 2)
        self._stride = padded.shape[1]
        self._spectra = padded.reshape(-1, padded.shape[2])
        span = torch.arange(patch_size, device=image.device)
        self._offsets = (span[:, None] * self._stride + span).reshape(-1)

    def gather(self, pixels: Tensor, places: Tensor | None = None) -> Tensor:
        """Return (n, channels, size, size) patches in channels-last memory, centred on ``pixels``.

        Args:
            pixels: (n,) int64 flat indices, row * width + column.
            places: (n, size * size) int64, from which place of its patch each place is taken; None leaves all.
        """
        corner = (pixels // self.width) * self._stride + pixels % self.width
        offsets = self._offsets if places is None else self._offsets[places]
        index = (corner[:, None] + offsets).reshape(-1)
        spectra = self._spectra.index_select(0, index)
        side = self.patch_size
        return spectra.view(len(pixels), side, side, spectra.shape[1]).permute(0, 3, 1, 2)
