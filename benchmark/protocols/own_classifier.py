"""The method's own classifier: the class of the highest score, nothing fitted and nothing chosen.

Source: the usual evaluation of networks trained with labels.
Differs: nothing; only methods that classify can be scored so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scipy.special import softmax

from benchmark.protocols.base import Chosen, Floats, Labels, Protocol, largest


@dataclass(frozen=True, kw_only=True)
class OwnClassifier(Protocol):
    """Argmax of the class scores; its confidence is the largest of their softmax."""

    reads: ClassVar[str] = "scores"

    def choose(self, train_x: Floats, train_y: Labels, val_x: Floats, val_y: Labels) -> Chosen:
        """Return the argmax. See the base class."""
        return Chosen(lambda scores: scores.argmax(axis=1), {}, largest(lambda scores: softmax(scores, axis=1)))
