"""Pretraining against the loop as the field writes it: a Dataset that cuts and changes each patch, a DataLoader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from benchmark.computing import in_threads
from benchmark.speed.claims.base import NOT_MEASURED, Bound, Claim, Row
from benchmark.speed.timing import Figure, alternate, ratio
from hsicl_core.encoder import Encoder, ProjectionHead
from hsicl_core.losses.mined_info_nce import MinedContrastiveLoss
from hsicl_core.mined_contrastive import mined_contrastive_loss
from hsicl_core.miners.mixture import MixtureMiner
from hsicl_core.objective import Labelling, Objective
from hsicl_core.observing import SilentObserver
from hsicl_core.patches import PatchSource
from hsicl_core.pretraining import pretrain
from hsicl_core.training import Training
from hsicl_core.views.channel_dropout import ChannelDropout
from hsicl_core.views.flip_rotate import FlipRotate

# Indian Pines, components and patches of 9 x 9 as the entrants have them by default.
_HEIGHT, _WIDTH, _CHANNELS, _PATCH = 145, 145, 24, 9
_N_NEGATIVES, _DROPPED = 128, 0.2
_WORKERS = (0, 2)
# Steps of one turn: an epoch of the usual loop, so that nothing is loaded ahead while the other side runs.
_STEPS = 8


class PatchPairs(Dataset[tuple[Tensor, Tensor, int]]):
    """Two augmented views of the patch around every pixel, cut and changed one by one on the host.

    Args:
        image: (height, width, channels) float32.
        labels: (height * width,) int64, one of each pixel.
        patch_size: side in pixels, odd.
    """

    def __init__(self, image: NDArray[np.float32], labels: NDArray[np.int64], patch_size: int) -> None:
        radius = patch_size // 2
        self._padded = np.pad(image, ((radius, radius), (radius, radius), (0, 0)), mode="reflect")
        self._width = image.shape[1]
        self._labels = labels
        self._patch_size = patch_size

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, pixel: int) -> tuple[Tensor, Tensor, int]:
        """Return two views (channels, size, size) of a pixel's patch, and the pixel's label."""
        row, column = divmod(pixel, self._width)
        patch = self._padded[row : row + self._patch_size, column : column + self._patch_size]
        return augmented(patch), augmented(patch), int(self._labels[pixel])


def augmented(patch: NDArray[np.float32]) -> Tensor:
    """Return a patch (size, size, channels) as (channels, size, size), flipped, turned, some of its channels 0.

    Draws from NumPy's global stream, as the field does; the DataLoader seeds it anew in every worker.
    """
    if np.random.rand() < 0.5:  # noqa: NPY002
        patch = patch[::-1]
    patch = np.rot90(patch, np.random.randint(4))  # noqa: NPY002
    kept = np.random.rand(patch.shape[2]) >= _DROPPED  # noqa: NPY002
    return torch.from_numpy(np.ascontiguousarray((patch * kept.astype(np.float32)).transpose(2, 0, 1)))


class UsualLoop(Claim):
    """``pretrain`` as ``mined_negatives`` runs it over the usual loop, for the same number of steps.

    Both have the same encoder, head, loss, augmentations and optimiser. The usual loop is spared what it often does
    without: it clips no gradient and follows no schedule; its workers stay from epoch to epoch.
    """

    title: ClassVar[str] = "Against the usual loop"

    def measure(self, device: torch.device) -> Iterator[Row]:
        """See ``Claim``."""
        is_cpu = device.type == "cpu"
        bound = Bound(least=1.5 if is_cpu else 10)
        for batch_size in (256, 512):
            what = f"training, batch {batch_size} (two views each), patch {_PATCH}: throughput over the usual loop's"
            for n_threads in (1, 2) if is_cpu else (None,):
                with in_threads(n_threads):
                    best, figures, ceiling = _compared(batch_size, device)
                others = ", ".join(f"{figures[n].median:.3g} with {n}" for n in _WORKERS if n != best)
                yield Row(
                    what=what, device=device.type, n_threads=n_threads, bound=bound, figure=figures[best],
                    note=f"the usual with {best} workers, where it is fastest; {others}; a loop that did nothing but "
                    f"its encoder's arithmetic would have {ceiling.median:.3g}",
                )  # fmt: skip
            if is_cpu:
                yield Row(what=what, device="cuda", bound=Bound(least=10), note=NOT_MEASURED)


def _compared(batch_size: int, device: torch.device) -> tuple[int, dict[int, Figure], Figure]:
    """Return the usual loop's best number of workers; ours over it for each number; the encoder alone over the best."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(_HEIGHT, _WIDTH, _CHANNELS, generator=generator)
    labels = torch.randint(16, (_HEIGHT * _WIDTH,), generator=generator)
    ours = _ours(image.to(device), labels.to(device), batch_size)
    usual = {n: _usual(image, labels, n, batch_size, device) for n in _WORKERS}
    figures = {n: _throughput(ours, usual[n], device) for n in _WORKERS}
    best = min(figures, key=lambda n: figures[n].median)
    return best, figures, _throughput(_encoder_alone(image.to(device), batch_size), usual[best], device)


def _throughput(run: Callable[[], object], usual: Callable[[], object], device: torch.device) -> Figure:
    taken = alternate(run, usual, repeats=7, device=device)
    return ratio(taken[1], taken[0])


def _encoder_alone(image: Tensor, batch_size: int) -> Callable[[], object]:
    """Return forward and backward of the encoder on views that are there already."""
    encoder, _ = _networks(image.device)
    encoder.train()
    views = PatchSource(image, _PATCH).gather(torch.arange(2 * batch_size, device=image.device))
    gradient = torch.randn(2 * batch_size, encoder.dim, device=image.device)

    def train() -> None:
        for _ in range(_STEPS):
            encoder.zero_grad(set_to_none=True)
            encoder(views).backward(gradient)

    return train


def _ours(image: Tensor, labels: Tensor, batch_size: int) -> Callable[[], object]:
    source = PatchSource(image, _PATCH)
    pixels = torch.arange(len(labels), device=image.device)
    encoder, head = _networks(image.device)
    objective = Objective(
        views=[FlipRotate(), ChannelDropout(share=_DROPPED)], miner=MixtureMiner(n_negatives=_N_NEGATIVES),
        loss=MinedContrastiveLoss(),
    )  # fmt: skip

    def train() -> None:
        pretrain(
            encoder, head, source, pixels, Labelling(labels=labels), objective=objective,
            training=Training(steps=_STEPS, batch_size=batch_size),
            generator=torch.Generator(image.device).manual_seed(0), observer=SilentObserver(),
        )  # fmt: skip

    return train


def _usual(
    image: Tensor, labels: Tensor, n_workers: int, batch_size: int, device: torch.device
) -> Callable[[], object]:
    pairs = PatchPairs(image.numpy(), labels.numpy(), _PATCH)
    loader: DataLoader[tuple[Tensor, Tensor, int]] = DataLoader(
        pairs, batch_size, sampler=RandomSampler(pairs, num_samples=_STEPS * batch_size), num_workers=n_workers,
        persistent_workers=n_workers > 0, pin_memory=device.type == "cuda",
    )  # fmt: skip
    encoder, head = _networks(device)
    encoder.train()
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=3e-3, weight_decay=1e-4)

    def train() -> None:
        for first, second, of_pixels in loader:
            views = torch.cat([first, second]).to(device, non_blocking=True)
            z0, z1 = head(encoder(views)).chunk(2)
            loss = mined_contrastive_loss(z0, z1, of_pixels.to(device), n_negatives=_N_NEGATIVES)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train


def _networks(device: torch.device) -> tuple[Encoder, ProjectionHead]:
    encoder = Encoder(_CHANNELS, _PATCH)
    return encoder.to(device), ProjectionHead(encoder.dim).to(device)
