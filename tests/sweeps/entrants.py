"""A cheap entrant that can misbehave, found through an entry point as a third party's would be (see conftest.py)."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
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


def _peers(marker: str) -> int:
    """Return how many fits are under way at most while this one is, and leave the number behind."""
    own = Path(marker, f"{uuid.uuid4().hex}.running")
    own.touch()
    n_peers = 0
    for _ in range(8):
        time.sleep(0.05)
        n_peers = max(n_peers, len(list(Path(marker).glob("*.running"))))
    own.rename(own.with_suffix(f".peers{n_peers}"))
    return n_peers


def _need_room(marker: str) -> None:
    if _peers(marker) > 1:
        raise torch.OutOfMemoryError("CUDA out of memory, it says")


def _out_of_memory(marker: str) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory, it says")


def _note_memory(marker: str) -> None:
    """Leave the bytes behind that no other process shares with this one."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    private = sum(1024 * int(size) for size in re.findall(r"^Private_\w+: +(\d+) kB", rollup, re.MULTILINE))
    Path(marker, f"{private}.{uuid.uuid4().hex}").touch()


def _note_peers(marker: str) -> None:
    _peers(marker)


_FAULTS: dict[str, Callable[[str], None]] = {
    "": lambda marker: None,
    "crowded": lambda marker: None,  # see fit_together
    "exit": lambda marker: os._exit(1),
    "exit_once": _exit_once,
    "exit_at_seed_1": lambda marker: None,  # see fit
    "fail": _fail,
    "fail_once": _fail_once,
    "need_room": _need_room,
    "out_of_memory": _out_of_memory,
    "note_memory": _note_memory,
    "note_peers": _note_peers,
    "note_process": _note_process,
    "sleep": lambda marker: time.sleep(0.5),
    "sleep_50ms": lambda marker: time.sleep(0.05),
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

    @property
    def fusion(self) -> str | None:
        return "noisy" if self.fault == "crowded" else None

    @staticmethod
    def fit_together(methods: Sequence[Method], data: Sequence[FitData]) -> list[Fit | Exception]:
        fits = Method.fit_together(methods, data)
        # One has room.
        return [*fits[:1], *(torch.OutOfMemoryError("CUDA out of memory, it says") for _ in fits[1:])]

    def fit(self, data: FitData) -> Fit:
        _FAULTS[self.fault](self.marker)
        if self.fault == "exit_at_seed_1" and data.seed == 1:
            os._exit(1)
        spectra = data.cube.flatten(0, 1).clone()
        if self.spoils_cube:
            data.cube.fill_(999.0)
        generator = torch.Generator(data.device).manual_seed(data.seed)
        noise = torch.randn(spectra.shape, generator=generator, device=data.device)
        return Fit(embed=lambda: spectra + self.level / self.steps * noise)
