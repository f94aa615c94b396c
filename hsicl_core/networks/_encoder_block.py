"""A block of a transformer's encoder: attention among the tokens, then two linear layers of every token."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hsicl_core.errors import InvalidValueError


class EncoderBlock(nn.Module):
    """Attention and two linear layers, each of normalised tokens and added to the tokens.

    Args:
        width: numbers per token, a multiple of ``n_heads``.
        n_heads: attention heads.
        hidden: numbers between the two linear layers.
        dropout: share dropped after attention and after each of the two.
        qkv_bias: whether queries, keys and values have a bias.
        scale: of the products of queries and keys; None for one by the root of a head's width.

    Source: Dosovitskiy et al. 2021, arXiv 2010.11929, figure 1. Differs: nothing.
    Cost: of t tokens, t * (4 * width^2 + 2 * width * (hidden + t)) multiplications.
    """

    def __init__(
        self, width: int, n_heads: int, hidden: int, dropout: float, *, qkv_bias: bool, scale: float | None = None
    ) -> None:
        super().__init__()
        if width % n_heads:
            raise InvalidValueError(
                f"width={width} is not a multiple of the {n_heads} attention heads: choose a width that is"
            )
        self.n_heads = n_heads
        self.scale = scale
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=qkv_bias)
        self.key_value = nn.Linear(width, 2 * width, bias=qkv_bias)
        self.attended = nn.Sequential(nn.Linear(width, width), nn.Dropout(dropout))
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(hidden, width), nn.Dropout(dropout),
        )  # fmt: skip

    def forward(self, tokens: Tensor, n_read: int | None = None) -> Tensor:
        """Return (n, n_read, width), the first tokens after the block.

        Args:
            tokens: (n, n_tokens, width).
            n_read: how many of them are needed, None for all; the others are attended to and not computed.
        """
        normal = self.norm(tokens)
        key, value = self.key_value(normal).chunk(2, dim=2)
        query = self._by_head(self.query(normal[:, :n_read]))
        by_head = F.scaled_dot_product_attention(query, self._by_head(key), self._by_head(value), scale=self.scale)
        tokens = tokens[:, :n_read] + self.attended(by_head.transpose(1, 2).flatten(2))
        after: Tensor = tokens + self.layers(tokens)
        return after

    def _by_head(self, part: Tensor) -> Tensor:
        return part.unflatten(2, (self.n_heads, -1)).transpose(1, 2)


def with_class_token(tokens: Tensor, class_token: Tensor) -> Tensor:
    """Return (n, 1 + n_tokens, width): ``class_token`` (width,) before the tokens of every sequence."""
    return torch.cat((class_token.expand(len(tokens), 1, -1), tokens), dim=1)
