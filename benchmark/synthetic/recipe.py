"""SyntheticRecipe: what a synthetic scene is made of, each parameter checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.scene import Scene
from hsicl_core.checks import check_choice, check_integer, check_number
from hsicl_core.errors import InvalidValueError

# Raised whenever the same recipe gives other pixels.
SYNTHETIC_VERSION = 1
GENERATED = "generated"
DTYPES = ("float32", "uint16")
SHARES = ("balanced", "source")


@dataclass(frozen=True, kw_only=True, eq=False)
class SyntheticRecipe:
    """A scene made by the linear mixing model (Keshava and Mustard 2002, doi 10.1109/79.974727) plus noise.

    The pixel p of class c, with abundances a_k(p) >= 0 that add up to one, is::

        x(p) = g(p) * ( sum_k a_k(p) m_k  +  a_c(p) * variability * v(p) )  +  n(p)

    m_k are class spectra, v is drawn from the deviations of real pixels of class c from their mean, g is the gain of
    the illumination and n is white Gaussian noise. Every random number belongs to (seed, row) and is drawn whether it
    is used or not: recipes that differ in one strength (noise, mixing, variability, illumination) differ in nothing
    else, and no pixel depends on how many rows are made at a time.

    Attributes:
        height: rows, >= 1.
        width: columns, >= 1.
        spectra: whose class spectra: the name of a scene at hand, a ``Scene``, or an array (classes, bands).
        classes: number of classes, 2..those of the source, the most frequent ones in their order; None takes all.
            A real label map brings its own number.
        bands: number of bands, 1..those of the source, evenly chosen; None takes all.
        label_map: ``"generated"``; or a real map, tiled and cropped to the size: the name of a scene at hand, or an
            array (h, w) with -1 (unlabelled) and 0..K-1. Its unlabelled pixels look like the labelled one nearest to
            them.
        region: side in pixels, >= 2, of the regions of a generated map (Voronoi cells of one random seed per square).
        proportions: of the classes among the regions of a generated map: ``"balanced"``, ``"source"`` (pixel counts
            of the source), or K positive numbers. The regions are counted out; pixels follow as closely as the
            regions are of one size.
        labelled: share of the regions that have labels, above 0 and at most 1; the others are gaps, the same share of
            each class.
        border_gap: pixels >= 0; a pixel that has another class this near (in row and column) is unlabelled.
        border_mixing: pixels >= 0; abundances are the shares of the classes in a square of this half-width.
        mixing: 0..1, the largest background fraction; that of a pixel is uniform in 0..mixing and of one other class.
        variability: >= 0, strength of the within-class variability; 1 gives the covariance of the real pixels. None
            means 1, or 0 for an array, which has no pixels.
        snr_db: signal power over noise power in dB, -100..200, the same in every band; None adds no noise. The power
            is measured on up to 64 evenly spaced rows of the scene.
        illumination: 0..1 (below 1); the gain of a pixel is uniform in 1 +- illumination.
        dtype: of the cube: ``"float32"`` or ``"uint16"`` (rounded, clipped).
        seed: of everything random, >= 0.

    Raises:
        InvalidValueError: a parameter is outside its range.
    """

    height: int
    width: int
    spectra: str | Scene | NDArray[np.generic] = "indian_pines"
    classes: int | None = None
    bands: int | None = None
    label_map: str | NDArray[np.generic] = GENERATED
    region: int = 16
    proportions: str | Sequence[float] = "balanced"
    labelled: float = 1.0
    border_gap: int = 0
    border_mixing: int = 0
    mixing: float = 0.0
    variability: float | None = None
    snr_db: float | None = 30.0
    illumination: float = 0.0
    dtype: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, minimum in (
            ("height", 1), ("width", 1), ("region", 2), ("border_gap", 0), ("border_mixing", 0), ("seed", 0),
        ):  # fmt: skip
            check_integer(name, getattr(self, name), minimum=minimum)
        if self.classes is not None:
            check_integer("classes", self.classes, minimum=2)
        if self.bands is not None:
            check_integer("bands", self.bands, minimum=1)
        check_number("labelled", self.labelled, above=0, maximum=1)
        check_number("mixing", self.mixing, minimum=0, maximum=1)
        check_number("illumination", self.illumination, minimum=0, below=1)
        if self.variability is not None:
            check_number("variability", self.variability, minimum=0)
        if self.snr_db is not None:
            check_number("snr_db", self.snr_db, minimum=-100, maximum=200)
        check_choice("dtype", self.dtype, DTYPES)
        if isinstance(self.proportions, str):
            check_choice("proportions", self.proportions, SHARES)
        else:
            for share in self.proportions:
                check_number("proportions", share, above=0)
        if self.is_generated:
            return
        if self.classes is not None:
            raise InvalidValueError(
                f"classes={self.classes} is given with a real label map, which has its own: drop it"
            )
        if self.proportions != "balanced":
            raise InvalidValueError(
                f"proportions={self.proportions!r} is given with a real label map, which has its own: drop it"
            )

    @property
    def is_generated(self) -> bool:
        """Whether the label map is generated."""
        return isinstance(self.label_map, str) and self.label_map == GENERATED

    @property
    def within_class(self) -> float:
        """The variability, with what None means put in."""
        if self.variability is None:
            return float(isinstance(self.spectra, str | Scene))
        return self.variability

    def describe(self) -> str:
        """Return all parameters as one line of JSON; an array is named by its shape and the SHA-256 of its bytes."""
        values = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        return json.dumps({"version": SYNTHETIC_VERSION, **values, "variability": self.within_class})


def _plain(value: Any) -> Any:
    if isinstance(value, Scene):
        return f"{value.name} ({value.hash})"
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).data).hexdigest()
        return f"array {value.shape} {value.dtype} ({digest[:16]})"
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
