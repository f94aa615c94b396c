"""Fine-tuning: cross-entropy on the labelled pixels, through a pretrained encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hsicl_core.patches import PatchSource
from hsicl_core.rows import empty
from hsicl_core.training import Steps, Training, batches, finite
from hsicl_core.views.base import View, apply_views


def fine_tune(
    encoder: nn.Module, classifier: nn.Module, source: PatchSource, pixels: Tensor, labels: Tensor, *,
    views: Sequence[View], training: Training, generator: torch.Generator,
) -> list[tuple[str, int, float]]:  # fmt: skip
    """Train ``encoder`` and ``classifier`` in place; afterwards they are in evaluation mode.

    Args:
        encoder: from patches to embeddings, pretrained or not, on the device of ``source``.
        classifier: maps embeddings to class scores.
        source: patches of the scene.
        pixels: (m,) int64 flat indices of labelled pixels.
        labels: (m,) int64 class indices >= 0.
        views: applied in order to every batch.
        training: steps, batch and optimiser; a batch is at most all labelled pixels.
        generator: source of every draw.

    Returns:
        Points ("fine_tuning_loss", step, value).

    Raises:
        NonFiniteLossError: the loss became infinite or NaN.

    Source: the semi-supervised fine-tuning of Chen et al. 2020, arXiv 2002.05709. Differs: optimiser and schedule are
    those of the pretraining; batch normalisation keeps learning its statistics, from the labelled patches.
    Cost: a forward and backward pass of the batch per step.
    """
    steps = Steps(training, encoder, classifier)
    drawn = batches(len(pixels), training.batch_size, generator)
    curve = []
    encoder.train()
    classifier.train()
    for step in range(training.steps):
        samples = next(drawn)
        # Batch normalisation cannot learn from one value: a single patch is taken twice.
        samples = samples.repeat(2) if len(samples) == 1 else samples
        patches = apply_views(views, source.gather(pixels[samples]), generator)
        with training.autocast(pixels.device):
            embedding = encoder(patches)
        loss = F.cross_entropy(classifier(embedding.float()), labels[samples])
        if steps.is_watched(step):
            curve.append(("fine_tuning_loss", step, finite(loss, step)))
        steps.take(step, loss)
    encoder.eval()
    classifier.eval()
    return curve


@torch.no_grad()
def class_scores(classifier: nn.Module, embedding: Tensor, batch_size: int = 2**18) -> Tensor:
    """Return (n, n_classes) scores of the embedding (n, dim), ``batch_size`` rows at a time.

    Large ones lie in a scratch file (``hsicl_core.rows.empty``).
    """
    first = classifier(embedding[:batch_size])
    if len(first) == len(embedding):
        return first
    out = empty(len(embedding), first.shape[1], device=embedding.device)
    for start in range(0, len(embedding), batch_size):
        out[start : start + batch_size] = classifier(embedding[start : start + batch_size])
    return out
