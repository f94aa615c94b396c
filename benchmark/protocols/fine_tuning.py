"""Fine-tuning: a linear classifier and the encoder under it are trained on the labelled pixels.

Source: Chen et al. 2020, arXiv 2002.05709, app. B.5.
Differs: views, optimiser and schedule are those of the method's pretraining; the learning rate is chosen on validation;
batch normalisation keeps learning its statistics, from the labelled patches. The number of steps is fixed.
Cost: for every learning rate, ``steps`` forward and backward passes of the training patches and one dense pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import softmax

from benchmark.protocols.base import Chosen, Floats, Labels, Network, Protocol, best_on_validation
from hsicl_core.checks import check_integer, check_number
from hsicl_core.training import NonFiniteLossError


@dataclass(frozen=True, kw_only=True)
class FineTuning(Protocol):
    """Cross-entropy through a copy of the pretrained network; its confidence is the largest of the scores' softmax.

    Attributes:
        learning_rates: peaks of the schedule to choose from, in order of preference on a tie, > 0.
        steps: optimiser steps, >= 1.
    """

    learning_rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    steps: int = 100

    reads: ClassVar[str] = "network"

    def __post_init__(self) -> None:
        check_integer("steps", self.steps, minimum=1)
        for rate in self.learning_rates:
            check_number("learning_rates", rate, above=0)

    def prepare(self, read: Network, pixels: Labels) -> Labels:
        """Return every pixel's index, which stands for its patch, and remember the network."""
        # No field: fields are parameters, and part of a trial's identity.
        self.__dict__["_network"] = read
        return np.arange(read.n_pixels)

    def choose(self, train_x: Labels, train_y: Labels, val_x: Labels, val_y: Labels) -> Chosen:
        """Return the network of the best learning rate. See the base class; x are pixels here.

        Raises:
            NonFiniteLossError: training diverged at every rate.
        """
        network: Network = self.__dict__["_network"]
        candidates: list[Chosen] = []
        for rate in self.learning_rates:
            try:
                scores = network.fine_tune(train_x, train_y, self.steps, rate)
            except NonFiniteLossError:
                # A rate that is too high for this network is no candidate.
                if not candidates and rate == self.learning_rates[-1]:
                    raise
                continue
            candidates.append(_classifier(scores, rate))
        return best_on_validation(candidates, val_x, val_y)


def _classifier(scores: Floats, rate: float) -> Chosen:
    return Chosen(
        predict=lambda pixels: scores[pixels].argmax(axis=1),
        parameters={"learning_rate": rate},
        confidence=lambda pixels: softmax(scores[pixels], axis=1).max(axis=1).astype(np.float32),
    )
