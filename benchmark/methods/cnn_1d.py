"""A network of a pixel's spectrum alone: one convolution along the bands, a pool and a hidden layer.

**Source:** Hu, Huang, Wei, Zhang and Li 2015, doi 10.1155/2015/258619, as nshaud/DeepHyperX reads it: all bands,
20 kernels over a ninth of them, hyperbolic tangents, 100 hidden units.
**Differs:** AdamW with a schedule instead of plain gradient descent at a rate of 0.01; PyTorch's first weights instead
of -0.05..0.05. Rate and steps were chosen on validation pixels of Indian Pines.
**Cost:** small: a pass over all pixels costs about as much as a hundred steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._supervised import SupervisedPixelMethod
from hsicl_core.networks.cnn_1d import CNN1D


@dataclass(frozen=True, kw_only=True)
class SpectralCNN(SupervisedPixelMethod):
    """The 1-D convolutional network; it sees no neighbour of a pixel."""

    n_components: int | None = None
    steps: int = 600
    batch_size: int = 64
    learning_rate: float = 1e-2

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "learning_rate": (1e-3, 3e-3, 1e-2),
        "steps": (300, 600),
        "n_components": (None, 30),
    }

    def make_network(self, n_channels: int) -> CNN1D:
        """Return the network. See the base class."""
        return CNN1D(n_channels)
