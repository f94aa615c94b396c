"""Several fits trained as one, one after the other, and beside each other: which serves a sweep best."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.computing import in_threads
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods.base import FitData, Method
from benchmark.node_cache import share_in
from benchmark.registries import METHODS
from benchmark.speed.claims.base import NOT_MEASURED, Bound, Claim, Row
from benchmark.speed.timing import alternate, ratio
from hsicl_core.observing import SilentObserver

_N_MEMBERS = 16
_STEPS = 8
# A scene of Indian Pines' size after dimension reduction.
_SHAPE = (145, 145, 30)


class FusedTrials(Claim):
    """Fits of ``mined_negatives`` with temperatures, mixtures and seeds of their own, otherwise its defaults.

    Naive is one fit after the other, with all threads; beside each other are fits of one thread each, as many at a time
    as there are processors. That is how the Ray executor runs them on CPUs, and as there, what one has clustered the
    others read. On either side pseudolabels are made in the turn that warms up.
    """

    title: ClassVar[str] = "Fused trials"

    def measure(self, device: torch.device) -> Iterator[Row]:
        """See ``Claim``."""
        what = f"{_N_MEMBERS} fits of {_STEPS} steps: one after the other over "
        members = _members(_N_MEMBERS)
        data = [_data(seed, device) for seed in range(_N_MEMBERS)]

        def in_turn() -> None:
            for method, of_method in zip(members, data, strict=True):
                method.fit(of_method)

        def fused() -> None:
            _all_fitted(members[0].fit_together(members, data))

        n_threads = None if device.type == "cuda" else os.cpu_count()
        with in_threads(n_threads):
            together, naive = alternate(fused, in_turn, repeats=3, device=device)
        is_cuda = device.type == "cuda"
        yield Row(
            what=f"{what}trained as one", device=device.type, n_threads=n_threads,
            bound=Bound(least=8) if is_cuda else None, figure=ratio(naive, together),
            note="" if is_cuda else "less than fits beside each other: on CPUs nothing is fused unless asked for",
        )  # fmt: skip
        if is_cuda:
            return
        spawned = multiprocessing.get_context("spawn")
        with tempfile.TemporaryDirectory() as folder:
            shared = Path(folder) / "shared"
            with ProcessPoolExecutor(os.cpu_count(), spawned, share_in, (shared,)) as pool, in_threads(n_threads):
                beside, naive = alternate(lambda: list(pool.map(_fit_alone, range(_N_MEMBERS))), in_turn, repeats=3)
        yield Row(
            what=f"{what}beside each other, in one thread each", n_threads=n_threads, bound=Bound(least=1.3),
            figure=ratio(naive, beside),
        )  # fmt: skip
        yield Row(what=f"{what}trained as one", device="cuda", bound=Bound(least=8), note=NOT_MEASURED)


def _members(n: int) -> list[Method]:
    make: Callable[..., Method] = METHODS.get("mined_negatives")
    return [
        make(temperature=0.05 * (1 + place % 4), hard_fraction=0.25 * (place % 5), steps=_STEPS) for place in range(n)
    ]


def _data(seed: int, device: torch.device) -> FitData:
    cube = torch.randn(_SHAPE, generator=torch.Generator().manual_seed(0)).to(device)
    pixels = torch.arange(_SHAPE[0] * _SHAPE[1], device=device)
    # What fits share is computed in the turn that warms up.
    return FitData(
        cube=cube, pixels=pixels, labels=torch.full_like(pixels, -1), seed=seed, device=device,
        observer=SilentObserver(), memo=ScopedMemo(_MEMO, str(device)),
    )  # fmt: skip


_MEMO = Memo(size=64)


def _fit_alone(place: int) -> None:
    with in_threads(1):
        _members(_N_MEMBERS)[place].fit(_data(place, torch.device("cpu")))


def _all_fitted(fits: Sequence[Any]) -> None:
    for fit in fits:
        if isinstance(fit, Exception):
            raise fit


class Launches(TorchDispatchMode):
    """Counts the operations that launch work; what only looks at memory in another way launches none."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count and go on."""
        if not func.is_view:
            self.counts[str(func)] += 1
        return func(*args, **(kwargs or {}))


def launches(run: Callable[[], object]) -> int:
    """Return how many operations ``run`` launches."""
    with Launches() as counted:
        run()
    return counted.counts.total()
