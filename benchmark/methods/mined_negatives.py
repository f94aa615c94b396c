"""Ours: pseudolabels from clustering eliminate false negatives, a mixture of hard and easy ones drives the loss.

**Source:** Liu et al. 2024, IEEE TGRS 62, doi 10.1109/TGRS.2024.3491074 (abstract; the text is not public).
**Differs:** pseudolabels come from clustering instead of a classifier, no label enters; encoder, views, budget and
hardness (cosine of the current embeddings) are ours.
**Cost:** that of NT-Xent plus one sort of the similarities per step and one clustering per scene, K and seed.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.methods._labelling import LabellingMethod


@dataclass(frozen=True, kw_only=True)
class MinedNegatives(LabellingMethod):
    """Contrastive pretraining with negatives mined by clustering; the source may see no label."""

    pseudolabels: str = "k_means"
