"""The one contrastive training loop: gather, draw views, embed, compare once, mine, step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from hsicl_core.checks import check_choice, check_integer, check_number
from hsicl_core.encoder import Encoder
from hsicl_core.losses.base import ContrastiveLoss
from hsicl_core.mined_contrastive import cosine_similarity
from hsicl_core.miners.base import NegativeMiner
from hsicl_core.observing import Observer
from hsicl_core.patches import PatchSource
from hsicl_core.views.base import View

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


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is learnt: the views, the negatives and the loss.

    Attributes:
        views: applied in order, with fresh draws for each of the two views.
        miner: chooses the negatives.
        loss: scores the similarities under the miner's mask.
    """

    views: Sequence[View] = field(default_factory=tuple)
    miner: NegativeMiner
    loss: ContrastiveLoss


def pretrain(
    encoder: Encoder, head: nn.Module, source: PatchSource, pixels: Tensor, pseudo_labels: Tensor, *,
    objective: Objective, training: Training, generator: torch.Generator, observer: Observer,
) -> list[tuple[str, int, float]]:  # fmt: skip
    """Train ``encoder`` and ``head`` in place; afterwards the encoder is in evaluation mode.

    Args:
        encoder: on the device of ``source``.
        head: maps embeddings to the space of the loss.
        source: patches of the scene.
        pixels: (n,) flat indices that batches are drawn from, each once an epoch.
        pseudo_labels: (n,) int64 of these pixels, -1 = unassigned.
        objective: views, miner and loss.
        training: steps, batch and optimiser.
        generator: source of every draw, on the device of ``source``.
        observer: shown the mask of the steps it wants.

    Returns:
        Points (name, step, value) of the loss.

    Raises:
        NonFiniteLossError: the loss became infinite or NaN.
    """
    parameters = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=training.learning_rate, weight_decay=training.weight_decay, fused=True)
    autocast = torch.autocast(pixels.device.type, torch.bfloat16, enabled=training.precision == "bfloat16")
    batches = _batches(len(pixels), training.batch_size, generator)
    curve = []
    encoder.train()
    head.train()
    for step in range(training.steps):
        batch = next(batches)
        patches = source.gather(pixels[batch])
        both = torch.cat([_draw_view(patches, objective.views, generator) for _ in range(2)])
        with autocast:
            z = head(encoder(both))
        similarity = cosine_similarity(*z.float().chunk(2))
        mask = objective.miner.mine(similarity.detach(), pseudo_labels[batch], generator)
        loss = objective.loss(similarity, mask)
        if step % _CHECK_EVERY == 0 or step == training.steps - 1:
            curve.append(("loss", step, _finite(loss, step)))
        if observer.wants(step):
            observer.saw_mask(step, pixels[batch], mask)
        for group in optimizer.param_groups:
            group["lr"] = training.rate_at(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, training.clip_norm)
        optimizer.step()
    encoder.eval()
    head.eval()
    return curve


def _batches(n: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield index batches without end: every index once an epoch, all batches of the same size."""
    size = min(n, batch_size)
    while True:
        order = torch.randperm(n, generator=generator, device=generator.device)
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]


def _draw_view(patches: Tensor, views: Sequence[View], generator: torch.Generator) -> Tensor:
    for view in views:
        patches = view(patches, generator)
    return patches


def _finite(loss: Tensor, step: int) -> float:
    value = loss.item()
    if not math.isfinite(value):
        raise NonFiniteLossError(
            f"the loss is {value} at step {step}, it must stay finite: lower the learning rate or raise the temperature"
        )
    return value
