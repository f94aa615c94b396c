"""Masked autoencoder: most pixels of a patch are hidden, and what was there is told from the embedding of the rest.

**Source:** after He et al. 2022, arXiv 2111.06377 (MAE), and Xie et al. 2022, arXiv 2111.09886 (SimMIM).
**Differs:** adapted, not reproduced. No transformer: encoder, optimiser and batch are those of NT-Xent; what is masked
is replaced by a learnt token, MAE leaves it out; the decoder is a perceptron of the patch's one embedding. Of the views
only turns and flips are left: a dropped channel would be reconstructed as zeros. Channels are principal components on
one scale, so that the error is that of the standardised bands, as far as the components tell them. See
``hsicl_core/self_supervised/masked_autoencoder.py``.
**Cost:** that of NT-Xent, with a decoder of O(batch * projection_dim * n_components * patch_size^2) in place of
O(batch^2) similarities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._self_supervised import SelfSupervisedMethod
from hsicl_core.encoder import Encoder
from hsicl_core.self_supervised.masked_autoencoder import MaskedAutoencoderObjective


@dataclass(frozen=True, kw_only=True)
class MaskedAutoencoder(SelfSupervisedMethod):
    """Pretraining by reconstruction of masked entries; ``projection_dim`` is the width of the decoder's hidden layer.

    Attributes:
        pixel_ratio: share of a patch's pixels that are masked, in [0, 1).
        channel_ratio: share of its components that are masked, in [0, 1).
    """

    projection_dim: int = 256
    views: tuple[str, ...] = ("flip_rotate",)
    pixel_ratio: float = 0.75
    channel_ratio: float = 0.0

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "pixel_ratio": (0.5, 0.75, 0.9),
        "channel_ratio": (0.0, 0.25),
        "learning_rate": (1e-3, 3e-3),
    }

    def make_objective(self, encoder: Encoder) -> MaskedAutoencoderObjective:
        """Return the objective. See the base class."""
        return MaskedAutoencoderObjective(
            encoder=encoder, n_channels=self.n_components, projection_dim=self.projection_dim,
            pixel_ratio=self.pixel_ratio, channel_ratio=self.channel_ratio,
        )  # fmt: skip
