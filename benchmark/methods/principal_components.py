"""Principal components of a pixel's own standardised spectrum.

**Source:** Hotelling 1933, doi 10.1037/h0071325.
**Differs:** fitted on all pixels that the fit may see, labelled or not. Protocols that standardise give every component
the same weight, as whitening would.
**Cost:** one covariance of the bands and one projection of every pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from benchmark.methods.base import Fit, FitData, Method
from hsicl_core import preprocessing
from hsicl_core.checks import check_integer


@dataclass(frozen=True, kw_only=True)
class PrincipalComponents(Method):
    """The first principal components as embedding.

    Attributes:
        n_components: how many.
    """

    n_components: int = 24

    kind: ClassVar[str] = "trivial"
    gains_from_gpu: ClassVar[bool] = False
    protocols: ClassVar[tuple[str, ...]] = ("linear", "svm")
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"n_components": (4, 8, 16, 24)}

    def __post_init__(self) -> None:
        check_integer("n_components", self.n_components, minimum=1)

    def fit(self, data: FitData) -> Fit:
        """Return the components of all pixels."""
        image = data.memo.get("standardized", lambda: preprocessing.standardize(data.cube, data.pixels))
        components: Tensor = data.memo.get(
            ("components", self.n_components),
            lambda: preprocessing.principal_components(image, data.pixels, self.n_components),
        )
        return Fit(embed=lambda: components.flatten(0, 1))
