"""SSRN: residual blocks along the spectrum of every pixel, then residual blocks over the patch.

**Source:** Zhong, Li, Luo and Chapman 2018, doi 10.1109/TGRS.2017.2755542, and zilongzhong/SSRN.
**Differs:** 20 principal components and patches of 9 instead of all bands and patches of 7; AdamW with a schedule on
batches of 32, patches flipped and turned at random, instead of RMSprop at a rate of 0.0003 on batches of 16; the last
weights instead of those of the least validation loss, so that validation labels serve tuning only. Chosen on validation
pixels of Indian Pines (random splits 900 and 901, recalls weighted by the sizes of the classes): 84 % right at 10
labels per class, 93 % at 30 (without the two classes that have no 30; split 900). All bands, patches of 7 and 200 steps
of 16 gave 75 % at 10, in twice the time.
**Cost:** about 13 million multiplications per patch of every step; a scene's spectra are mapped once per pixel,
not once per patch. A fit takes some 20 s on one core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._supervised import SupervisedMethod
from hsicl_core.networks.ssrn import SSRN


@dataclass(frozen=True, kw_only=True)
class SpectralSpatialResidualNetwork(SupervisedMethod):
    """The spectral-spatial residual network."""

    n_components: int | None = 20
    steps: int = 400
    learning_rate: float = 3e-3

    smallest_patch: ClassVar[int] = 3
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "learning_rate": (1e-3, 3e-3),
        "steps": (200, 400),
        "patch_size": (7, 9),
    }

    def make_network(self, n_channels: int) -> SSRN:
        """Return the network. See the base class."""
        return SSRN(n_channels, self.patch_size)
