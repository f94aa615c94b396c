"""A plain 2-D network of the patch, with principal components as its channels.

**Source:** the 2-D network that Hong et al. 2022, arXiv 2107.02988, compare with: 32, 64 and 128 kernels, batch
normalisation, pools. From memory: the text was not at hand.
**Differs:** patches of 9 of 30 principal components, flipped and turned at random; convolutions pad, pools round up,
and what is left is averaged. Rate and steps were chosen on validation pixels of Indian Pines.
**Cost:** about 1.2 million multiplications per patch, of every step and of every pixel of the scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._supervised import SupervisedMethod
from hsicl_core.networks.cnn_2d import CNN2D


@dataclass(frozen=True, kw_only=True)
class SpatialCNN(SupervisedMethod):
    """The 2-D convolutional network; bands are mixed by its first layer."""

    steps: int = 600
    learning_rate: float = 3e-3

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "learning_rate": (1e-3, 3e-3, 1e-2),
        "patch_size": (5, 9),
        "n_components": (10, 30),
    }

    def make_network(self, n_channels: int) -> CNN2D:
        """Return the network. See the base class."""
        return CNN2D(n_channels, self.patch_size)
