"""The trivial baseline: a pixel's own standardised spectrum, nothing learnt.

With protocol ``svm`` this is the field's classical baseline (Melgani and Bruzzone 2004, doi 10.1109/TGRS.2004.831865).
Differs: hyperparameters are chosen on validation pixels instead of by cross-validation.
Cost: one pass over the cube.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.methods.base import Fit, FitData, Method
from hsicl_core.preprocessing import standardize
from hsicl_core.rows import whole


@dataclass(frozen=True, kw_only=True)
class RawSpectra(Method):
    """Standardised spectra as embedding."""

    def fit(self, data: FitData) -> Fit:
        """Return the standardised spectra."""
        return Fit(embed=lambda: whole(standardize(data.cube, data.pixels)).flatten(0, 1))
