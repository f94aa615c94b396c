"""Contrast: the contrastive side of one training, from the embeddings of a step to its loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hsicl_core.encoder import Encoder
from hsicl_core.label_matching import match_labels
from hsicl_core.memory_bank import MemoryBank
from hsicl_core.miners.base import Candidates, Mask
from hsicl_core.objective import Labelling, Objective
from hsicl_core.patches import PatchSource
from hsicl_core.prototypes import Prototypes, find_prototypes
from hsicl_core.rows import chosen
from hsicl_core.view_pairs import ViewPairs


class Contrast:
    """Pseudolabels, memory bank, prototypes and hardness of one training; everything but encoder and optimiser.

    Args:
        objective: views, miner, loss, hardness.
        labelling: pseudolabels of ``pixels``.
        source: patches of the scene.
        pixels: (n,) int64 flat indices; a sample is an index into them.
        encoder: what is trained.
        head: what is trained.
    """

    def __init__(
        self, objective: Objective, labelling: Labelling, source: PatchSource, pixels: Tensor, encoder: Encoder,
        head: nn.Module,
    ) -> None:  # fmt: skip
        self._objective = objective
        self._labelling = labelling
        self._source = source
        self._pixels = pixels
        self.labels = labelling.labels
        known = labelling.confidence
        self.confidence = torch.ones(len(pixels), device=pixels.device) if known is None else known
        self._bank = MemoryBank(objective.bank_size)
        self._centres: tuple[Tensor, Tensor, Tensor] | None = None
        self._pairs = ViewPairs(objective.views, source, pixels)
        objective.hardness.begin(encoder, head, objective.vectors)
        if objective.loss.needs_prototypes and bool((self.labels >= 0).any()):
            self._find_prototypes(self._embed(encoder), head)

    def draw_views(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """Return (2 * batch, channels, size, size) patches of two views of the samples (batch,)."""
        return self._pairs.draw(samples, generator)

    def loss(
        self, z: Tensor, views: Tensor, samples: Tensor, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, Candidates, Mask]:
        """Return the loss of a step, and the candidates and the mask that it was made from.

        Args:
            z: (2 * batch, dim) projections of both views, not yet normalised.
            views: (2 * batch, channels, size, size) the views.
            samples: (batch,) int64.
            progress: share of the training that is done, 0..1.
            generator: source of all draws.
        """
        objective = self._objective
        z = F.normalize(z.float(), dim=1)
        rows = samples.repeat(2)
        detached = z.detach()
        keys = objective.hardness.keys(detached, views, self._pixels[rows])
        all_z, all_keys, columns = self._bank.join(z, keys, rows)
        similarity = z @ all_z.T
        candidates = Candidates(
            similarity=similarity.detach(),
            samples=columns,
            pseudo_labels=self.labels[columns],
            confidence=self.confidence[columns],
            # Where the embeddings are the keys, the product is at hand.
            hardness=similarity.detach() if keys is detached else keys @ all_keys.T,
            progress=progress,
        )
        mask = objective.miner.mine(candidates, generator)
        self._bank.push(detached, keys, rows)
        score: Callable[..., Tensor] = objective.loss
        given = {"prototypes": self._compare(z, rows)} if objective.loss.needs_prototypes else {}
        return score(similarity, mask, **given), candidates, mask

    def refresh(self, encoder: Encoder, head: nn.Module) -> bool:
        """Make pseudolabels and prototypes anew from the embeddings as they are; return whether labels are new."""
        relabel = self._labelling.relabel
        if relabel is None and not self._objective.loss.needs_prototypes:
            return False
        embedding = self._embed(encoder)
        if relabel is not None:
            labels, self.confidence = relabel(embedding)
            self.labels = match_labels(labels, self.labels)
        if self._objective.loss.needs_prototypes:
            self._find_prototypes(embedding, head)
        return relabel is not None

    def after_step(self, encoder: Encoder, head: nn.Module) -> None:
        """Take notice that an optimiser step has been made."""
        self._objective.hardness.after_step(encoder, head)

    def _embed(self, encoder: Encoder) -> Tensor:
        return chosen(encoder.embed_scene(self._source.image).flatten(0, 1), self._pixels)

    @torch.no_grad()
    def _find_prototypes(self, embedding: Tensor, head: nn.Module) -> None:
        groups = torch.full_like(self.labels, -1)
        known = self.labels >= 0
        groups[known] = self.labels[known].unique(return_inverse=True)[1]
        centres, concentration = find_prototypes(F.normalize(head(embedding).float(), dim=1), groups)
        self._centres = centres, concentration, groups

    def _compare(self, z: Tensor, rows: Tensor) -> Prototypes | None:
        if self._centres is None:
            return None
        centres, concentration, groups = self._centres
        return Prototypes(similarity=z @ centres.T, own=groups[rows], concentration=concentration)
