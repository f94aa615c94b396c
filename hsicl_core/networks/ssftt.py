"""SSFTT: two convolutions, a few tokens that are weighted means of the pixels, and one block of attention among them.

Source: Sun, Zhao, Zheng and Wu 2022, doi 10.1109/TGRS.2022.3144158, whose repository, zgr6010/HSI_SSFTT, gives the
input (30 whitened components, patches of 13, Adam at 0.001). Layers and initial values are those of its SSFTTnet.py in
public copies that agree with each other: 8 kernels 3 x 3 x 3 -> 64 kernels 3 x 3 -> 4 tokens of 64 numbers, their
weights drawn from Gaussians at first -> a block of 8 heads and 8 numbers between its linear layers.
Differs: nothing at that size, where those layers have 153,224 parameters with the classifier of 16 classes, as here.
The paper is not at hand: its own count, and whether it has fewer heads than the code, are unverified; the heads change
no parameter. Patches of 9 end at 5 x 5 pixels instead of 9 x 9; of patches of 5 one pixel is left, and all tokens are
the same but for their places.
Cost: of a patch of p x p pixels and c components, about (216 * p^2 + 4600 * (p - 4)^2) * c multiplications: 4 million
for 9 x 9 pixels and 30 components.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hsicl_core.checks import check_integer
from hsicl_core.networks._encoder_block import EncoderBlock, with_class_token
from hsicl_core.networks.base import PatchNetwork, check_channels


class SSFTT(PatchNetwork):
    """The spectral-spatial feature tokenization transformer.

    Args:
        n_channels: bands or components, >= 3.
        patch_size: side in pixels, odd, >= 5.
        n_tokens: tokens that the pixels are gathered in, >= 1.
        width: maps of the second convolution and numbers per token, a multiple of ``n_heads``.
        n_heads: attention heads.
        hidden: numbers between the block's linear layers.
        dropout: share dropped of the tokens, and in the block.
    """

    def __init__(
        self, n_channels: int, patch_size: int = 13, n_tokens: int = 4, *, width: int = 64, n_heads: int = 8,
        hidden: int = 8, dropout: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        check_channels("ssftt", n_channels, 3)
        check_integer("patch_size", patch_size, minimum=5, odd=True)
        check_integer("n_tokens", n_tokens, minimum=1)
        self.dim = width
        self.volumes = nn.Sequential(nn.Conv3d(1, 8, 3), nn.BatchNorm3d(8), nn.ReLU())
        self.plane = nn.Sequential(nn.Conv2d(8 * (n_channels - 2), width, 3), nn.BatchNorm2d(width), nn.ReLU())
        # Deviations of Xavier's rule as the authors' tensors, which have a first dimension of 1, lead to them.
        self.weights = nn.Parameter(math.sqrt(2 / (width * (n_tokens + 1))) * torch.randn(n_tokens, width))
        self.values = nn.Parameter(math.sqrt(2 / (width * (width + 1))) * torch.randn(width, width))
        self.class_token = nn.Parameter(torch.zeros(width))
        self.positions = nn.Parameter(0.02 * torch.randn(n_tokens + 1, width))
        self.dropout = nn.Dropout(dropout)
        # By the root of a token's width, not of a head's, as in the authors' code.
        self.block = EncoderBlock(width, n_heads, hidden, dropout, qkv_bias=True, scale=width**-0.5)

    def forward(self, patches: Tensor) -> Tensor:
        """Return (n, width) features: the class token. See the base class."""
        volumes = self.volumes(patches[:, None].contiguous())
        pixels = self.plane(volumes.flatten(1, 2)).flatten(2).mT
        shares = (self.weights @ pixels.mT).softmax(dim=2)
        tokens = self.dropout(with_class_token(shares @ (pixels @ self.values), self.class_token) + self.positions)
        found: Tensor = self.block(tokens, n_read=1)[:, 0]
        return found
