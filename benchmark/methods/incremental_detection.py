"""Incremental false-negative detection: clusters of learned embeddings, trusted more and more as training goes on.

Source: Chen et al. 2022, arXiv 2106.03719.
Differs: one clustering by k-means instead of a hierarchy, every ``refresh_epochs``; confidence is the margin between
the two nearest centres; encoder, views, temperature and budget are those of ours. See the miner of the same name.
Cost: that of NT-Xent plus a dense embedding and a clustering per refresh.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods.mined_negatives import MinedNegatives
from hsicl_core.errors import InvalidValueError
from hsicl_core.miners.incremental_detection import IncrementalDetectionMiner


@dataclass(frozen=True, kw_only=True)
class IncrementalDetection(MinedNegatives):
    """Elimination among the surest pseudolabels; all remaining candidates are negatives unless a budget is given.

    Attributes:
        accepted_start: share of the pseudolabels that are trusted at the start, 0..1.
        accepted_end: the same at the end.
    """

    n_negatives: int | None = None
    features: str = "embeddings"
    refresh_epochs: float | None = 0.25
    accepted_start: float = 0.0
    accepted_end: float = 1.0

    kind: ClassVar[str] = "self_supervised"
    protocols: ClassVar[tuple[str, ...]] = ("linear",)
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"temperature": (0.1, 0.2, 0.5), "n_clusters": (16, 64)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.elimination != "hard":
            raise InvalidValueError(
                f"incremental_detection eliminates by trust alone, got elimination={self.elimination!r}: use 'hard'"
            )

    def make_miner(self) -> IncrementalDetectionMiner:
        """Return the miner of the surest."""
        return IncrementalDetectionMiner(
            accepted_start=self.accepted_start, accepted_end=self.accepted_end, **self.mixture_options()
        )
