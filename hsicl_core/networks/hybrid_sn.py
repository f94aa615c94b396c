"""HybridSN: three 3-D convolutions, a 2-D one over all they found, and two wide linear layers.

Source: Roy, Krishna, Dubey and Chaudhuri 2020, arXiv 1902.06701, table 1; gokriznastic/HybridSN. With patches of 25
pixels, 30 components and 16 classes it has the table's shapes and 5,122,176 parameters.
Differs: nothing at that size. Convolutions do not pad, so patches of 9 end at 1 x 1 and the first linear layer sees 64
numbers instead of 18,496. Where less than a kernel is left of the spectrum or of the patch, the kernel is as large as
what is left: below 13 channels, and below 9 pixels.
Cost: of a patch of 9 x 9 pixels and 30 channels, 6 million multiplications.
"""

from __future__ import annotations

from torch import Tensor, nn

from hsicl_core.checks import check_integer
from hsicl_core.networks.base import PatchNetwork

# Kernels of the 3-D convolutions: how many, and how many channels long.
_VOLUMES = ((8, 7), (16, 5), (32, 3))


class HybridSN(PatchNetwork):
    """The hybrid spectral network.

    Args:
        n_channels: bands or components, >= 1.
        patch_size: side in pixels, odd, >= 3.
        dropout: share of features dropped after each linear layer.
    """

    def __init__(self, n_channels: int, patch_size: int = 25, dropout: float = 0.4) -> None:
        super().__init__()
        check_integer("n_channels", n_channels, minimum=1)
        check_integer("patch_size", patch_size, minimum=3, odd=True)
        volumes: list[nn.Module] = []
        width, depth, side = 1, n_channels, patch_size
        for n_kernels, length in _VOLUMES:
            kernel = (min(length, depth), min(3, side), min(3, side))
            volumes += [nn.Conv3d(width, n_kernels, kernel), nn.ReLU()]
            width, depth, side = n_kernels, depth - kernel[0] + 1, side - kernel[1] + 1
        self.volumes = nn.Sequential(*volumes)
        self.plane = nn.Sequential(nn.Conv2d(width * depth, 64, min(3, side)), nn.ReLU(), nn.Flatten())
        side -= min(3, side) - 1
        self.linear = nn.Sequential(
            nn.Linear(64 * side**2, 256), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(256, 128), nn.ReLU(), nn.Dropout(dropout),
        )  # fmt: skip
        self.dim = 128

    def forward(self, patches: Tensor) -> Tensor:
        """Return (n, 128) features. See the base class."""
        volumes = self.volumes(patches[:, None].contiguous())
        found: Tensor = self.linear(self.plane(volumes.flatten(1, 2)))
        return found
