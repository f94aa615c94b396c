"""Ours, semisupervised: pseudolabels from a classifier on the few labelled training pixels eliminate false negatives.

**Source:** Liu et al. 2024, IEEE TGRS 62, doi 10.1109/TGRS.2024.3491074 (abstract and keyword "semisupervised
learning"; the text is not public), read with earlier public code of the group, see ``few_label_classifier``.
**Differs:** the classifier is a logistic regression on smoothed components instead of a network warmed up by
cross-entropy; encoder, views, budget and hardness are ours.
**Cost:** that of NT-Xent plus one sort of the similarities per step and one regression per split; splits share no fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._labelling import LabellingMethod


@dataclass(frozen=True, kw_only=True)
class MinedFewLabel(LabellingMethod):
    """Contrastive pretraining with negatives mined by what the training labels teach; no other label is seen."""

    pseudolabels: str = "few_label_classifier"

    sees_labels: ClassVar[str] = "train"
    kind: ClassVar[str] = "ours"
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"temperature": (0.1, 0.2, 0.5), "n_negatives": (128, None)}
