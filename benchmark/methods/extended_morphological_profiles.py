"""Extended morphological profiles: openings and closings of the principal components by disks of growing size.

**Source:** Benediktsson, Palmason and Sveinsson 2005, doi 10.1109/TGRS.2004.842478; the profile of one image is that of
Pesaresi and Benediktsson 2001.
**Differs:** reconstruction follows a structure wherever it leads, and so across the guard of a split; here it ends
where the pixel's patch ends. With a patch of 9 x 9 this leaves the disks of radius 1 and 2, where implementations
usually take four in steps of two. The number of components is a parameter, instead of a share of the variance, and the
classifier is the protocol's, with no feature extraction before it. Which disks the paper took could not be looked up.
**Cost:** the principal components, then O(patch_size^3) comparisons per pixel and component; nothing is learnt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from benchmark.methods.base import Fit, FitData, Method
from hsicl_core.checks import check_integer
from hsicl_core.morphology import morphological_profile
from hsicl_core.preprocessing import principal_components, standardize


@dataclass(frozen=True, kw_only=True)
class ExtendedMorphologicalProfiles(Method):
    """The principal components and, of each, openings and closings that see no farther than the patch.

    Attributes:
        n_components: principal components of the standardised spectra, not whitened.
        patch_size: side in pixels, odd, of the patch; disks have the radii 1 to (patch_size - 1) / 4.
    """

    n_components: int = 8
    patch_size: int = 9

    kind: ClassVar[str] = "classical"
    gains_from_gpu: ClassVar[bool] = False
    protocols: ClassVar[tuple[str, ...]] = ("svm",)
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"n_components": (4, 8, 12), "patch_size": (5, 9)}

    def __post_init__(self) -> None:
        check_integer("n_components", self.n_components, minimum=1)
        # The smallest disk needs one pixel for the erosion and one for the dilation.
        check_integer("patch_size", self.patch_size, minimum=5, odd=True)

    @property
    def receptive_field(self) -> int:
        """Side in pixels of the patch."""
        return self.patch_size

    def fit(self, data: FitData) -> Fit:
        """Return the profiles of all components."""
        image = data.memo.get("standardized", lambda: standardize(data.cube, data.pixels))
        components: Tensor = data.memo.get(
            ("components", self.n_components), lambda: principal_components(image, data.pixels, self.n_components)
        )
        return Fit(embed=lambda: morphological_profile(components, self.patch_size // 2).flatten(0, 1))
