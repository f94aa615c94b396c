"""Ours, joint: the mined contrastive loss and cross-entropy on the labelled pixels are learnt together.

**Source:** lambda * contrastive + (1 - lambda) * cross-entropy with lambda = 0.1, as in
chenning0115/hyperclassification, earlier public code of the research group of Liu et al. 2024,
doi 10.1109/TGRS.2024.3491074.
**Differs:** pseudolabels eliminate instead of attract and come from ``few_label_classifier`` on fixed features (with
``refresh_epochs`` on the learned ones); no stage of cross-entropy alone comes before; contrasted pixels are drawn from
all of ``pixels``.
**Cost:** that of ``mined_few_label`` plus the labelled patches of every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods._contrastive import Networks, labelled_pixels
from benchmark.methods._labelling import LabellingMethod
from benchmark.methods.base import FitData
from hsicl_core.checks import check_integer, check_number
from hsicl_core.objective import Supervision


@dataclass(frozen=True, kw_only=True)
class MinedJoint(LabellingMethod):
    """Mined negatives and labels at the same time; nothing but the training labels is seen.

    Attributes:
        contrastive_weight: lambda, 0..1; with 0 only labels are learnt from, though batch normalisation sees the rest.
        labelled_batch_size: labelled pixels per step, >= 1, all where there are fewer.
    """

    pseudolabels: str = "few_label_classifier"
    contrastive_weight: float = 0.1
    labelled_batch_size: int = 64

    kind: ClassVar[str] = "ours"
    protocols: ClassVar[tuple[str, ...]] = ("own_classifier",)
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "temperature": (0.1, 0.2, 0.5),
        "contrastive_weight": (0.1, 0.5),
    }
    sees_labels: ClassVar[str] = "train"
    classifies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("contrastive_weight", self.contrastive_weight, minimum=0, maximum=1)
        check_integer("labelled_batch_size", self.labelled_batch_size, minimum=1)

    def supervise(self, data: FitData, networks: Networks) -> Supervision:
        """Return the training pixels and their labels."""
        pixels, labels = labelled_pixels(data)
        assert networks.classifier is not None
        return Supervision(
            classifier=networks.classifier, pixels=pixels, labels=labels,
            contrastive_weight=self.contrastive_weight, batch_size=self.labelled_batch_size,
        )  # fmt: skip
