"""A plain 2-D network: three blocks of convolution, normalisation and pooling, with the bands as channels.

Source: the 2-D network that Hong et al. 2022, arXiv 2107.02988, compare with: 32 kernels 3 x 3, 64 of 3 x 3, 128 of
1 x 1, each with batch normalisation, a pool of the maximum and a rectifier. From memory: the text was not at hand.
Differs: convolutions pad, and pools round up, so that patches of any size pass; what is left is averaged.
Cost: of a patch of 9 x 9 pixels and b channels, about 23000 * b + 530000 multiplications.
"""

from __future__ import annotations

from torch import Tensor, nn

from hsicl_core.checks import check_integer
from hsicl_core.networks.base import PatchNetwork


class CNN2D(PatchNetwork):
    """Three blocks over the patch.

    Args:
        n_channels: bands or components, >= 1.
        patch_size: side in pixels, odd.
    """

    def __init__(self, n_channels: int, patch_size: int = 9) -> None:
        super().__init__()
        check_integer("n_channels", n_channels, minimum=1)
        check_integer("patch_size", patch_size, minimum=1, odd=True)
        self.dim = 128
        self.layers = nn.Sequential(*_block(n_channels, 32, 3), *_block(32, 64, 3), *_block(64, self.dim, 1))

    def forward(self, patches: Tensor) -> Tensor:
        """Return (n, 128) features. See the base class."""
        found: Tensor = self.layers(patches)
        return found.mean(dim=(2, 3))


def _block(n_in: int, n_out: int, kernel: int) -> list[nn.Module]:
    return [
        nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2), nn.BatchNorm2d(n_out), nn.MaxPool2d(2, ceil_mode=True),
        nn.ReLU(),
    ]  # fmt: skip
