"""SpectralFormer: a transformer whose tokens are groups of neighbouring bands of the patch.

Source: Hong et al. 2022, doi 10.1109/TGRS.2021.3130716, arXiv 2107.02988, patch-wise, and the authors' repository,
danfenghong/IEEE_TGRS_SpectralFormer: every band with its neighbours is a token (group-wise spectral embedding), tokens
of 64 numbers, 5 blocks of 4 heads, 8 numbers between a block's linear layers, and from the third block on what enters a
block is mixed with what entered the block two before (cross-layer adaptive fusion).
Differs: ``stride`` may leave out bands in whose group others stand already; 1 is the paper's. The paper writes the
fusion as two weights; the authors' code, followed here, mixes all tokens of both blocks into every token. The last
block computes the class token alone, which is all that is read of it. With 200 bands, 7 x 7 pixels, groups of 3 and 16
classes the layers of that code have 355,577 parameters, as here; a count of the paper's was not found.
Cost: of t tokens, 5 blocks and a patch of p x p pixels, t * (64 * g * p^2 + 87000 + 1000 * t) multiplications, with
groups of g bands: 60 million for all of 200 bands and 7 x 7 pixels, 4 million with groups of 9 and a stride of 8.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hsicl_core.checks import check_integer
from hsicl_core.networks._encoder_block import EncoderBlock, with_class_token
from hsicl_core.networks.base import PatchNetwork


class SpectralFormer(PatchNetwork):
    """Groups of bands as tokens, and their class token.

    Args:
        n_channels: bands or components, >= 1.
        patch_size: side in pixels, odd, >= 1.
        near_bands: bands of a group, odd, as many as there are if these are fewer; the spectrum's ends are neighbours,
            as in the authors' code.
        stride: bands from one group's middle to the next.
        width: numbers per token, a multiple of ``n_heads``.
        depth: blocks, >= 1.
        n_heads: attention heads.
        hidden: numbers between a block's linear layers.
        dropout: share dropped of the tokens, and in every block.
    """

    groups: Tensor

    def __init__(
        self, n_channels: int, patch_size: int = 7, near_bands: int = 3, stride: int = 1, *, width: int = 64,
        depth: int = 5, n_heads: int = 4, hidden: int = 8, dropout: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        check_integer("patch_size", patch_size, minimum=1, odd=True)
        check_integer("near_bands", near_bands, minimum=1, odd=True)
        check_integer("stride", stride, minimum=1)
        check_integer("n_channels", n_channels, minimum=1)
        self.dim = width
        near_bands = min(near_bands, n_channels - (n_channels + 1) % 2)
        reach = near_bands // 2
        middles = torch.arange(0, n_channels, stride)
        groups = (middles[:, None] + torch.arange(-reach, reach + 1)) % n_channels
        self.register_buffer("groups", groups, persistent=False)
        n_tokens = len(middles) + 1
        self.embedding = nn.Linear(near_bands * patch_size**2, width)
        self.positions = nn.Parameter(torch.randn(n_tokens, width))
        self.class_token = nn.Parameter(torch.randn(width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(EncoderBlock(width, n_heads, hidden, dropout, qkv_bias=False) for _ in range(depth))
        self.fusions = nn.ModuleList(_Fusion(n_tokens) for _ in range(depth - 2))
        self.norm = nn.LayerNorm(width)

    def forward(self, patches: Tensor) -> Tensor:
        """Return (n, width) features: the class token. See the base class."""
        tokens = self.embedding(patches.flatten(2)[:, self.groups].flatten(2))
        tokens = self.dropout(with_class_token(tokens, self.class_token) + self.positions)
        # What entered the last block and the one before it.
        entered: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            before = tokens
            if i >= 2:
                tokens = self.fusions[i - 2](tokens, entered[i - 2])
            entered.append(before)
            tokens = block(tokens, n_read=1 if i == len(self.blocks) - 1 else None)
        found: Tensor = self.norm(tokens[:, 0])
        return found


class _Fusion(nn.Module):
    """Every token as a learnt sum of all tokens of two blocks: a 1 x 2 convolution whose channels are the tokens."""

    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.sums = nn.Linear(2 * n_tokens, n_tokens)

    def forward(self, tokens: Tensor, earlier: Tensor) -> Tensor:
        """Return (n, n_tokens, width)."""
        return self.sums.weight @ torch.cat((tokens, earlier), dim=1) + self.sums.bias[:, None]
