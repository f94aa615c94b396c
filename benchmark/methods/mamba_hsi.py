"""MambaHSI for patches: state-space models over pixels and over channel groups, trained on the labels alone.

**Source:** Li, Luo, Zhang, Wang and Du 2024, doi 10.1109/TGRS.2024.3430985; layers as the authors' code has them, see
``hsicl_core.networks.mamba_hsi``.
**Differs:** the authors train on the whole image at once: a pixel's class follows from all pixels before it, test
pixels' neighbourhoods take part in every step, and features are normalised over the image. Here the network sees the
patch alone, so that the guard of a split holds; the published numbers are of another task and do not compare. 64 maps
instead of 128, on 30 principal components instead of all bands; 150 steps of 32 patches, turned and flipped at random,
with the optimiser and schedule of all supervised entrants. Defaults were chosen on validation pixels of Indian Pines.
**Cost:** 150 steps on 32 patches and a pass over all: 2 million multiplications and 0.1 million exponentials per patch
of 5 x 5 pixels; about 15 s for Indian Pines on one core, three times that with patches of 9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._supervised import SupervisedMethod
from hsicl_core.checks import check_integer
from hsicl_core.errors import InvalidValueError
from hsicl_core.networks.mamba_hsi import MambaHSI


@dataclass(frozen=True, kw_only=True)
class MambaHSIMethod(SupervisedMethod):
    """The spatial-spectral Mamba of patches.

    Attributes:
        width: maps, a multiple of 4.
    """

    patch_size: int = 5
    width: int = 64
    steps: int = 150
    learning_rate: float = 3e-3

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "patch_size": (5, 7), "steps": (150, 300), "n_components": (30, None),
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("width", self.width, minimum=1)
        if self.width % 4:
            raise InvalidValueError(f"width={self.width} is not a multiple of 4: a group of maps takes a quarter of it")

    def make_network(self, n_channels: int) -> MambaHSI:
        """Return the network. See the base class."""
        return MambaHSI(n_channels, width=self.width)
