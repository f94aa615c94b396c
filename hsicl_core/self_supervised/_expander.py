"""The network before a loss of batch statistics, and the least batch that has any."""

from __future__ import annotations

from torch import Tensor, nn

from hsicl_core.errors import InvalidValueError


class Expander(nn.Sequential):
    """Three linear layers of one width, batch normalisation and ReLU after the first two.

    No layer has a bias: batch normalisation, or the loss, takes the mean out.

    Args:
        dim: dimension of the embedding.
        out_dim: width of all three layers.
    """

    def __init__(self, dim: int, out_dim: int) -> None:
        layers: list[nn.Module] = []
        for width in (dim, out_dim):
            layers += [nn.Linear(width, out_dim, bias=False), nn.BatchNorm1d(out_dim), nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.Linear(out_dim, out_dim, bias=False))


def check_batch(loss: str, views: Tensor) -> None:
    """Raise InvalidValueError unless there are two pixels, (batch, ...), to take statistics over."""
    if len(views) < 2:
        raise InvalidValueError(
            f"{loss} compares the pixels of a batch and needs at least 2, got {len(views)}: raise batch_size, or give "
            "the fit more pixels"
        )
