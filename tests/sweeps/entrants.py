"""A cheap entrant that can misbehave, found through an entry point as a third party's would be (see conftest.py)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from benchmark.methods.base import Fit, FitData, Method


def _exit_once(marker: str) -> None:
    if not Path(marker).exists():
        Path(marker).touch()
        os._exit(1)


def _fail_once(marker: str) -> None:
    if not Path(marker).exists():
        Path(marker).touch()
        raise ValueError("on purpose")


def _fail(marker: str) -> None:
    raise ValueError("on purpose")


def _note_process(marker: str) -> None:
    Path(marker, str(os.getpid())).touch()


_FAULTS: dict[str, Callable[[str], None]] = {
    "": lambda marker: None,
    "exit": lambda marker: os._exit(1),
    "exit_once": _exit_once,
    "fail": _fail,
    "fail_once": _fail_once,
    "note_process": _note_process,
    "sleep": lambda marker: time.sleep(0.5),
}


@dataclass(frozen=True, kw_only=True)
class Noisy(Method):
    """The spectra with noise from the seed.

    Attributes:
        level: standard deviation of the noise.
        fault: what goes wrong, or is done, during the fit.
        marker: a file by which a fault happens only once, or a folder for notes.
        spoils_cube: whether the fit writes into the cube it was given.
        steps: a budget; the noise falls with it.
        note: a number or a word; without effect.
    """

    level: float = 1.0
    fault: str = ""
    marker: str = ""
    spoils_cube: bool = False
    steps: int = 1
    note: int | str = ""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"level": (0.5, 1.0, 8.0)}

    def fit(self, data: FitData) -> Fit:
        _FAULTS[self.fault](self.marker)
        spectra = data.cube.flatten(0, 1).clone()
        if self.spoils_cube:
            data.cube.fill_(999.0)
        generator = torch.Generator(data.device).manual_seed(data.seed)
        noise = torch.randn(spectra.shape, generator=generator, device=data.device)
        return Fit(embed=lambda: spectra + self.level / self.steps * noise)
