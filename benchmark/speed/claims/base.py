"""The contract of a claim of speed: it measures both sides in one process and gives rows, each with its bound."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from benchmark.speed.timing import Figure


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What is claimed of a figure.

    Attributes:
        least: the figure must be at least this; None where ``most`` bounds it.
        most: the figure must be at most this; None where ``least`` does.
    """

    least: float | None = None
    most: float | None = None

    def holds(self, value: float) -> bool:
        """Return whether ``value`` is within the bound."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What a row's figure was made of, where it is the growth of one quantity with another: drawn beside the tables.

    Attributes:
        title: of what, as the head of its plot.
        x: what grows, as the name of an axis.
        y: what grows with it, with its unit.
        points: (x, y), x rising, all > 0.
    """

    title: str
    x: str
    y: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        what: what is compared, in words, with the sizes that matter; a ratio says which over which.
        unit: ``"ratio"``, ``"s"`` or ``"MiB"``. Seconds only where something is promised in seconds.
        device: where it ran or would run, ``"cpu"`` or ``"cuda"``.
        n_threads: threads of torch and the linear algebra in it; None where that is not the point.
        bound: what is claimed; None where the figure is for information.
        figure: what was measured; None where it was not.
        note: why it was not measured, or what the reader must know.
        curve: what the figure was made of, where that is drawn.
    """

    what: str
    unit: str = "ratio"
    device: str = "cpu"
    n_threads: int | None = None
    bound: Bound | None = None
    figure: Figure | None = None
    note: str = ""
    curve: Curve | None = None


class Claim(ABC):
    """A claim of speed. Nothing is prepared before ``measure``.

    Attributes:
        title: what it is about, as a heading.
    """

    title: ClassVar[str]

    @abstractmethod
    def measure(self, device: torch.device) -> Iterator[Row]:
        """Yield the rows, measured on ``device``; of what cannot run there a row without a figure and a note why.

        Args:
            device: the CPU, or a CUDA device.
        """


MEMBER: Any = Claim
NOT_MEASURED = "not measured: no CUDA device at hand"


def not_installed(package: str) -> str:
    """Return the note of a row that compares with a package which is not there."""
    return f"not measured: {package} is not installed"
