"""SyntheticRows: the pixels of a synthetic scene, any rows at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.synthetic.ground import Ground, Ints, real_label_map
from benchmark.synthetic.recipe import SHARES, SyntheticRecipe
from benchmark.synthetic.spectra import class_spectra
from hsicl_core.errors import InvalidValueError

Floats = NDArray[np.float32]
# Rows on which the power of the signal is measured.
PILOT_ROWS = 64
# Pixels are worked on this many bytes at a time: what fits the processor's cache is fastest.
CHUNK_BYTES = 2**19


class SyntheticRows:
    """Labels, abundances and cube of a recipe; the same bytes however many rows are asked for at a time.

    The pixels are made by additions, multiplications and roots alone, each rounded as IEEE 754 says; the sums of a
    matrix product would depend on the machine and on the block.

    Args:
        recipe: what to make.

    Raises:
        InvalidValueError: the recipe does not fit its sources.
        SceneError, SceneNotFoundError, UnknownNameError: a source cannot be loaded.
    """

    def __init__(self, recipe: SyntheticRecipe) -> None:
        self.recipe = recipe
        real_map = real_label_map(recipe)
        self.spectra = class_spectra(recipe, recipe.classes if real_map is None else int(real_map.max()) + 1)
        layout = np.random.default_rng(np.random.SeedSequence(recipe.seed, spawn_key=(0,)))
        self._ground = Ground(recipe, self._wanted_shares(), real_map, layout)
        self.shape = (recipe.height, recipe.width, self.spectra.means.shape[1])
        self.dtype = np.dtype(recipe.dtype).newbyteorder("<")
        self._noise_scale = None if recipe.snr_db is None else self._measured_scale(recipe.snr_db)

    def labels(self, start: int, stop: int) -> Ints:
        """Return the labels of rows start..stop, (stop - start, width) int16, -1 = unlabelled."""
        return self._ground.labels(start, stop)

    def abundances(self, start: int, stop: int) -> Floats:
        """Return the abundances of rows start..stop, (stop - start, width, K) float32 >= 0 that add up to one."""
        draws = np.stack([_draw(self._generator(row), self.shape[1]) for row in range(start, stop)])
        return self._mixtures(start, stop, draws)[1]

    def cube(self, start: int, stop: int) -> NDArray[np.generic]:
        """Return the pixels of rows start..stop, (stop - start, width, bands) of ``dtype``."""
        cube = np.empty((stop - start, *self.shape[1:]), dtype=self.dtype)
        generators = [self._generator(row) for row in range(start, stop)]
        draws = np.stack([_draw(generator, self.shape[1]) for generator in generators])
        ground, abundances = self._mixtures(start, stop, draws)
        step = max(1, CHUNK_BYTES // (4 * self.shape[2]))
        for row, generator in enumerate(generators):
            for first in range(0, self.shape[1], step):
                part = slice(first, first + step)
                pixels = self._signal(ground[row, part], abundances[row, part], draws[row, :, part])
                if self._noise_scale is not None:
                    noise = generator.standard_normal(pixels.shape, dtype=np.float32)
                    noise *= self._noise_scale
                    pixels += noise
                if self.dtype.kind == "u":
                    np.clip(np.rint(pixels, out=pixels), 0, np.iinfo(self.dtype).max, out=pixels)
                cube[row, part] = pixels
        return cube

    def _generator(self, row: int) -> np.random.Generator:
        # Of NumPy's generators the fastest for float32 normals, which are most of the work.
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(self.recipe.seed, spawn_key=(1, row))))

    def _wanted_shares(self) -> NDArray[np.float64]:
        n_classes, asked = len(self.spectra.names), self.recipe.proportions
        if isinstance(asked, str):
            named = dict(zip(SHARES, (np.full(n_classes, 1 / n_classes), self.spectra.shares), strict=True))
            return named[asked]
        if len(asked) != n_classes:
            raise InvalidValueError(f"proportions has {len(asked)} numbers for {n_classes} classes: give one per class")
        return np.asarray(asked, dtype=np.float64) / sum(asked)

    def _mixtures(self, start: int, stop: int, draws: NDArray[np.float64]) -> tuple[Ints, Floats]:
        """Return the classes (rows, width) and the abundances (rows, width, K) of rows start..stop."""
        margin, n_classes = self.recipe.border_mixing, len(self.spectra.names)
        around = self._ground.around(start, stop, margin)
        ground = around[margin : margin + stop - start]
        abundances = np.zeros((*ground.shape, n_classes), dtype=np.float32)
        if margin:
            for label in np.unique(around):
                abundances[:, :, label] = _share_around(around == label, margin)
        else:
            np.put_along_axis(abundances, ground[:, :, None].astype(np.int64), 1, axis=2)
        if self.recipe.mixing:
            fraction = (self.recipe.mixing * draws[:, 1]).astype(np.float32)
            other = (ground + 1 + (draws[:, 0] * (n_classes - 1)).astype(np.int64)) % n_classes
            abundances *= (1 - fraction)[:, :, None]
            rows, columns = np.ogrid[: ground.shape[0], : ground.shape[1]]
            abundances[rows, columns, other] += fraction
        return ground, abundances

    def _signal(self, ground: Ints, abundances: Floats, draws: NDArray[np.float64]) -> Floats:
        """Return the noiseless pixels (n, bands) of classes (n,), abundances (n, K) and draws (6, n)."""
        means = self.spectra.means
        own = np.take_along_axis(abundances, ground[:, None].astype(np.int64), axis=1)
        pixels: Floats = means[ground] * own
        for label, mean in enumerate(means):
            mixed = np.flatnonzero((abundances[:, label] > 0) & (ground != label))
            pixels[mixed] += abundances[mixed, label, None] * mean
        if self.recipe.within_class:
            # Two random deviations d, e with weights c, s where c*c + s*s = 1: no pixel is a copy of a real one, and
            # the covariance is that of the real ones.
            c, s = (1 - draws[5] ** 2) / (1 + draws[5] ** 2), 2 * draws[5] / (1 + draws[5] ** 2)
            for weight, draw in ((c, draws[3]), (s, draws[4])):
                chosen = self.spectra.first[ground] + (draw * self.spectra.counts[ground]).astype(np.int64)
                strength = self.recipe.within_class * weight[:, None] * own
                pixels += self.spectra.deviations[chosen] * strength.astype(np.float32)
        if self.recipe.illumination:
            pixels *= (1 + self.recipe.illumination * (2 * draws[2] - 1)).astype(np.float32)[:, None]
        return pixels

    def _measured_scale(self, snr_db: float) -> Floats:
        """Return the standard deviation of the noise, (bands,)."""
        height, width, bands = self.shape
        power = np.zeros(bands)
        rows = np.unique(np.linspace(0, height - 1, min(height, PILOT_ROWS)).round().astype(int))
        for row in rows.tolist():
            draws = _draw(self._generator(row), width)
            ground, abundances = self._mixtures(row, row + 1, draws[None])
            power += (self._signal(ground[0], abundances[0], draws).astype(np.float64) ** 2).sum(axis=0)
        return np.sqrt(power / (len(rows) * width) / 10 ** (snr_db / 10)).astype(np.float32)


def _draw(generator: np.random.Generator, width: int) -> NDArray[np.float64]:
    """Draw (6, width) for the other class, its fraction, the gain, two deviations and the angle between them."""
    return generator.random((6, width))


def _share_around(mask: NDArray[np.bool_], margin: int) -> NDArray[np.float64]:
    """Return the share of True in the square around each pixel; columns go on outside, rows shrink by the margin."""
    size = 2 * margin + 1
    sums = np.pad(mask, ((1, 0), (margin + 1, margin)), mode="edge").astype(np.int32)
    sums[0], sums[:, 0] = 0, 0
    sums = sums.cumsum(axis=0).cumsum(axis=1)
    counts = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    return counts / size**2
