"""Scene standardisation, principal components and spatial smoothing, on the device of the cube."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hsicl_core.checks import check_integer
from hsicl_core.errors import InvalidValueError
from hsicl_core.rows import Rows, empty, in_memory, mirrored_rows, row_blocks, seen_blocks


class StandardizedRows:
    """Rows of an image, every channel shifted and scaled as they are read.

    Args:
        image: (height, width, channels).
        mean: (channels,) float64.
        scale: (channels,) float64, infinite where the channel is constant.
    """

    def __init__(self, image: Rows, mean: Tensor, scale: Tensor) -> None:
        self._image, self._mean, self._scale = image, mean, scale
        self.shape, self.device = image.shape, image.device

    def __getitem__(self, rows: slice) -> Tensor:
        """Return some rows (n, width, channels) float32."""
        return self._image[rows].double().sub_(self._mean).div_(self._scale).float()


def standardize(cube: Rows, pixels: Tensor) -> Rows:
    """Return the cube with every band at mean 0 and standard deviation 1 over ``pixels``.

    Args:
        cube: (height, width, bands) float32.
        pixels: (n,) flat indices over which the statistics are taken.

    Returns:
        (height, width, bands) float32; a constant band becomes 0. A tensor, or, where it would exceed
        ``resident_limit``, rows that are standardised whenever they are read.

    Cost: one pass over the cube in float64 for the statistics, one block of rows at a time.
    """
    mean, variance = _moments(cube, pixels, lambda block, mean: block.var(dim=0, unbiased=False), torch.square)
    scale = torch.where(variance > 0, variance.sqrt(), torch.inf)
    return in_memory(StandardizedRows(cube, mean, scale))


def principal_components(cube: Rows, pixels: Tensor, n_components: int, *, whiten: bool = False) -> Tensor:
    """Return the cube's principal components, fitted on ``pixels``.

    The sign of a component is that of its largest loading, so that it does not depend on the eigensolver.

    Args:
        cube: (height, width, bands) float32.
        pixels: (n,) flat indices over which the covariance is taken.
        n_components: 1..bands.
        whiten: scale every component to unit variance (components without variance become 0).

    Returns:
        (height, width, n_components) float32, centred on ``pixels``. Unwhitened components share one scale, that
        which gives the first one unit variance.

    Raises:
        InvalidValueError: more components than bands.

    Cost: O(n * bands^2 + bands^3), in float64, in two passes over blocks of rows.
    """
    check_integer("n_components", n_components, minimum=1)
    height, width, bands = cube.shape
    if n_components > bands:
        raise InvalidValueError(f"n_components={n_components} exceeds the scene's {bands} bands: use at most {bands}")
    mean, covariance = _moments(cube, pixels, _covariance, lambda step: torch.outer(step, step))
    variance, axes = torch.linalg.eigh(covariance)
    variance, axes = variance.flip(0)[:n_components], axes.flip(1)[:, :n_components]
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    axes = axes * torch.where(largest < 0, -1.0, 1.0)
    # Below this share of the first variance a component is rounding noise, which whitening would blow up.
    is_real = variance > variance[0] * 1e-12
    deviation = torch.where(is_real, variance.clamp(min=0).sqrt(), torch.inf)
    scale = deviation if whiten else deviation[0]
    out = empty(height, width, n_components, device=cube.device)
    for rows in row_blocks(cube):
        out[rows] = ((cube[rows].double().sub_(mean) @ axes) / scale).float()
    return out


def _moments(
    image: Rows, pixels: Tensor, spread: Callable[[Tensor, Tensor], Tensor], product: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the mean (channels,) of some pixels and their variances or covariances, in one pass over the blocks.

    Args:
        image: (height, width, channels).
        pixels: (n,) flat indices.
        spread: maps a block of vectors and their mean to their variances, or covariances.
        product: maps a difference of two means to its squares, or products.

    Source: Chan, Golub and LeVeque 1983, doi 10.1080/00031305.1983.10483115: the moments of two sets give those of
    their union.
    """
    blocks = (seen.double() for seen in seen_blocks(image, pixels))
    first = next(blocks)
    n, mean = len(first), first.mean(dim=0)
    spreads = spread(first, mean)
    for block in blocks:
        m, its_mean = len(block), block.mean(dim=0)
        both, step = n + m, its_mean - mean
        spreads = (n * spreads + m * spread(block, its_mean) + product(step) * (n * m / both)) / both
        n, mean = both, mean + step * (m / both)
    return mean, spreads


def _covariance(block: Tensor, mean: Tensor) -> Tensor:
    centred = block - mean
    return centred.T @ centred / len(block)


def window_mean(image: Rows, size: int) -> Tensor:
    """Return the mean over the square window around every pixel, the border mirrored.

    Args:
        image: (height, width, channels) float32.
        size: side of the window in pixels, odd; 1 changes nothing.

    Returns:
        (height, width, channels) float32.
    """
    check_integer("size", size, minimum=1, odd=True)
    height, width, channels = image.shape
    out = empty(height, width, channels, device=image.device)
    for rows in row_blocks(image):
        padded = mirrored_rows(image, rows.start, rows.stop, size // 2).permute(2, 0, 1)[None]
        out[rows] = torch.nn.functional.avg_pool2d(padded, size, stride=1)[0].permute(1, 2, 0)
    return out
