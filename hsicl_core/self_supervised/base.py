"""The contract of a label-free objective: two views of the same pixels in, a scalar loss out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from hsicl_core.encoder import Encoder


class SelfSupervisedObjective(nn.Module, ABC):
    """What an encoder is taught without labels or a mask of negatives; it holds what is trained beside the encoder.

    What requires a gradient is what the optimiser trains; all else (a slowly following copy, a queue) is kept up by
    ``after_step``. An objective is of one training only. Its first weights are drawn from torch's global stream.

    Args:
        encoder: what is kept after training; the submodule ``encoder``.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def loss(self, first: Tensor, second: Tensor, *, progress: float, generator: torch.Generator) -> Tensor:
        """Return the scalar float32 loss of a step, also where the networks compute in bfloat16.

        Args:
            first: (batch, channels, size, size) one view of every pixel, channels-last.
            second: (batch, channels, size, size) another view of the same pixels in the same order.
            progress: share of the training that is done, 0..1.
            generator: source of all draws, on the device of the views.
        """

    def after_step(self, progress: float) -> None:
        """Take notice that the optimiser has made a step; here nothing happens.

        Args:
            progress: that of the step's loss.
        """


def full_precision(tensor: Tensor) -> torch.autocast:
    """Return the context in which a loss is computed on the device of ``tensor``: float32 whatever is outside of it."""
    return torch.autocast(tensor.device.type, enabled=False)
