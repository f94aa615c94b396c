"""How long a command takes to begin, and the report of a large store: whole processes, as a user starts them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import torch

from benchmark.speed.claims.base import Bound, Claim, Row
from benchmark.speed.fresh_process import in_a_fresh_process
from benchmark.speed.large_store import RELEASED, write_large_store
from benchmark.speed.timing import Figure

_REPEATS = 9
# Of every entrant on every scene; each is a thousand rows.
_LARGE, _SMALL = 1000, 100
# A process takes over what its parent had resident at most: this one has little.
_LAUNCHER = """
import resource, subprocess, sys, time
clock = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
_BARE = "import pandas, pyarrow.parquet"


class Starting(Claim):
    """``hsicl --help``, ``hsicl leaderboard`` of the released study, ``hsicl report`` of a million rows.

    In seconds, because a user waits for them; they are this machine's. Memory is what a process had resident at most.
    """

    title: ClassVar[str] = "Commands"

    def measure(self, device: torch.device) -> Iterator[Row]:
        """See ``Claim``; the same whatever the device."""
        if device.type != "cpu":
            return
        asked = [_run("-m", "hsicl", "--help") for _ in range(_REPEATS)]
        yield Row(what="hsicl --help", unit="s", bound=Bound(most=0.3), figure=Figure.of([each[0] for each in asked]))
        beyond = [
            _run("-m", "hsicl", "leaderboard", "--store", str(RELEASED))[0] - _run("-c", _BARE)[0]
            for _ in range(_REPEATS)
        ]
        yield Row(
            what="hsicl leaderboard of the released study, beyond a Python that imports pyarrow and pandas", unit="s",
            bound=Bound(most=1.5), figure=Figure.of(beyond),
        )  # fmt: skip
        yield from _of_reports()


def _of_reports() -> Iterator[Row]:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for n_configurations in (_SMALL, _LARGE):
            store = Path(folder) / str(n_configurations)
            n_rows = in_a_fresh_process(write_large_store, store, n_configurations)
            found[n_rows] = _run("-m", "hsicl", "report", "--store", str(store), "--out", str(Path(folder) / "page"))
    (small, (small_s, _)), (large, (large_s, large_mib)) = found.items()
    what = f"hsicl report of {large:,} rows, a sweep of ratio, temperature and K"
    yield Row(what=f"{what}: time", unit="s", bound=Bound(most=15), figure=Figure.of([large_s]))
    yield Row(what=f"{what}: memory", unit="MiB", bound=Bound(most=2048), figure=Figure.of([large_mib]))
    yield Row(
        what=f"{what}: time over that of {small:,} rows", figure=Figure.of([large_s / small_s]),
        note="both draw as many figures, which takes most of the time of the smaller one",
    )  # fmt: skip


def _run(*command: str) -> tuple[float, float]:
    """Run Python with these arguments and return its seconds and the MiB that it had resident at most."""
    done = subprocess.run([sys.executable, "-c", _LAUNCHER, sys.executable, *command], capture_output=True, check=True)
    taken, resident = done.stdout.split()
    return float(taken), int(resident) / 1024
