"""The contrastive training loop for a pack: every step of all members in one set of kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from hsicl_core.contrast import Contrast
from hsicl_core.encoder import Encoder, ProjectionHead
from hsicl_core.errors import InvalidValueError
from hsicl_core.fused.mined import StackedMinedLoss, is_stackable
from hsicl_core.fused.networks import StackedNetworks
from hsicl_core.fused.steps import StackedSteps
from hsicl_core.fused.views import StackedViews
from hsicl_core.objective import Labelling, Objective
from hsicl_core.observing import Observer
from hsicl_core.patches import PatchSource
from hsicl_core.pretraining import refresh_steps
from hsicl_core.training import NonFiniteLossError, Training, batches, check_finite

# What training of several members must have in common.
_COMMON = ("steps", "batch_size", "precision")


def always(step: int, loss: float) -> bool:
    """Return True: for members that train to the end."""
    return True


@dataclass(kw_only=True)
class Member:
    """One training of a pack. See ``hsicl_core.pretraining.pretrain`` for what is not said here.

    Attributes:
        encoder: trained in place; afterwards in evaluation mode, whatever became of the training.
        head: trained in place.
        pixels: (n,) flat indices that batches are drawn from.
        labelling: pseudolabels of these pixels.
        objective: its views have the types and options of the other members' views; all else may differ.
        training: as many steps, as large batches and the same precision as the other members.
        generator: source of every draw of this member.
        observer: is told of this member.
        wants_more: asked with the step and the loss whenever losses are read, at every tenth step; False ends this
            member's training there.
        curve: points (name, step, value) of the losses, filled in while training.
        error: what ended the training, None where nothing did.
    """

    encoder: Encoder
    head: ProjectionHead
    pixels: Tensor
    labelling: Labelling
    objective: Objective
    training: Training
    generator: torch.Generator
    observer: Observer
    wants_more: Callable[[int, float], bool] = always
    curve: list[tuple[str, int, float]] = field(default_factory=list)
    error: NonFiniteLossError | None = None


def pretrain_together(members: Sequence[Member], source: PatchSource) -> None:
    """Train all members in place, as ``pretrain`` trains each of them alone.

    A member's batches, views and first pseudolabels are bit for bit those that it has alone. Its losses and weights
    differ from those of a training alone by sums in another order, as they do from pack to pack: by about 1e-6 of the
    loss after 20 steps, and by more the longer the training, because rounding grows in any training. A member whose
    loss becomes infinite or NaN gets its ``error`` and leaves, as does one that ``wants_more`` stops; the others go on.

    Args:
        members: at least one. Encoders are ``Encoder`` and heads ``ProjectionHead``, of equal shape.
        source: patches of the scene, for all of them.

    Raises:
        InvalidValueError: trainings, numbers of pixels in a batch or views that do not go together.
    """
    _check(members)
    for member in members:
        member.encoder.train()
        member.head.train()
    try:
        _Pack(members, source).run()
    finally:
        for member in members:
            member.encoder.eval()
            member.head.eval()


def _check(members: Sequence[Member]) -> None:
    first = members[0]
    for member in members:
        for name in _COMMON:
            own, common = getattr(member.training, name), getattr(first.training, name)
            if own != common:
                raise InvalidValueError(f"members of a pack must share {name}, got {common!r} and {own!r}")
        sizes = {min(len(each.pixels), each.training.batch_size) for each in (first, member)}
        if len(sizes) > 1:
            raise InvalidValueError(f"members of a pack must draw equal batches, got {sorted(sizes)} pixels")
        views = [[(type(view), vars(view)) for view in each.objective.views] for each in (first, member)]
        if views[0] != views[1]:
            raise InvalidValueError(f"members of a pack must share views, got {views[0]} and {views[1]}")


class _Pack:
    """The members that are still in training, and all that is stacked of them."""

    def __init__(self, members: Sequence[Member], source: PatchSource) -> None:
        self._members = list(members)
        self._source = source
        self._device = source.image.device
        self._contrasts = [
            Contrast(member.objective, member.labelling, source, member.pixels, member.encoder, member.head)
            for member in members
        ]
        self._batches = [
            batches(len(member.pixels), member.training.batch_size, member.generator) for member in members
        ]
        self._networks = StackedNetworks(
            [member.encoder for member in members], [member.head for member in members]
        )  # fmt: skip
        self._steps = StackedSteps([member.training for member in members], self._networks)
        self._arrange()

    def run(self) -> None:
        """Train until the last step, or until nobody is left."""
        for member, contrast in zip(self._members, self._contrasts, strict=True):
            member.observer.saw_pseudo_labels(0, member.pixels, contrast.labels)
        training = self._members[0].training
        for step in range(training.steps):
            self._refresh(step)
            samples = torch.stack([next(drawn) for drawn in self._batches])
            views = self._views.draw(samples)
            with training.autocast(self._device):
                z = self._networks(views)
            losses = self._losses(z, views, samples, step)
            self._steps.take(step, losses.sum())
            for member, contrast in zip(self._members, self._contrasts, strict=True):
                contrast.after_step(member.encoder, member.head)
            if training.is_watched(step):
                self._let_go(step, losses.tolist())
            if not self._members:
                return
        self._networks.release()

    def _arrange(self) -> None:
        """Lay out anew what depends on who is in the pack."""
        members = self._members
        self._views = StackedViews(
            members[0].objective.views, self._source, [member.pixels for member in members],
            [member.generator for member in members],
        )  # fmt: skip
        objectives = [member.objective for member in members]
        self._mined = StackedMinedLoss(objectives, self._device) if all(map(is_stackable, objectives)) else None
        self._lay_labels()

    def _lay_labels(self) -> None:
        self._labels = torch.cat([contrast.labels for contrast in self._contrasts])

    def _refresh(self, step: int) -> None:
        for member, contrast in zip(self._members, self._contrasts, strict=True):
            every = refresh_steps(member.labelling, member.training, len(member.pixels))
            if step and step % every == 0 and contrast.refresh(member.encoder, member.head):
                member.observer.saw_pseudo_labels(step, member.pixels, contrast.labels)
                self._lay_labels()

    def _losses(self, z: Tensor, views: Tensor, samples: Tensor, step: int) -> Tensor:
        """Return (M,) losses of a step; what an observer wants to see is computed for its member alone."""
        progress = step / self._members[0].training.steps
        is_watched = any(member.observer.wants(step) for member in self._members)
        if self._mined is not None and not is_watched:
            labels = self._labels[self._views.rows(samples)]
            return self._mined(F.normalize(z.float(), dim=2), samples, labels, progress)
        losses = []
        for place, of_member in enumerate(views.chunk(len(self._members))):
            member = self._members[place]
            loss, candidates, mask = self._contrasts[place].loss(
                z[place], of_member, samples[place], progress, member.generator
            )
            if member.observer.wants(step):
                member.observer.saw_step(step, member.pixels, candidates, mask, member.objective.loss.temperature)
            losses.append(loss)
        return torch.stack(losses)

    def _let_go(self, step: int, losses: Sequence[float]) -> None:
        """Note the losses, and go on without those that diverged or are stopped."""
        stays = []
        for place, (member, loss) in enumerate(zip(self._members, losses, strict=True)):
            try:
                member.curve.append(("loss", step, check_finite(loss, step)))
            except NonFiniteLossError as error:
                member.error = error
            else:
                if member.wants_more(step, loss):
                    stays.append(place)
        if len(stays) == len(self._members):
            return
        self._members = [self._members[place] for place in stays]
        self._contrasts = [self._contrasts[place] for place in stays]
        self._batches = [self._batches[place] for place in stays]
        self._networks.keep(stays)
        if stays:
            self._steps.keep(stays)
            self._arrange()
