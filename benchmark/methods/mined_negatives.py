"""Ours: pseudolabels from clustering eliminate false negatives, a mixture of hard and easy ones drives the loss.

**Source:** Liu et al. 2024, IEEE TGRS 62, doi 10.1109/TGRS.2024.3491074 (abstract; the text is not public).
**Differs:** pseudolabels come from clustering instead of a classifier, no label enters; encoder, views, budget and
hardness (cosine of the current embeddings) are ours.
**Cost:** that of NT-Xent plus one sort of the similarities per step and one clustering per scene, K and seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._labelling import LabellingMethod


@dataclass(frozen=True, kw_only=True)
class MinedNegatives(LabellingMethod):
    """Contrastive pretraining with negatives mined by clustering; the source may see no label."""

    pseudolabels: str = "k_means"

    kind: ClassVar[str] = "ours"
    protocols: ClassVar[tuple[str, ...]] = ("linear", "fine_tuning")
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "temperature": (0.1, 0.2, 0.5),
        "n_clusters": (16, 64),
        "features": ("whitened_pca", "pca"),
    }
