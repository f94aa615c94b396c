"""SSFTT, a convolution over bands and pixels, a few learnt tokens and one attention block, trained on the labels alone.

**Source:** Sun, Zhao, Zheng and Wu 2022, doi 10.1109/TGRS.2022.3144158: 30 principal components, 4 tokens, a learning
rate of 0.001; layers as the authors' code has them, see ``hsicl_core.networks.ssftt``.
**Differs:** patches of 9, what a split guards, instead of 13; components keep their proportions: whitened as in the
authors' code, they were worse on validation; 300 steps of 32 patches, turned and flipped at random, with the optimiser
and schedule of all supervised entrants, instead of 100 epochs of Adam at a constant rate. Defaults were chosen on
validation pixels of Indian Pines.
**Cost:** 300 steps on 32 patches and a pass over all: 4 million multiplications per patch of 9 x 9 pixels and 30
components; about 10 s for Indian Pines on one core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._supervised import SupervisedMethod
from hsicl_core.checks import check_integer
from hsicl_core.networks.ssftt import SSFTT


@dataclass(frozen=True, kw_only=True)
class SSFTTMethod(SupervisedMethod):
    """The spectral-spatial feature tokenization transformer.

    Attributes:
        n_tokens: tokens that the pixels of a patch are gathered in.
    """

    n_tokens: int = 4

    smallest_patch: ClassVar[int] = 5
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "n_components": (15, 30), "patch_size": (7, 9), "learning_rate": (1e-3, 3e-3),
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("n_tokens", self.n_tokens, minimum=1)

    def make_network(self, n_channels: int) -> SSFTT:
        """Return the network. See the base class."""
        return SSFTT(n_channels, self.patch_size, self.n_tokens)
