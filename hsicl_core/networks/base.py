"""The contract of a supervised network: from patches to the features that a linear classifier reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from hsicl_core.encoder import evaluating
from hsicl_core.errors import InvalidValueError
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

    def over_scene(self, source: PatchSource, batch_size: int) -> tuple[Callable[[Tensor], Tensor], PatchSource]:
        """Return a map and patches for it that give the features of all pixels; here the network and its patches.

        Called in evaluation mode, without gradients.

        Args:
            source: patches of the scene.
            batch_size: patches that may be held at once.
        """
        return self, source


class PixelsFirstNetwork(PatchNetwork):
    """A network that maps every pixel by itself before it looks at neighbours.

    A scene's pixels are mapped once each, instead of once for every patch that they lie in.
    """

    @abstractmethod
    def of_pixels(self, patches: Tensor) -> Tensor:
        """Return (n, maps, size, size), every pixel's vector mapped by itself; any size."""

    @abstractmethod
    def of_patches(self, maps: Tensor) -> Tensor:
        """Return (n, dim) features of the mapped patches (n, maps, size, size)."""

    def forward(self, patches: Tensor) -> Tensor:
        """Return (n, dim) features. See the base class."""
        return self.of_patches(self.of_pixels(patches))

    def over_scene(self, source: PatchSource, batch_size: int) -> tuple[Callable[[Tensor], Tensor], PatchSource]:
        """Return the second stage, and patches of the image that the first has mapped. See the base class."""
        height, width, channels = source.image.shape
        # As many pixels at once as there are in the patches.
        chunks = source.image.reshape(-1, channels).split(batch_size * source.patch_size**2)
        first = self.of_pixels(chunks[0][:1, :, None, None])
        out = empty(height, width, first.shape[1], device=source.image.device)
        rows = out.flatten(0, 1).split(batch_size * source.patch_size**2)
        for chunk, row in zip(chunks, rows, strict=True):
            row.copy_(self.of_pixels(chunk[:, :, None, None])[:, :, 0, 0])
        return self.of_patches, PatchSource(out, source.patch_size)


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
        features, source = network.over_scene(source, batch_size)
        for some, rows in zip(pixels.split(batch_size), out.split(batch_size), strict=True):
            rows.copy_(features(source.gather(some)))
    return out


def check_channels(network: str, n_channels: int, minimum: int) -> None:
    """Raise InvalidValueError if patches have fewer channels than the network's convolutions need."""
    if n_channels < minimum:
        raise InvalidValueError(
            f"{network} needs patches of at least {minimum} channels, got {n_channels}: raise n_components, or use a "
            "scene with more bands"
        )
