"""Two things timed beside each other in one process, so that what slows one slows the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A measured number with its spread.

    Attributes:
        median: of the repeats.
        low: first quartile.
        high: third quartile.
        n: repeats, >= 1.
    """

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Return median and quartiles of ``values``, at least one."""
        low, median, high = np.quantile(np.asarray(values, dtype=np.float64), [0.25, 0.5, 0.75])
        return cls(median=float(median), low=float(low), high=float(high), n=len(values))


def seconds(run: Callable[[], object], device: torch.device | None = None) -> float:
    """Return how long ``run`` takes, until the device is done with it."""
    _wait_for(device)
    clock = time.perf_counter()
    run()
    _wait_for(device)
    return time.perf_counter() - clock


def alternate(
    ours: Callable[[], object], other: Callable[[], object], *, repeats: int, warm_up: int = 1,
    device: torch.device | None = None,
) -> tuple[list[float], list[float]]:  # fmt: skip
    """Return the seconds of ``ours`` and of ``other``, run in turn; who is first changes from one turn to the next.

    Args:
        ours: runs once.
        other: runs once.
        repeats: turns, >= 1.
        warm_up: turns before that are not counted.
        device: waited for, where it computes beside the host.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(warm_up + repeats):
        pair = [0.0, 0.0]
        for side in (0, 1) if turn % 2 else (1, 0):
            pair[side] = seconds((ours, other)[side], device)
        if turn >= warm_up:
            taken[0].append(pair[0])
            taken[1].append(pair[1])
    return taken


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Figure:
    """Return the ratio of times measured in turn, turn by turn."""
    return Figure.of([first / second for first, second in zip(numerator, denominator, strict=True)])


def _wait_for(device: torch.device | None) -> None:
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
