"""A pixel's own standardised spectrum, nothing learnt: what the field's classical classifiers are given.

**Source:** with protocol ``svm`` Melgani and Bruzzone 2004, doi 10.1109/TGRS.2004.831865; with ``random_forest`` Ham et
al. 2005, doi 10.1109/TGRS.2004.842481; with ``linear`` logistic regression, with ``knn`` k nearest neighbours.
**Differs:** hyperparameters are chosen on validation pixels instead of by cross-validation; bands are standardised over
all pixels that the fit may see.
**Cost:** one pass over the cube.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmark.methods.base import Fit, FitData, Method
from hsicl_core.preprocessing import standardize
from hsicl_core.rows import whole


@dataclass(frozen=True, kw_only=True)
class RawSpectra(Method):
    """Standardised spectra as embedding."""

    kind: ClassVar[str] = "classical"
    gains_from_gpu: ClassVar[bool] = False
    protocols: ClassVar[tuple[str, ...]] = ("svm", "random_forest", "knn", "linear")

    def fit(self, data: FitData) -> Fit:
        """Return the standardised spectra."""
        return Fit(embed=lambda: whole(standardize(data.cube, data.pixels)).flatten(0, 1))
