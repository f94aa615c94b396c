"""Scene standardisation, principal components and spatial smoothing, on the device of the cube."""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.checks import check_integer
from hsicl_core.errors import InvalidValueError
from hsicl_core.patches import pad_reflect


def standardize(cube: Tensor, pixels: Tensor) -> Tensor:
    """Return the cube with every band at mean 0 and standard deviation 1 over ``pixels``.

    Args:
        cube: (height, width, bands) float32.
        pixels: (n,) flat indices over which the statistics are taken.

    Returns:
        (height, width, bands) float32; a constant band becomes 0.
    """
    spectra = cube.reshape(-1, cube.shape[2])
    seen = spectra[pixels].double()
    mean = seen.mean(dim=0)
    deviation = seen.std(dim=0, unbiased=False)
    scale = torch.where(deviation > 0, deviation, torch.inf)
    return ((spectra.double() - mean) / scale).float().reshape(cube.shape)


def principal_components(cube: Tensor, pixels: Tensor, n_components: int, *, whiten: bool = False) -> Tensor:
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

    Cost: O(n * bands^2 + bands^3), in float64.
    """
    check_integer("n_components", n_components, minimum=1)
    height, width, bands = cube.shape
    if n_components > bands:
        raise InvalidValueError(f"n_components={n_components} exceeds the scene's {bands} bands: use at most {bands}")
    spectra = cube.reshape(-1, bands).double()
    seen = spectra[pixels]
    mean = seen.mean(dim=0)
    centred = seen - mean
    variance, axes = torch.linalg.eigh(centred.T @ centred / len(seen))
    variance, axes = variance.flip(0)[:n_components], axes.flip(1)[:, :n_components]
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    axes = axes * torch.where(largest < 0, -1.0, 1.0)
    # Below this share of the first variance a component is rounding noise, which whitening would blow up.
    is_real = variance > variance[0] * 1e-12
    deviation = torch.where(is_real, variance.clamp(min=0).sqrt(), torch.inf)
    scale = deviation if whiten else deviation[0]
    return (((spectra - mean) @ axes) / scale).float().reshape(height, width, n_components)


def window_mean(image: Tensor, size: int) -> Tensor:
    """Return the mean over the square window around every pixel, the border mirrored.

    Args:
        image: (height, width, channels) float32.
        size: side of the window in pixels, odd; 1 changes nothing.

    Returns:
        (height, width, channels) float32.
    """
    check_integer("size", size, minimum=1, odd=True)
    if size == 1:
        return image
    padded = pad_reflect(image, size // 2).permute(2, 0, 1)[None]
    return torch.nn.functional.avg_pool2d(padded, size, stride=1)[0].permute(1, 2, 0).contiguous()
