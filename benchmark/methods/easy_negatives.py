"""Only the easiest negatives: of all other samples the few least similar ones, without pseudolabels.

**Source:** the "InfoNCE-Easy" of the public repository Hj006/N-SSMCL (2025): the 5 least similar candidates at
temperature 1; its function is named after hard negatives. Cai et al. 2020, arXiv 2010.06682, find the easiest 95%
neither necessary nor sufficient.
**Differs:** encoder, views and batch are those of NT-Xent, so that only the negatives differ; no neighbour pixel as
positive, no swapped bands, and 64 dimensions of the projection instead of 8.
**Cost:** that of NT-Xent plus one sort of the similarities per step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods.nt_xent import NTXent
from hsicl_core.checks import check_integer
from hsicl_core.miners.base import NegativeMiner
from hsicl_core.miners.mixture import MixtureMiner


@dataclass(frozen=True, kw_only=True)
class EasyNegatives(NTXent):
    """The least similar candidates, whatever they are.

    Attributes:
        n_negatives: negatives per anchor, >= 1.
    """

    temperature: float = 1.0
    n_negatives: int = 5

    protocols: ClassVar[tuple[str, ...]] = ("linear",)
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "temperature": (0.1, 0.5, 1.0),
        "n_negatives": (5, 32, 128),
    }

    def __post_init__(self) -> None:
        check_integer("n_negatives", self.n_negatives, minimum=1)
        super().__post_init__()

    def make_miner(self) -> NegativeMiner:
        """Return the miner of the easiest."""
        return MixtureMiner(elimination="off", hard_fraction=0.0, n_negatives=self.n_negatives)
