"""A step of training over the encoder's own arithmetic: what views, similarities, mining, loss and optimiser cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import torch

from benchmark.computing import in_threads
from benchmark.speed.claims.base import NOT_MEASURED, Bound, Claim, Row
from benchmark.speed.timing import alternate, ratio
from hsicl_core.encoder import Encoder, ProjectionHead
from hsicl_core.losses.mined_info_nce import MinedContrastiveLoss
from hsicl_core.miners.mixture import MixtureMiner
from hsicl_core.objective import Labelling, Objective
from hsicl_core.observing import SilentObserver
from hsicl_core.patches import PatchSource
from hsicl_core.pretraining import pretrain
from hsicl_core.training import Training
from hsicl_core.views.channel_dropout import ChannelDropout
from hsicl_core.views.flip_rotate import FlipRotate

_HEIGHT, _WIDTH, _CHANNELS = 145, 145, 24
_BATCH = 512
# Steps of one turn: few, so that both sides see the same machine.
_STEPS = 8


class TrainingStep(Claim):
    """``pretrain`` as ``mined_negatives`` runs it, against forward and backward of the encoder on fixed views alone."""

    title: ClassVar[str] = "Training step"

    def measure(self, device: torch.device) -> Iterator[Row]:
        """See ``Claim``."""
        for patch_size in (9, 13):
            what = f"throughput of training over its encoder's, batch {_BATCH} (two views each), patch {patch_size}"
            encoder_only, training = _sides(patch_size, device)
            for n_threads in (1, 2) if device.type == "cpu" else (None,):
                with in_threads(n_threads):
                    taken = alternate(training, encoder_only, repeats=15, warm_up=2, device=device)
                yield Row(
                    what=what, device=device.type, n_threads=n_threads, bound=Bound(least=0.9),
                    figure=ratio(taken[1], taken[0]),
                )  # fmt: skip
            if device.type == "cpu":
                yield Row(what=what, device="cuda", bound=Bound(least=0.9), note=NOT_MEASURED)


def _sides(patch_size: int, device: torch.device) -> tuple[Callable[[], object], Callable[[], object]]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(_HEIGHT, _WIDTH, _CHANNELS, generator=generator).to(device)
    source = PatchSource(image, patch_size)
    pixels = torch.arange(_HEIGHT * _WIDTH, device=device)
    labels = torch.randint(16, (len(pixels),), generator=generator).to(device)
    encoder = Encoder(_CHANNELS, patch_size).to(device)
    head = ProjectionHead(encoder.dim).to(device)
    views = source.gather(pixels[: 2 * _BATCH])
    gradient = torch.randn(2 * _BATCH, encoder.dim, generator=generator).to(device)
    objective = Objective(
        views=[FlipRotate(), ChannelDropout()], miner=MixtureMiner(n_negatives=128), loss=MinedContrastiveLoss()
    )

    def encoder_only() -> None:
        encoder.train()
        for _ in range(_STEPS):
            encoder.zero_grad(set_to_none=True)
            encoder(views).backward(gradient)

    def training() -> None:
        pretrain(
            encoder, head, source, pixels, Labelling(labels=labels), objective=objective,
            training=Training(steps=_STEPS, batch_size=_BATCH), generator=torch.Generator(device).manual_seed(0),
            observer=SilentObserver(),
        )  # fmt: skip

    return encoder_only, training
