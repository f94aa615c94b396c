"""Scene: a hyperspectral cube with labels, whatever file it came from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.files.cube_blocks import BLOCK_BYTES, blocks
from benchmark.files.mapped_file import MappedFile
from benchmark.fixed_split import FixedSplit
from hsicl_core.errors import SceneError

_COLOUR = re.compile("#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Scene:
    """A cube, its labels and where they come from.

    Attributes:
        name: registered name, or the stem of the file it was read from.
        cube: (height, width, bands), finite, any real dtype.
        labels: (height, width) int64, -1 = unlabelled, else 0..K-1.
        class_names: K names in label order.
        wavelengths_nm: (bands,) centre wavelengths in nm, or None where unknown.
        provenance: a sentence on source, licence and credit; says so where labels are derived.
        fixed_splits: name -> published split, of those whose files are at hand; no part of the scene's hash.
        georeference: where the pixels lie, as the files say it (``benchmark.files.georeference``), or None; no part of
            the scene's hash.
        colours: K colours ``#rrggbb`` for maps, or None for the usual ones; no part of the scene's hash.

    Raises:
        SceneError: shapes do not fit, a value is not finite, a label is outside -1..K-1, or a class has no pixel.
    """

    name: str
    cube: NDArray[np.generic]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    wavelengths_nm: NDArray[np.float64] | None = None
    provenance: str = ""
    fixed_splits: Mapping[str, FixedSplit] = field(default_factory=dict, repr=False)
    georeference: Mapping[str, Any] | None = field(default=None, repr=False)
    colours: tuple[str, ...] | None = field(default=None, repr=False)
    _checked: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if not self._checked:
            self.check()

    def __getstate__(self) -> dict[str, Any]:
        """Return the scene as it goes to another process: a cube larger than memory as the place where it lies."""
        return {**self.__dict__, "cube": MappedFile.of(self.cube) or self.cube}

    def __setstate__(self, state: dict[str, Any]) -> None:
        cube = state["cube"]
        self.__dict__.update(state, cube=cube.open() if isinstance(cube, MappedFile) else cube)

    @property
    def n_classes(self) -> int:
        """Number of classes, K."""
        return len(self.class_names)

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """(K,) labelled pixels per class."""
        return np.bincount(self.labels[self.labels >= 0], minlength=self.n_classes)

    @cached_property
    def hash(self) -> str:
        """16 hex digits of SHA-256 over shape, float32 values and labels; the same for any file format or order."""
        sha = hashlib.sha256(repr((*self.cube.shape, *self.class_names)).encode())
        n_rows = max(1, BLOCK_BYTES // (4 * self.cube[0].size))
        for top in range(0, self.cube.shape[0], n_rows):
            sha.update(np.ascontiguousarray(self.cube[top : top + n_rows], dtype="<f4").data)
        sha.update(np.ascontiguousarray(self.labels, dtype="<i2").data)
        return sha.hexdigest()[:16]

    def check(self) -> None:
        """Raise SceneError where the scene breaks its own description."""
        where = f"scene {self.name!r}"
        if self.cube.ndim != 3 or 0 in self.cube.shape:
            raise SceneError(
                f"{where}: the cube has shape {self.cube.shape}, it must be (height, width, bands): "
                "name the right array, or give --shape H,W,B for a flat file"
            )
        if self.cube.dtype.kind not in "iuf":
            raise SceneError(
                f"{where}: the cube has dtype {self.cube.dtype}, it must be real numbers: convert it first"
            )
        if self.labels.shape != self.cube.shape[:2]:
            raise SceneError(
                f"{where}: labels have shape {self.labels.shape}, the cube's is {self.cube.shape[:2]}: "
                "give the label map of the same image, untransposed"
            )
        if self.cube.dtype.kind == "f":
            for rows, columns in blocks(self.cube):
                with np.errstate(over="ignore"):
                    block = self.cube[rows, columns].astype(np.float32, copy=False)
                if not np.isfinite(block).all():
                    first = rows.start + int(np.argmin(np.isfinite(block).all(axis=(1, 2))))
                    raise SceneError(
                        f"{where}: the cube holds NaN, infinity or more than float32 can (first in row {first}), all "
                        "values must be finite: mask or fill these pixels first"
                    )
        if self.labels.min() < -1 or self.labels.max() >= self.n_classes:
            raise SceneError(
                f"{where}: labels run from {self.labels.min()} to {self.labels.max()}, they must lie in "
                f"-1..{self.n_classes - 1}: renumber them or name all classes"
            )
        empty = [name for name, count in zip(self.class_names, self.class_counts, strict=True) if count == 0]
        if self.n_classes < 2 or empty:
            raise SceneError(
                f"{where}: {self.n_classes} classes, without pixels: {', '.join(empty) or 'none'}; at least two "
                "classes are needed and each must have a pixel: correct the label map"
            )
        if self.colours is not None and (
            len(self.colours) != self.n_classes or any(not _COLOUR.fullmatch(colour) for colour in self.colours)
        ):
            raise SceneError(
                f"{where}: colours {', '.join(self.colours)} for {self.n_classes} classes: give one #rrggbb per class"
            )
