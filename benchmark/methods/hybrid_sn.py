"""HybridSN: three 3-D convolutions, a 2-D one over all they found, and two wide linear layers.

**Source:** Roy, Krishna, Dubey and Chaudhuri 2020, arXiv 1902.06701, and gokriznastic/HybridSN: 30 principal
components, dropout of 0.4.
**Differs:** patches of 9 instead of 25, as splits guard no larger ones unless asked to, so that the first linear layer
sees 64 numbers instead of 18,496; components keep their proportions unless ``whiten`` (the authors' code whitens);
patches are flipped and turned at random. Rate and steps were chosen on validation pixels of Indian Pines.
**Cost:** about 6 million multiplications per patch, of every step and of every pixel of the scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._supervised import SupervisedMethod
from hsicl_core.networks.hybrid_sn import HybridSN


@dataclass(frozen=True, kw_only=True)
class HybridSpectralNet(SupervisedMethod):
    """The hybrid spectral network."""

    learning_rate: float = 3e-3

    smallest_patch: ClassVar[int] = 3
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "learning_rate": (1e-3, 3e-3),
        "whiten": (False, True),
        "patch_size": (7, 9),
    }

    def make_network(self, n_channels: int) -> HybridSN:
        """Return the network. See the base class."""
        return HybridSN(n_channels, self.patch_size)
