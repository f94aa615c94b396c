"""Ground: which class every pixel of a synthetic scene shows, and which pixels have a label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.scene_files import load_scene
from benchmark.synthetic.recipe import SyntheticRecipe
from hsicl_core.errors import InvalidValueError

Ints = NDArray[np.int16]


class Cells:
    """A plane cut into Voronoi cells around one random seed in the middle half of each rectangle of a grid.

    The middle half keeps the nearest seed within the 3 x 3 rectangles around a pixel, so any row can be made alone:
    a rectangle's own seed is at most 1.07 sides away, one two rectangles away at least 1.25.

    Args:
        height: rows of the plane.
        width: columns of the plane.
        side: wanted side of a rectangle in pixels; the real one divides the plane evenly.
        generator: draws the seeds.
    """

    def __init__(self, height: int, width: int, side: int, generator: np.random.Generator) -> None:
        self.grid = (max(1, round(height / side)), max(1, round(width / side)))
        self._scale = (self.grid[0] / height, self.grid[1] / width)
        # (rows, columns) of the seeds in units of the grid's rectangles.
        self.seeds = np.indices(self.grid) + generator.uniform(0.25, 0.75, (2, *self.grid))

    def of(self, rows: NDArray[np.int64], width: int) -> NDArray[np.int64]:
        """Return the number of the cell of each pixel in the given rows, (len(rows), width)."""
        y = (rows + 0.5) * self._scale[0]
        x = (np.arange(width) + 0.5) * self._scale[1]
        nearest = np.full((len(y), len(x)), np.inf)
        cells = np.zeros((len(y), len(x)), dtype=np.int64)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                # At an edge the clipped neighbour is a cell that is compared anyway.
                i = np.clip(y.astype(np.int64) + down, 0, self.grid[0] - 1)[:, None]
                j = np.clip(x.astype(np.int64) + right, 0, self.grid[1] - 1)[None, :]
                distance = (self.seeds[0, i, j] - y[:, None]) ** 2 + (self.seeds[1, i, j] - x) ** 2
                is_nearer = distance < nearest
                np.copyto(nearest, distance, where=is_nearer)
                np.copyto(cells, i * self.grid[1] + j, where=is_nearer)
        return cells


class Ground:
    """The true class of every pixel and the labels given away, row by row.

    Args:
        recipe: size and layout.
        shares: (K,) wanted share of each class among the regions, adding up to one.
        real_map: (h, w) int16 labels -1..K-1 to tile and crop, or None to generate.
        generator: draws the layout.

    Raises:
        InvalidValueError: fewer regions than classes.
    """

    def __init__(
        self,
        recipe: SyntheticRecipe,
        shares: NDArray[np.float64],
        real_map: Ints | None,
        generator: np.random.Generator,
    ) -> None:
        self._height, self._width = recipe.height, recipe.width
        self._border_gap = recipe.border_gap
        self._cells = Cells(recipe.height, recipe.width, recipe.region, generator)
        n_cells = self._cells.seeds[0].size
        if real_map is None and n_cells < len(shares):
            raise InvalidValueError(
                f"region={recipe.region} gives {n_cells} regions in {recipe.height} x {recipe.width} pixels for "
                f"{len(shares)} classes: take smaller regions, fewer classes or a larger scene"
            )
        # A real map has classes of its own; there the cells are places for gaps only.
        counts = _counted_out(n_cells, shares if real_map is None else np.ones(1))
        self._class_of = generator.permutation(np.repeat(np.arange(len(counts), dtype=np.int16), counts))
        self._is_gap = np.zeros(n_cells, dtype=bool)
        for label, count in enumerate(counts):
            # Permuted cells of one class: the first of them are as good as drawn.
            n_gaps = min(round((1 - recipe.labelled) * count), count - 1)
            members = generator.permutation(np.flatnonzero(self._class_of == label))
            self._is_gap[members[:n_gaps]] = True
        self._real_map = real_map
        self._real_ground = None if real_map is None else _filled(real_map)

    def classes(self, rows: NDArray[np.int64]) -> Ints:
        """Return the class that each pixel of the given rows shows, (len(rows), width) 0..K-1."""
        if self._real_ground is None:
            return self._class_of[self._cells.of(rows, self._width)]
        return self._tiled(self._real_ground, rows)

    def around(self, start: int, stop: int, margin: int) -> Ints:
        """Return the classes of rows start - margin .. stop + margin, where the first and last row go on outside."""
        return self.classes(np.clip(np.arange(start - margin, stop + margin), 0, self._height - 1))

    def labels(self, start: int, stop: int) -> Ints:
        """Return the labels of rows start..stop, (stop - start, width) -1..K-1."""
        rows = np.arange(start, stop)
        labels = self.classes(rows) if self._real_map is None else self._tiled(self._real_map, rows)
        labels = np.where(self._is_gap[self._cells.of(rows, self._width)], np.int16(-1), labels)
        if self._border_gap:
            from scipy import ndimage

            size, around = 2 * self._border_gap + 1, self.around(start, stop, self._border_gap)
            is_mixed = ndimage.minimum_filter(around, size, mode="nearest") != ndimage.maximum_filter(
                around, size, mode="nearest"
            )
            labels[is_mixed[self._border_gap : self._border_gap + len(rows)]] = -1
        return labels

    def _tiled(self, real: Ints, rows: NDArray[np.int64]) -> Ints:
        return real[rows[:, None] % real.shape[0], np.arange(self._width) % real.shape[1]]


def real_label_map(recipe: SyntheticRecipe) -> Ints | None:
    """Return the real map of a recipe as int16 labels -1..K-1, or None where the map is generated.

    Raises:
        InvalidValueError: an array that is not such a map.
        SceneError, SceneNotFoundError, UnknownNameError: the scene cannot be loaded.
    """
    if recipe.is_generated:
        return None
    given = recipe.label_map
    labels = load_scene(given).labels if isinstance(given, str) else np.asarray(given)
    if labels.ndim != 2 or labels.dtype.kind not in "iu" or labels.size == 0:
        raise InvalidValueError(
            f"label_map must be whole numbers (height, width), got an array {labels.shape} of {labels.dtype}"
        )
    n_classes = int(labels.max()) + 1
    known = np.unique(labels[labels >= 0])
    if labels.min() < -1 or n_classes > np.iinfo(np.int16).max or not 2 <= n_classes == len(known):
        raise InvalidValueError(
            f"label_map holds {len(known)} classes with ids from {labels.min()} to {n_classes - 1}: it may "
            "hold -1 and must hold all of 0..K-1, at least two; renumber it"
        )
    return labels.astype(np.int16)


def _filled(labels: Ints) -> Ints:
    from scipy import ndimage

    nearest = ndimage.distance_transform_edt(labels < 0, return_distances=False, return_indices=True)
    filled: Ints = labels[tuple(nearest)]
    return filled


def _counted_out(n: int, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return whole numbers >= 1 that add up to n, as near to ``n * shares`` as largest remainders come."""
    exact = shares * (n - len(shares)) if (shares * n < 1).any() else shares * n - 1
    counts = np.floor(exact).astype(np.int64)
    missing = n - len(shares) - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
    return counts + 1
