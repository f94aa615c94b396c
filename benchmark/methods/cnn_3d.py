"""A 3-D network: convolutions over bands and pixels, in turn with strided ones along the bands.

**Source:** Ben Hamida, Benoit, Lambert and Ben Amar 2018, doi 10.1109/TGRS.2018.2818945, as nshaud/DeepHyperX
implements it.
**Differs:** 30 principal components instead of all bands, patches flipped and turned at random, AdamW with a schedule
instead of gradient descent at a rate of 0.01. Rate and steps were chosen on validation pixels of Indian Pines.
**Cost:** about 600,000 multiplications per patch of 5, of every step and of every pixel of the scene; of 7, six
times as many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._supervised import SupervisedMethod
from hsicl_core.networks.cnn_3d import CNN3D


@dataclass(frozen=True, kw_only=True)
class SpectralSpatialCNN(SupervisedMethod):
    """The 3-D convolutional network."""

    patch_size: int = 5
    learning_rate: float = 3e-3

    smallest_patch: ClassVar[int] = 5
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "learning_rate": (1e-3, 3e-3),
        "patch_size": (5, 7),
        "steps": (200, 300),
    }

    def make_network(self, n_channels: int) -> CNN3D:
        """Return the network. See the base class."""
        return CNN3D(n_channels, self.patch_size)
