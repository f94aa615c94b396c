"""The contract of a supervised network: from patches to the features that a linear classifier reads."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from hsicl_core.encoder import evaluating
from hsicl_core.patches import PatchSource
from hsicl_core.rows import empty


class PatchNetwork(nn.Module, ABC):
    """A network of the whole patch, without the last linear layer, which is the method's.

    Attributes:
        dim: dimension of the features.
    """

    dim: int

    @abstractmethod
    def forward(self, patches: Tensor) -> Tensor:
        """Return (n, dim) features of (n, channels, size, size) patches, any memory format, n >= 1."""


@torch.no_grad()
def embed_pixels(network: PatchNetwork, source: PatchSource, batch_size: int = 512) -> Tensor:
    """Return (height * width, dim) float32 features of every pixel's patch, in evaluation mode.

    Large ones lie in a scratch file (``hsicl_core.rows.empty``). Cost: one forward pass per pixel, ``batch_size``
    patches at a time.

    Args:
        network: on the device of ``source``.
        source: patches of the scene.
        batch_size: patches held at once.
    """
    height, width = source.image.shape[:2]
    out = empty(height, width, network.dim, device=source.image.device).flatten(0, 1)
    pixels = torch.arange(height * width, device=source.image.device)
    with evaluating(network):
        for some in pixels.split(batch_size):
            out[some[0] : some[-1] + 1] = network(source.gather(some)).float()
    return out
