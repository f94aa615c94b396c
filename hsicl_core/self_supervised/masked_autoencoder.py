"""A masked autoencoder of patches: from what is left of a patch the encoder's embedding must tell what is missing.

**Source:** after He et al. 2022, arXiv 2111.06377 (MAE): random masks of a large share, mean squared error of the
masked entries only; and after Xie et al. 2022, arXiv 2111.09886 (SimMIM): a learnt token in place of what is masked, a
light decoder. Bands are masked besides positions in HyperspectralMAE, arXiv 2505.05710, half of each.
**Differs:** no transformer. The encoder is the convolutional one of all entrants, so masked entries are replaced, where
MAE leaves them out, and cost as much as the others; what is masked are pixels of a patch, not patches of an image. The
decoder sees one embedding of the whole patch, not one per position: positions are told apart by the outputs of its last
layer. Targets are not normalised per patch. Two views are two samples; nothing compares them.
**Cost:** the encoder's on both views, and O(batch * projection_dim * channels * size^2) time for the decoder.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hsicl_core.checks import check_integer, check_number
from hsicl_core.encoder import Encoder
from hsicl_core.errors import InvalidValueError
from hsicl_core.self_supervised.base import SelfSupervisedObjective


class MaskedAutoencoderObjective(SelfSupervisedObjective):
    """Reconstruction of the masked entries of a patch.

    An entry is masked if its pixel or its channel is; of both an exact number is drawn anew for every patch.

    Args:
        encoder: what is kept after training; patches are as large, and have as many channels, as it takes.
        n_channels: channels of the patches, >= 1.
        projection_dim: width of the decoder's hidden layer, >= 1.
        pixel_ratio: share of a patch's pixels that are masked, in [0, 1), rounded to whole pixels.
        channel_ratio: share of its channels that are masked, in [0, 1), rounded to whole channels.

    Raises:
        InvalidValueError: a parameter outside its range, or nothing would be masked, or nothing would be left.
    """

    def __init__(
        self, *, encoder: Encoder, n_channels: int, projection_dim: int = 256, pixel_ratio: float = 0.75,
        channel_ratio: float = 0.0,
    ) -> None:  # fmt: skip
        check_integer("n_channels", n_channels, minimum=1)
        check_integer("projection_dim", projection_dim, minimum=1)
        n_pixels = encoder.patch_size**2
        masked_pixels = _share_of("pixel_ratio", pixel_ratio, n_pixels, "pixels: use larger patches")
        masked_channels = _share_of("channel_ratio", channel_ratio, n_channels, "channels: use more components")
        if masked_pixels + masked_channels == 0:
            raise InvalidValueError(
                f"pixel_ratio={pixel_ratio} and channel_ratio={channel_ratio} mask nothing of {n_pixels} pixels and "
                f"{n_channels} channels: raise one of them"
            )
        super().__init__(encoder)
        self.masked_pixels, self.masked_channels = masked_pixels, masked_channels
        self.token = nn.Parameter(torch.zeros(n_channels, 1, 1))
        self.decoder = nn.Sequential(
            nn.Linear(encoder.dim, projection_dim), nn.ReLU(inplace=True),
            nn.Linear(projection_dim, n_channels * n_pixels),
        )  # fmt: skip

    def loss(self, first: Tensor, second: Tensor, *, progress: float, generator: torch.Generator) -> Tensor:
        """Return the scalar loss of a step. See the base class."""
        patches = torch.cat([first, second])
        is_masked = self.draw_mask(patches, generator)
        return masked_error(self.reconstruct(patches, is_masked).float(), patches, is_masked)

    def draw_mask(self, patches: Tensor, generator: torch.Generator) -> Tensor:
        """Return (n, channels, size, size) bool, True where an entry is masked.

        Args:
            patches: (n, channels, size, size).
            generator: source of the draws, on the device of ``patches``.
        """
        n, channels, size, _ = patches.shape
        pixels = _draw(n, size * size, self.masked_pixels, generator).view(n, 1, size, size)
        return pixels | _draw(n, channels, self.masked_channels, generator).view(n, channels, 1, 1)

    def reconstruct(self, patches: Tensor, is_masked: Tensor) -> Tensor:
        """Return what the decoder makes of the patches (n, channels, size, size) without their masked entries."""
        visible = torch.where(is_masked, self.token.to(patches.dtype), patches)
        embedding = self.encoder(visible.contiguous(memory_format=torch.channels_last))
        found: Tensor = self.decoder(embedding)
        return found.view(patches.shape)


def masked_error(found: Tensor, patches: Tensor, is_masked: Tensor) -> Tensor:
    """Return the mean of (found - patches)^2 over the masked entries, all (n, channels, size, size)."""
    return ((found - patches).square() * is_masked).sum() / is_masked.sum()


def _draw(n: int, total: int, count: int, generator: torch.Generator) -> Tensor:
    """Return (n, total) bool with ``count`` True in every row, each subset as likely as any other."""
    order = torch.rand(n, total, generator=generator, device=generator.device).argsort(dim=1)
    return torch.zeros_like(order, dtype=torch.bool).scatter_(1, order[:, :count], True)


def _share_of(name: str, ratio: float, total: int, remedy: str) -> int:
    check_number(name, ratio, minimum=0, below=1)
    count = int(ratio * total + 0.5)
    if count == total:
        raise InvalidValueError(f"{name}={ratio} leaves none of {total} {remedy}, or lower {name}")
    return count
