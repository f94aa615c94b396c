"""The floor: every pixel is of the class that most of the training pixels are of.

**Source:** the usual baseline that ignores its input.
**Differs:** nothing. With equal budgets per class all classes tie, and the first one is predicted everywhere.
**Cost:** one count of the training labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from benchmark.methods._contrastive import labelled_pixels
from benchmark.methods.base import Fit, FitData, Method
from hsicl_core.preprocessing import standardize
from hsicl_core.rows import whole


@dataclass(frozen=True, kw_only=True)
class MajorityClass(Method):
    """Scores are the logarithms of the classes' shares of the training pixels, the same for every pixel.

    So their softmax, which is the confidence under ``own_classifier``, is the share itself. A method has an embedding
    too: here the standardised spectra, which the scores ignore.
    """

    kind: ClassVar[str] = "trivial"
    gains_from_gpu: ClassVar[bool] = False
    protocols: ClassVar[tuple[str, ...]] = ("own_classifier",)
    sees_labels: ClassVar[str] = "train"
    classifies: ClassVar[bool] = True

    def fit(self, data: FitData) -> Fit:
        """Count the training labels."""
        _, labels = labelled_pixels(data)
        shares = torch.bincount(labels).float() / len(labels)
        # A class without a training pixel scores least, and not minus infinity.
        scores = shares.clamp(min=torch.finfo(torch.float32).tiny).log()

        def classify(embedding: Tensor) -> Tensor:
            return scores.expand(len(embedding), -1)

        return Fit(embed=lambda: whole(standardize(data.cube, data.pixels)).flatten(0, 1), classify=classify)
