"""How time and memory grow with pixels, bands, batch, K and the number of trials: exponents, fitted and drawn."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch

from benchmark.computing import in_threads
from benchmark.planning import group_trials, plan_trial
from benchmark.runner import run_trial
from benchmark.scene import Scene
from benchmark.speed.claims.base import Bound, Claim, Curve, Row
from benchmark.speed.claims.clustering import mixed_spectra
from benchmark.speed.fresh_process import NO_PEAK, in_a_fresh_process, memory_of
from benchmark.speed.timing import Figure, seconds
from benchmark.trial import SplitSpec
from hsicl_core.encoder import Encoder, ProjectionHead
from hsicl_core.losses.mined_info_nce import MinedContrastiveLoss
from hsicl_core.mined_contrastive import mined_contrastive_loss
from hsicl_core.miners.mixture import MixtureMiner
from hsicl_core.objective import Labelling, Objective
from hsicl_core.observing import SilentObserver
from hsicl_core.patches import PatchSource
from hsicl_core.preprocessing import principal_components, standardize
from hsicl_core.pretraining import pretrain
from hsicl_core.pseudolabels.k_means import KMeansPseudoLabeler
from hsicl_core.training import Training
from hsicl_core.views.channel_dropout import ChannelDropout
from hsicl_core.views.flip_rotate import FlipRotate
from results import open_store

_CPU = torch.device("cpu")
_WIDTH, _CHANNELS, _PATCH, _N_NEGATIVES = 145, 24, 9, 128
# What is claimed of a linear and of a quadratic growth: noise of the fit is within it, another growth is not.
_LINEAR, _QUADRATIC = 1.15, 2.15
_SPLIT = SplitSpec(rule="random")

Run = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Growth:
    """One quantity that grows with one size.

    Attributes:
        title: of what.
        x: the size, as the name of an axis.
        sizes: at which it is measured, rising.
        prepare: maps a size to what is measured.
        most: the exponent is claimed to be at most this; None where it is for information.
        rounds: times that all sizes are measured.
        note: what the reader must know.
    """

    title: str
    x: str
    sizes: Sequence[int]
    prepare: Callable[[int], Run]
    most: float | None = None
    rounds: int = 3
    note: str = ""


class GrowthWithSize(Claim):
    """Exponents of time and of memory beyond what was there: the slope of the line fitted to both logarithms.

    Measured on the CPU, in one thread, whatever the device; memory in a fresh process for each size. What costs the
    same at every size lowers an exponent.
    """

    title: ClassVar[str] = "Growth"

    def measure(self, device: torch.device) -> Iterator[Row]:
        """See ``Claim``."""
        for growth in _TIMES:
            with in_threads(1):
                rounds = _seconds(growth)
            yield _row(growth, "time", "s", rounds)
        for place, growth in enumerate(_MEMORIES):
            peaks = [in_a_fresh_process(_peak_mib, place, size) for size in growth.sizes]
            known = [peak for peak in peaks if peak is not None and peak > 0]
            if len(known) == len(peaks):
                yield _row(growth, "memory", "MiB", [known])
            else:
                yield Row(what=_words(growth, "memory"), n_threads=1, note=NO_PEAK)


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope of the straight line of least squares through the logarithms of sizes and values, all > 0."""
    return float(np.polyfit(np.log(np.asarray(sizes, float)), np.log(np.asarray(values, float)), 1)[0])


def _row(growth: Growth, quantity: str, unit: str, rounds: Sequence[Sequence[float]]) -> Row:
    """Return the row of values measured in rounds, each of them one for every size."""
    medians = np.median(np.asarray(rounds), axis=0)
    points = tuple((float(size), float(value)) for size, value in zip(growth.sizes, medians, strict=True))
    return Row(
        what=_words(growth, quantity), n_threads=1, bound=None if growth.most is None else Bound(most=growth.most),
        figure=Figure.of([exponent(growth.sizes, values) for values in rounds]), note=growth.note,
        curve=Curve(title=growth.title, x=growth.x, y=f"{quantity} in {unit}", points=points),
    )  # fmt: skip


def _words(growth: Growth, quantity: str) -> str:
    return f"exponent of {quantity} against {growth.x}, {growth.sizes[0]:,} to {growth.sizes[-1]:,}: {growth.title}"


def _seconds(growth: Growth) -> list[list[float]]:
    _warm_up(growth)
    runs = [growth.prepare(size) for size in growth.sizes]
    return [[seconds(run) for run in runs] for _ in range(growth.rounds)]


def _warm_up(growth: Growth) -> None:
    """Load what is loaded at first use, which is no growth; with another size, so that no result is kept for those."""
    growth.prepare(growth.sizes[0] // 8)()


def _peak_mib(place: int, size: int) -> float | None:
    """Return the MiB that a run takes at most beyond what is there before it; None where the system does not tell."""
    growth = _MEMORIES[place]
    with in_threads(1):
        _warm_up(growth)
        memory = memory_of(growth.prepare(size), _CPU)
    return None if memory is None else memory.beyond_mib


def _embedding(n_pixels: int) -> Run:
    encoder, image = Encoder(_CHANNELS, _PATCH), torch.randn(n_pixels // _WIDTH, _WIDTH, _CHANNELS)
    return lambda: encoder.embed_scene(image)


def _components(n_bands: int) -> Run:
    cube, pixels = torch.randn(_WIDTH, _WIDTH, n_bands), torch.arange(_WIDTH**2)
    return lambda: principal_components(standardize(cube, pixels), pixels, min(_CHANNELS, n_bands))


def _encoding(batch: int) -> Run:
    encoder = Encoder(_CHANNELS, _PATCH)
    patches = PatchSource(torch.randn(_WIDTH, _WIDTH, _CHANNELS), _PATCH).gather(torch.arange(2 * batch))
    return lambda: encoder(patches).sum().backward()


def _loss(batch: int) -> Run:
    # Which numbers they are decides whether scores tie.
    generator = torch.Generator().manual_seed(0)
    z0, z1 = (torch.randn(batch, 64, generator=generator, requires_grad=True) for _ in range(2))
    labels = torch.randint(16, (batch,), generator=generator)
    return lambda: mined_contrastive_loss(z0, z1, labels, n_negatives=_N_NEGATIVES).backward()


def _training(batch: int) -> Run:
    encoder = Encoder(_CHANNELS, _PATCH)
    head, pixels = ProjectionHead(encoder.dim), torch.arange(_WIDTH**2)
    source = PatchSource(torch.randn(_WIDTH, _WIDTH, _CHANNELS), _PATCH)
    objective = Objective(
        views=[FlipRotate(), ChannelDropout()], miner=MixtureMiner(n_negatives=_N_NEGATIVES),
        loss=MinedContrastiveLoss(),
    )  # fmt: skip
    return lambda: pretrain(
        encoder, head, source, pixels, Labelling(labels=torch.randint(16, pixels.shape)), objective=objective,
        training=Training(steps=2, batch_size=batch), generator=torch.Generator(), observer=SilentObserver(),
    )  # fmt: skip


def _clustering(n_pixels: int, n_clusters: int) -> Run:
    vectors = mixed_spectra(n_pixels, 30)
    return lambda: KMeansPseudoLabeler(n_clusters=n_clusters, max_iter=10).fit(vectors)


def _scene() -> Scene:
    rows, columns = np.mgrid[:48, :48]
    labels = 4 * (rows // 12) + columns // 12
    cube = np.random.default_rng(0).normal(size=(48, 48, 16)).astype(np.float32)
    return Scene(name="growth", cube=cube, labels=labels, class_names=tuple(str(k) for k in range(16)))


def _planning(n_trials: int) -> Run:
    scene = _scene()

    def plan() -> object:
        temperatures = 0.05 + np.arange(n_trials) / n_trials
        return group_trials(
            plan_trial(scene, method="mined_negatives", params={"temperature": value}, split=_SPLIT)
            for value in temperatures
        )

    return plan


def _reading(n_trials: int) -> Run:
    params: dict[str, Any] = {
        "steps": 20, "batch_size": 32, "n_clusters": 8, "n_components": 8, "n_negatives": 16, "width": 8
    }  # fmt: skip
    scene = _scene()
    row = run_trial(plan_trial(scene, method="mined_negatives", params=params, split=_SPLIT), scene, device="cpu")
    table, names = row.to_table(), pa.array([f"{place:016x}" for place in range(n_trials)])
    table = table.take([0] * n_trials).set_column(table.column_names.index("trial_id"), "trial_id", names)
    folder = tempfile.mkdtemp(prefix="hsicl-")
    open_store(folder).write_compacted(table)

    def read() -> object:
        return open_store(folder).read()

    weakref.finalize(read, shutil.rmtree, folder)
    return read


_TIMES = (
    Growth(
        title="dense embedding", x="pixels", sizes=[_WIDTH * height for height in (64, 128, 256, 512)],
        prepare=_embedding, most=_LINEAR,
    ),
    Growth(
        title="standardising and principal components", x="bands", sizes=(25, 50, 100, 200), prepare=_components,
        most=_QUADRATIC, note="reading is linear, the covariance quadratic",
    ),
    Growth(
        title="encoder, forward and backward", x="batch", sizes=(64, 128, 256, 512), prepare=_encoding, most=_LINEAR
    ),
    Growth(
        title="similarities, mining and loss", x="batch", sizes=(128, 256, 512, 1024), prepare=_loss, rounds=5,
        most=_QUADRATIC, note="quadratic: every row is compared with every other",
    ),
    Growth(
        title="training step", x="batch", sizes=(64, 128, 256, 512), prepare=_training,
        note="the encoder is linear, what compares is quadratic; at these sizes the encoder prevails",
    ),
    Growth(
        title="k-means, K = 32", x="pixels", sizes=(25_000, 50_000, 100_000, 200_000),
        prepare=lambda n: _clustering(n, 32), most=_LINEAR,
    ),
    Growth(
        title="k-means, 50,000 pixels", x="K", sizes=(8, 16, 32, 64), prepare=lambda k: _clustering(50_000, k),
        most=_LINEAR,
    ),
    Growth(
        title="planning a sweep", x="trials", sizes=(1000, 4000, 16_000, 64_000), prepare=_planning, most=_LINEAR,
        rounds=1,
    ),
    Growth(
        title="reading a compacted store", x="trials", sizes=(1000, 4000, 16_000, 64_000), prepare=_reading,
        most=_LINEAR,
    ),
)  # fmt: skip
_MEMORIES = (
    Growth(
        title="dense embedding", x="pixels", sizes=[_WIDTH * height for height in (512, 1024, 2048, 4096)],
        prepare=_embedding, most=_LINEAR, note="beside the result a block of rows, the same at every size",
    ),
    Growth(
        title="standardising and principal components", x="bands", sizes=(50, 100, 200, 400), prepare=_components,
        most=_LINEAR,
    ),
    Growth(
        title="similarities, mining and loss", x="batch", sizes=(384, 768, 1536, 3072), prepare=_loss,
        most=_QUADRATIC, note="quadratic: the similarities of all pairs are there at once; twice as much where scores "
        "tie at the end of a budget",
    ),
    Growth(
        title="k-means, K = 32", x="pixels", sizes=(50_000, 100_000, 200_000, 400_000),
        prepare=lambda n: _clustering(n, 32), most=_LINEAR,
    ),
)  # fmt: skip
