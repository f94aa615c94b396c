"""MambaHSI, for patches: a state-space model over the pixels and one over groups of channels, mixed by learnt shares.

Source: Li, Luo, Zhang, Wang and Du 2024, doi 10.1109/TGRS.2024.3430985, arXiv 2501.04944, and its repository,
li-yapeng/MambaHSI, whose layers are read from copies of it: 1 x 1 convolution to 64 maps, three fused blocks with a
2 x 2 average between them, 1 x 1 convolution to 128 maps; 4 groups of channels, 4 groups of every group normalisation.
The authors train with 128 maps, which of 103 bands and 9 classes are 412,239 parameters by those layers, as here; a
count of the paper's was not found.
Differs: the authors segment the whole image at once, so every pixel is read after all pixels before it, and group
normalisation is that of the image. Here both are of the patch: nothing beyond it is seen, and no test pixel's patch has
a part in another's features. Averaging the features of the last block, of 1 or 2 x 2 pixels for patches of up to 11,
is what their bilinear upsampling of class scores gives in the middle of what that block covers: averages leave out the
last row and column of an odd number, which the scans before have read. Where one pixel is left none is taken.
Cost: of a patch of 9 x 9 pixels and 64 maps, 6 million multiplications and 0.4 million exponentials; three fifths of
that for 7 x 7, three tenths for 5 x 5.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hsicl_core.checks import check_integer
from hsicl_core.errors import InvalidValueError
from hsicl_core.networks._selective_scan import Mamba
from hsicl_core.networks.base import PatchNetwork
from hsicl_core.patches import PatchSource

# Of every group normalisation.
_GROUPS = 4
# Patches at once on CPU, where the activations of more leave the cache: a third faster than 512.
_PATCHES = 64


class MambaHSI(PatchNetwork):
    """The spatial-spectral Mamba of patches.

    Args:
        n_channels: bands or components, >= 1.
        width: maps, a multiple of 4 and of ``n_tokens``.
        n_tokens: groups of channels that the spectral model reads one after the other.
        n_blocks: fused blocks.
    """

    def __init__(self, n_channels: int, *, width: int = 64, n_tokens: int = 4, n_blocks: int = 3) -> None:
        super().__init__()
        check_integer("n_channels", n_channels, minimum=1)
        check_integer("width", width, minimum=1)
        check_integer("n_tokens", n_tokens, minimum=1)
        if width % _GROUPS or width % n_tokens:
            raise InvalidValueError(
                f"width={width} is not a multiple of {_GROUPS} and of n_tokens={n_tokens}: choose a width that is"
            )
        self.dim = 128
        self.embedding = nn.Sequential(nn.Conv2d(n_channels, width, 1), *_activation(width))
        self.blocks = nn.ModuleList(_FusedMamba(width, n_tokens) for _ in range(n_blocks))
        self.head = nn.Sequential(nn.Conv2d(width, self.dim, 1), *_activation(self.dim))

    def forward(self, patches: Tensor) -> Tensor:
        """Return (n, 128) features. See the base class."""
        maps = self.embedding(patches.contiguous())
        for i, block in enumerate(self.blocks):
            maps = F.avg_pool2d(maps, 2) if i > 0 and maps.shape[2] > 1 else maps
            maps = block(maps)
        found: Tensor = self.head(maps)
        return found.mean(dim=(2, 3))

    def over_scene(self, source: PatchSource, batch_size: int) -> tuple[Callable[[Tensor], Tensor], PatchSource]:
        """Return the network, which on CPU takes fewer patches at once. See the base class."""
        if source.image.device.type != "cpu":
            return self, source
        return lambda patches: torch.cat([self(some) for some in patches.split(_PATCHES)]), source


class _FusedMamba(nn.Module):
    """Spatial and spectral model of the same maps, each added to them, then mixed and added to them again."""

    def __init__(self, width: int, n_tokens: int) -> None:
        super().__init__()
        self.n_tokens = n_tokens
        self.spatial, self.spatial_activation = Mamba(width), nn.Sequential(*_activation(width))
        self.spectral, self.spectral_activation = Mamba(width // n_tokens), nn.Sequential(*_activation(width))
        self.mixture = nn.Parameter(torch.full((2,), 0.5))

    def forward(self, maps: Tensor) -> Tensor:
        """Return (n, width, rows, columns), as it is given."""
        pixels = maps.flatten(2).mT
        # Pixels row by row; then the groups of each pixel's channels.
        spatial = self.spatial(pixels)
        spectral = self.spectral(pixels.reshape(-1, self.n_tokens, pixels.shape[2] // self.n_tokens))
        spatial = self.spatial_activation(spatial.mT.reshape(maps.shape))
        spectral = self.spectral_activation(spectral.reshape(pixels.shape).mT.reshape(maps.shape))
        shares = self.mixture.softmax(dim=0)
        return maps + shares[0] * (maps + spatial) + shares[1] * (maps + spectral)


def _activation(width: int) -> list[nn.Module]:
    return [nn.GroupNorm(_GROUPS, width), nn.SiLU()]
