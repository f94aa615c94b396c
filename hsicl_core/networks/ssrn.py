"""SSRN: residual blocks along the spectrum of every pixel, then residual blocks over the patch.

Source: Zhong, Li, Luo and Chapman 2018, doi 10.1109/TGRS.2017.2755542, and the figures in the authors' repository,
zilongzhong/SSRN: 7 x 7 x 200 -> 24 kernels 1 x 1 x 7 of stride 2 -> two spectral blocks -> 128 kernels over all that is
left of the spectrum -> 24 kernels 3 x 3 x 128, no padding, 5 x 5 x 24 -> two spatial blocks -> average.
Differs: the authors' file of layers is not at hand; where the activations stand (before the convolutions of a block,
none before the first) and He's weights are those of public copies of it. With fewer than 7 channels the first kernel
is as long as there are channels. As in the paper, the last of an even number of channels (from 8 on) falls outside
the first convolution's stride.
Cost: of a patch of p x p pixels and b channels, about 8100 * p^2 * b multiplications in the spectral blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hsicl_core.checks import check_integer
from hsicl_core.networks.base import PixelsFirstNetwork

_SPECTRAL, _SPATIAL = (1, 7), (3, 3)


class SSRN(PixelsFirstNetwork):
    """The spectral-spatial residual network.

    Args:
        n_channels: bands or components, >= 1.
        patch_size: side in pixels, odd, >= 3.
        width: kernels of every convolution of a block.
        n_maps: what the spectrum of a pixel is reduced to.
    """

    def __init__(self, n_channels: int, patch_size: int = 7, width: int = 24, n_maps: int = 128) -> None:
        super().__init__()
        check_integer("n_channels", n_channels, minimum=1)
        check_integer("patch_size", patch_size, minimum=3, odd=True)
        check_integer("n_channels", n_channels, minimum=1)
        self.dim = width
        kernel = min(7, n_channels)
        left = (n_channels - kernel) // 2 + 1
        # A 1 x 1 x k convolution of a volume is a 1 x k convolution of its pixels in a row, which runs faster.
        self.spectral = nn.Sequential(
            nn.Conv2d(1, width, (1, kernel), stride=(1, 2)), *_activation(width),
            _Residual(width, _SPECTRAL, is_first=True), _Residual(width, _SPECTRAL), *_activation(width),
            nn.Conv2d(width, n_maps, (1, left)), *_activation(n_maps),
        )  # fmt: skip
        self.spatial = nn.Sequential(
            nn.Conv2d(n_maps, width, 3), *_activation(width),
            _Residual(width, _SPATIAL, is_first=True), _Residual(width, _SPATIAL), *_activation(width),
        )  # fmt: skip
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        # Kernels stay whole in memory: on CPU the spectral convolutions ran 2.5 times as fast as channels-first.
        # Not those of the first: of one input channel, a stride of 2 and one number out per pixel, PyTorch 2.13 on CPU
        # then makes garbage.
        for layer in [*list(self.spectral)[1:], *self.spatial]:
            layer.to(memory_format=torch.channels_last)

    def of_pixels(self, patches: Tensor) -> Tensor:
        """Return (n, n_maps, size, size): the spectral stage. See the base class."""
        n, channels, height, width = patches.shape
        in_a_row = patches.permute(0, 2, 3, 1).reshape(n, 1, height * width, channels)
        maps: Tensor = self.spectral(in_a_row)
        return maps.view(n, -1, height, width)

    def of_patches(self, maps: Tensor) -> Tensor:
        """Return (n, dim): the spatial stage and the average. See the base class."""
        found: Tensor = self.spatial(maps)
        return found.mean(dim=(2, 3))


class _Residual(nn.Module):
    """Two convolutions that keep the shape, added to what they are given; activations come before convolutions.

    Args:
        width: channels.
        kernel: sides of both convolutions, odd.
        is_first: whether the input has just been activated.
    """

    def __init__(self, width: int, kernel: tuple[int, int], *, is_first: bool = False) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        before = [] if is_first else _activation(width)
        self.layers = nn.Sequential(
            *before, nn.Conv2d(width, width, kernel, padding=padding),
            *_activation(width), nn.Conv2d(width, width, kernel, padding=padding),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        residual: Tensor = self.layers(x)
        return x + residual


def _activation(width: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
