"""SuperPCA: every superpixel has principal components of its own, on which its pixels' spectra are projected.

**Source:** Jiang et al. 2018, doi 10.1109/TGRS.2018.2828029, and the authors' code (junjun-jiang/SuperPCA): superpixels
of the first principal component of the scene; axes of the centred spectra of a superpixel; spectra are projected as
they are, not centred.
**Differs:** superpixels are SLIC's (Achanta et al. 2012, doi 10.1109/TPAMI.2012.120) instead of entropy rate
superpixels, 100 of them unless tuned; the authors took 100 for Indian Pines and Salinas and 20 for Pavia University.
Axes without variance give 0, and the sign of an axis is that of its largest loading. The authors' code takes the best
kernel width on the test pixels. A pixel's features are made by the axes of its superpixel, which reaches beyond the
patch that a split guards: where it holds pixels of two parts, these share their axes. Held-out labels play no part;
held-out spectra near by do. Axes of different superpixels do not compare, so a superpixel without a training pixel is
told poorly, as on splits with a guard. Pixels that the fit may not see take the axes of the nearest pixel that it
may.
**Cost:** SLIC on one channel, then an eigendecomposition of the bands' covariance for every superpixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from benchmark.methods.base import Fit, FitData, Method
from hsicl_core.checks import check_integer, check_number
from hsicl_core.errors import InvalidValueError
from hsicl_core.preprocessing import principal_components, standardize
from hsicl_core.pseudolabels.super_pixels import SuperPixelPseudoLabeler
from hsicl_core.rows import Rows, empty


@dataclass(frozen=True, kw_only=True)
class SuperPixelPCA(Method):
    """A pixel's spectrum on the principal axes of its superpixel.

    Attributes:
        n_components: axes of a superpixel.
        n_superpixels: superpixels wanted; SLIC finds about as many, fewer the less compact they are.
        compactness: weight of nearness against similarity, > 0; the first component is scaled to 0..1.
    """

    n_components: int = 30
    n_superpixels: int = 100
    compactness: float = 0.1

    kind: ClassVar[str] = "classical"
    gains_from_gpu: ClassVar[bool] = False
    protocols: ClassVar[tuple[str, ...]] = ("svm",)
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "n_superpixels": (10, 20, 50, 100),
        "compactness": (0.1, 0.3),
    }
    # Every superpixel has axes of its own, and is larger than a patch.
    bounded_view: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_integer("n_components", self.n_components, minimum=1)
        check_integer("n_superpixels", self.n_superpixels, minimum=1)
        check_number("compactness", self.compactness, above=0)

    def fit(self, data: FitData) -> Fit:
        """Find superpixels and their axes.

        Raises:
            InvalidValueError: more components than bands.
            MissingPackageError: scikit-image is not installed.
        """
        bands = data.cube.shape[2]
        if self.n_components > bands:
            raise InvalidValueError(
                f"n_components={self.n_components} exceeds the scene's {bands} bands: use at most {bands}"
            )
        of_pixel = self._segment(data)
        is_seen = torch.zeros_like(of_pixel, dtype=torch.bool)
        is_seen[data.pixels] = True
        members = [(of_pixel == index).nonzero()[:, 0] for index in range(int(of_pixel.max()) + 1)]
        axes = [principal_axes(spectra(data.cube, own[is_seen[own]]), self.n_components) for own in members]

        def embed() -> Tensor:
            out = empty(len(of_pixel), self.n_components, device=data.device)
            for own, basis in zip(members, axes, strict=True):
                out[own] = (spectra(data.cube, own) @ basis).float()
            return out

        return Fit(embed=embed)

    def _segment(self, data: FitData) -> Tensor:
        """Return the superpixel (height * width,) of every pixel, found on ``data.pixels``."""
        height, width, _ = data.cube.shape
        image = data.memo.get("standardized", lambda: standardize(data.cube, data.pixels))
        first = principal_components(image, data.pixels, 1).flatten(0, 1)[data.pixels]
        positions = torch.stack([data.pixels // width, data.pixels % width], dim=1)
        found = SuperPixelPseudoLabeler(n_clusters=1, n_superpixels=self.n_superpixels, compactness=self.compactness)
        segments = np.full((height, width), -1)
        segments.flat[data.pixels.cpu().numpy()] = found.fit(first, positions=positions).superpixels_.numpy()
        rows, columns = distance_transform_edt(segments < 0, return_distances=False, return_indices=True)
        return torch.from_numpy(segments[rows, columns].reshape(-1)).to(data.device)


def spectra(cube: Rows, pixels: Tensor) -> Tensor:
    """Return the spectra (n, bands) float64 of some pixels (n,), flat indices; no row outside theirs is read."""
    width = cube.shape[1]
    top, bottom = int(pixels.min()) // width, int(pixels.max()) // width + 1
    return cube[top:bottom].flatten(0, 1)[pixels - top * width].double()


def principal_axes(vectors: Tensor, n_axes: int) -> Tensor:
    """Return the principal axes (dim, n_axes) of vectors (n, dim) float64; 0 for those without variance."""
    centred = vectors - vectors.mean(dim=0)
    variance, axes = torch.linalg.eigh(centred.T @ centred / len(vectors))
    variance, axes = variance.flip(0)[:n_axes], axes.flip(1)[:, :n_axes]
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    # Below this share of the first variance an axis is rounding noise.
    is_real = (variance > variance[0] * 1e-12) & (variance > 0)
    return axes * torch.where(largest < 0, -1.0, 1.0) * is_real
