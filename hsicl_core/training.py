"""How a training runs: its length, its rates, its batches, its precision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hsicl_core.checks import check_choice, check_integer, check_number

PRECISIONS = ("bfloat16", "float32")
# Reading a loss waits for the device, so it is read this often; a loss once non-finite stays so.
_CHECK_EVERY = 10


class NonFiniteLossError(ArithmeticError):
    """Training diverged; the message says at which step and what to change."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How long and how fast to train.

    Attributes:
        steps: optimiser steps, >= 1.
        batch_size: pixels per step, each seen as two views, >= 1.
        learning_rate: peak of the schedule, > 0: linear rise over the first tenth, then cosine to 0.
        weight_decay: AdamW's (arXiv 1711.05101), >= 0.
        clip_norm: largest norm of the gradient, > 0.
        precision: ``"float32"``, or ``"bfloat16"`` autocast of the encoder (faster on CUDA, slower on CPU); the loss
            is always float32.
    """

    steps: int
    batch_size: int
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    clip_norm: float = 5.0
    precision: str = "float32"

    def __post_init__(self) -> None:
        check_integer("steps", self.steps, minimum=1)
        check_integer("batch_size", self.batch_size, minimum=1)
        check_number("learning_rate", self.learning_rate, above=0)
        check_number("weight_decay", self.weight_decay, minimum=0)
        check_number("clip_norm", self.clip_norm, above=0)
        check_choice("precision", self.precision, PRECISIONS)

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step in 0..steps-1."""
        warm_up = max(1, self.steps // 10)
        if step < warm_up:
            return self.learning_rate * (step + 1) / warm_up
        progress = (step - warm_up) / max(1, self.steps - warm_up)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    def steps_of(self, epochs: float, n_pixels: int) -> int:
        """Return the steps, >= 1, that come nearest to so many epochs over ``n_pixels``."""
        return max(1, round(epochs * (n_pixels // min(n_pixels, self.batch_size))))

    def is_watched(self, step: int) -> bool:
        """Return whether the losses of a step are read."""
        return step % _CHECK_EVERY == 0 or step == self.steps - 1

    def autocast(self, device: torch.device) -> torch.autocast:
        """Return the context in which the encoder computes."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16")


class Steps:
    """The optimiser steps of a training.

    Args:
        training: rates and length.
        modules: what is trained.
    """

    def __init__(self, training: Training, *modules: nn.Module) -> None:
        self._training = training
        self._parameters = [parameter for module in modules for parameter in module.parameters()]
        self._optimizer = torch.optim.AdamW(
            self._parameters, lr=training.learning_rate, weight_decay=training.weight_decay, fused=True
        )

    def take(self, step: int, loss: Tensor) -> None:
        """Step down the gradient of ``loss``."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._training.rate_at(step)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, self._training.clip_norm)
        self._optimizer.step()

    def is_watched(self, step: int) -> bool:
        """Return whether the losses of a step are read."""
        return self._training.is_watched(step)


def batches(n: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield index batches without end, all of the same size: every index at most once an epoch.

    What does not fill a batch, up to ``batch_size`` - 1 of the indices, is left out of the epoch.
    """
    size = min(n, batch_size)
    while True:
        order = torch.randperm(n, generator=generator, device=generator.device)
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]


def finite(loss: Tensor, step: int) -> float:
    """Return the loss as a number. See ``check_finite``."""
    return check_finite(loss.item(), step)


def check_finite(value: float, step: int) -> float:
    """Return the loss of a step as it is.

    Raises:
        NonFiniteLossError: it is infinite or NaN.
    """
    if not math.isfinite(value):
        raise NonFiniteLossError(
            f"the loss is {value} at step {step}, it must stay finite: lower the learning rate or raise the temperature"
        )
    return value
