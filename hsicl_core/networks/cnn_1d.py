"""A pixel's spectrum through one convolution, a maximum over neighbouring bands and a linear layer.

Source: Hu, Huang, Wei, Zhang and Li 2015, doi 10.1155/2015/258619: 20 kernels, hyperbolic tangents, 100 hidden units.
Differs: lengths of kernel and pool are a ninth of the bands and a fifth of the kernel, both rounded up, as
nshaud/DeepHyperX reads the paper, whose tables are not at hand.
Cost: of b bands, where they are many, about 2 * b^2 + 350 * b multiplications.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from hsicl_core.checks import check_integer
from hsicl_core.networks.base import PatchNetwork


class CNN1D(PatchNetwork):
    """A network of one pixel.

    Args:
        n_channels: bands or components, >= 1.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        check_integer("n_channels", n_channels, minimum=1)
        kernel = math.ceil(n_channels / 9)
        pool = math.ceil(kernel / 5)
        pooled = (n_channels - kernel + 1) // pool
        self.dim = 100
        self.layers = nn.Sequential(
            nn.Conv1d(1, 20, kernel), nn.MaxPool1d(pool), nn.Tanh(), nn.Flatten(),
            nn.Linear(20 * pooled, self.dim), nn.Tanh(),
        )  # fmt: skip

    def forward(self, patches: Tensor) -> Tensor:
        """Return (n, 100) features of patches of one pixel. See the base class."""
        found: Tensor = self.layers(patches.flatten(1)[:, None])
        return found
