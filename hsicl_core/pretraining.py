"""The one contrastive training loop: gather, draw views, embed, compare once, mine, step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hsicl_core.contrast import Contrast
from hsicl_core.encoder import Encoder
from hsicl_core.objective import Labelling, Objective, Supervision
from hsicl_core.observing import Observer
from hsicl_core.patches import PatchSource
from hsicl_core.training import Steps, Training, batches, finite
from hsicl_core.views.base import apply_views


def pretrain(
    encoder: Encoder, head: nn.Module, source: PatchSource, pixels: Tensor, labelling: Labelling, *,
    objective: Objective, training: Training, generator: torch.Generator, observer: Observer,
    supervision: Supervision | None = None,
) -> list[tuple[str, int, float]]:  # fmt: skip
    """Train ``encoder`` and ``head`` in place; afterwards they are in evaluation mode.

    Args:
        encoder: on the device of ``source``.
        head: maps embeddings to the space of the loss.
        source: patches of the scene.
        pixels: (n,) flat indices that batches are drawn from, each at most once an epoch.
        labelling: pseudolabels of these pixels, and how they are made anew.
        objective: views, miner, loss and what they compare.
        training: steps, batch and optimiser.
        generator: source of every draw, on the device of ``source``.
        observer: shown the pseudolabels, and the candidates and mask of the steps it wants.
        supervision: labelled pixels to learn from at the same time; its classifier is trained too.

    Returns:
        Points (name, step, value) of the losses.

    Raises:
        NonFiniteLossError: the loss became infinite or NaN.
    """
    modules = [encoder, head] if supervision is None else [encoder, head, supervision.classifier]
    steps = Steps(training, *modules)
    contrast = Contrast(objective, labelling, source, pixels, encoder, head)
    observer.saw_pseudo_labels(0, pixels, contrast.labels)
    refresh_every = refresh_steps(labelling, training, len(pixels))
    drawn = batches(len(pixels), training.batch_size, generator)
    curve = []
    for module in modules:
        module.train()
    for step in range(training.steps):
        if step and step % refresh_every == 0 and contrast.refresh(encoder, head):
            observer.saw_pseudo_labels(step, pixels, contrast.labels)
        samples = next(drawn)
        views = contrast.draw_views(samples, generator)
        labelled = None if supervision is None else _draw_labelled(supervision, source, objective, generator)
        with training.autocast(pixels.device):
            embedding = encoder(views if labelled is None else torch.cat([views, labelled[0]]))
            z = head(embedding[: len(views)])
        loss, candidates, mask = contrast.loss(z, views, samples, step / training.steps, generator)
        losses = {"loss": loss}
        if supervision is not None and labelled is not None:
            scores = supervision.classifier(embedding[len(views) :].float())
            losses["cross_entropy"] = F.cross_entropy(scores, labelled[1])
            weight = supervision.contrastive_weight
            loss = weight * loss + (1 - weight) * losses["cross_entropy"]
        if steps.is_watched(step):
            curve += [(name, step, finite(value, step)) for name, value in losses.items()]
        if observer.wants(step):
            observer.saw_step(step, pixels, candidates, mask, objective.loss.temperature)
        steps.take(step, loss)
        contrast.after_step(encoder, head)
    for module in modules:
        module.eval()
    return curve


def refresh_steps(labelling: Labelling, training: Training, n_pixels: int) -> int:
    """Return the steps between two refreshes; where there are none, the steps of the training."""
    epochs = labelling.refresh_epochs
    return training.steps if epochs is None else training.steps_of(epochs, n_pixels)


def _draw_labelled(
    supervision: Supervision, source: PatchSource, objective: Objective, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return patches of labelled pixels, one view each, and their labels."""
    order = torch.randperm(len(supervision.pixels), generator=generator, device=generator.device)
    drawn = order[: supervision.batch_size]
    patches = apply_views(objective.views, source.gather(supervision.pixels[drawn]), generator)
    return patches, supervision.labels[drawn]
