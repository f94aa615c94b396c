"""The one training loop of label-free objectives without a mask: gather, draw views, score, step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hsicl_core.patches import PatchSource
from hsicl_core.self_supervised.base import SelfSupervisedObjective
from hsicl_core.training import Steps, Training, batches, finite
from hsicl_core.view_pairs import ViewPairs
from hsicl_core.views.base import View


def pretrain_objective(
    objective: SelfSupervisedObjective, source: PatchSource, pixels: Tensor, *, views: Sequence[View],
    training: Training, generator: torch.Generator,
) -> list[tuple[str, int, float]]:  # fmt: skip
    """Train ``objective`` with its encoder in place; afterwards all of it is in evaluation mode.

    Args:
        objective: encoder and loss, on the device of ``source``.
        source: patches of the scene.
        pixels: (n,) int64 flat indices that batches are drawn from, each at most once an epoch.
        views: applied in order, with fresh draws for each of the two views.
        training: steps, batch and optimiser.
        generator: source of every draw, on the device of ``source``.

    Returns:
        Points ("loss", step, value).

    Raises:
        NonFiniteLossError: the loss became infinite or NaN.
    """
    steps = Steps(training, objective)
    pairs = ViewPairs(views, source, pixels)
    drawn = batches(len(pixels), training.batch_size, generator)
    curve = []
    objective.train()
    for step in range(training.steps):
        progress = step / training.steps
        first, second = pairs.draw(next(drawn), generator).chunk(2)
        with training.autocast(pixels.device):
            loss = objective.loss(first, second, progress=progress, generator=generator)
        if steps.is_watched(step):
            curve.append(("loss", step, finite(loss, step)))
        steps.take(step, loss)
        objective.after_step(progress)
    objective.eval()
    return curve
