"""SpectralFormer, a transformer along the spectrum of the patch, trained on the labels alone.

**Source:** Hong et al. 2022, doi 10.1109/TGRS.2021.3130716, patch-wise: all bands, patches of 7, 5 blocks of 4 heads,
64 numbers per token; layers as the authors' code has them, see ``hsicl_core.networks.spectral_former``.
**Differs:** a token is a group of 9 bands and there is one for every eighth band, so that groups cover the spectrum
once; the paper has one for every band. ``stride=1, near_bands=3`` is its choice, and takes 15 times as long. Bands are
standardised instead of scaled to 0..1; 300 steps of 32 patches, turned and flipped at random, with the optimiser and
schedule of all supervised entrants, instead of 1000 epochs of Adam at 0.0005. Defaults were chosen on validation pixels
of Indian Pines.
**Cost:** 300 steps on 32 patches and a pass over all: 4 million multiplications per patch of 7 x 7 pixels and 200
bands; about 15 s for Indian Pines on one core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._supervised import SupervisedMethod
from hsicl_core.checks import check_integer
from hsicl_core.errors import InvalidValueError
from hsicl_core.networks.spectral_former import SpectralFormer

_HEADS = 4


@dataclass(frozen=True, kw_only=True)
class SpectralFormerMethod(SupervisedMethod):
    """The transformer of band groups.

    Attributes:
        near_bands: bands of a group, odd.
        stride: bands from one group's middle to the next.
        width: numbers per token, a multiple of 4.
    """

    n_components: int | None = None
    patch_size: int = 7
    near_bands: int = 9
    stride: int = 8
    width: int = 64

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "patch_size": (3, 7), "steps": (300, 600), "learning_rate": (5e-4, 1e-3),
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("near_bands", self.near_bands, minimum=1, odd=True)
        check_integer("stride", self.stride, minimum=1)
        check_integer("width", self.width, minimum=1)
        if self.width % _HEADS:
            raise InvalidValueError(f"width={self.width} is not a multiple of {_HEADS}: a head takes a quarter of it")

    def make_network(self, n_channels: int) -> SpectralFormer:
        """Return the network. See the base class."""
        return SpectralFormer(
            n_channels, self.patch_size, self.near_bands, self.stride, width=self.width, n_heads=_HEADS
        )  # fmt: skip
