"""The contract of an executor: run groups of trials anywhere, hand every record back here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from benchmark import InvalidValueError, Scene, Trial
from benchmark.planning import pack_groups
from results import RunRecord
from sweeps.registries import TRACKERS

# Trials that share one fit and therefore run together.
Group = tuple[Trial, ...]
# Fits that are trained as one, each a group.
Pack = tuple[Group, ...]
# The share of a GPU that is found by measuring; the size of a pack that suits the device.
AUTO = "auto"
# On a CPU, one-thread fits beside each other are faster than fits trained as one (``python -m benchmark.speed --only
# fused_trials``), and their numbers are the same bits whatever runs beside them. A measurement when a sweep starts
# would make the numbers depend on what else the machine did just then.
_USUAL_PACKS = {"cpu": 1, "cuda": 16}


@dataclass(frozen=True, kw_only=True)
class Load:
    """What an executor is doing just now.

    Attributes:
        n_running: trials under way.
        n_nodes: machines at work.
        cpus: processors in use and in all.
        gpus: the same of GPUs; in use may be a fraction.
    """

    n_running: int
    n_nodes: int = 1
    cpus: tuple[float, float] = (1.0, 1.0)
    gpus: tuple[float, float] = (0.0, 0.0)


def ignore_load(load: Load) -> None:
    """Do nothing: for callers that show no progress."""


@dataclass(frozen=True, kw_only=True)
class Executor(ABC):
    """A way to run a plan. It decides where and when, never what: the numbers are those of ``benchmark.run_group``.

    Attributes:
        address: the cluster to run on, ``"auto"`` or ``"HOST:PORT"``; None for this machine.
        gpus_per_trial: share of a GPU that a fit is given, >= 0; several fits share a GPU below 1. ``"auto"``: as many
            as memory allows, by what the first fits take.
        trackers: registered names of trackers that show results elsewhere; never the truth.
        experiment: what trackers call the run.
        fuse: the most fits that are trained as one, >= 1; ``"auto"`` is 16 on a GPU and 1 on a CPU. Only fits that can
            be (``Method.fusion``), and none where trackers show each.

    Raises:
        UserError: a setting out of range, a tracker that does not exist, or what this executor does not serve.
    """

    address: str | None = None
    gpus_per_trial: float | str = 0.0
    trackers: tuple[str, ...] = ()
    experiment: str = "hsicl"
    fuse: int | str = AUTO

    def __post_init__(self) -> None:
        for name in self.trackers:
            TRACKERS.get(name)
        if self.fuse != AUTO and not (isinstance(self.fuse, int) and self.fuse >= 1):
            raise InvalidValueError(f"--fuse must be {AUTO} or a whole number >= 1, got {self.fuse}: 1 fuses nothing")
        share = self.gpus_per_trial
        if share == AUTO:
            return
        # Ray counts GPUs in ten-thousandths, and above one in whole ones.
        if isinstance(share, str) or not (
            share == 0 or 1e-4 <= share <= 1 or (share > 1 and float(share).is_integer())
        ):
            raise InvalidValueError(
                f"--gpus-per-trial must be {AUTO}, 0, 0.0001..1 or a whole number, got {share}: 0 runs on CPUs only"
            )

    def session(self) -> AbstractContextManager[Any]:
        """Return a context that keeps whatever is slow to start alive over several calls of ``execute``."""
        return nullcontext()

    def packs(self, groups: Sequence[Group], device_of: Callable[[Group], str]) -> list[Pack]:
        """Return the groups in packs, by the type of the device on which each computes, ``"cpu"`` or ``"cuda"``."""

        def size(group: Sequence[Trial]) -> int:
            if self.trackers:
                return 1
            return _USUAL_PACKS[device_of(tuple(group))] if self.fuse == AUTO else int(self.fuse)

        return pack_groups(groups, size=size)

    @abstractmethod
    def execute(
        self,
        groups: Sequence[Group],
        scenes: Mapping[str, Scene],
        *,
        device: str,
        on_record: Callable[[RunRecord], None],
        on_load: Callable[[Load], None] = ignore_load,
    ) -> None:
        """Run ``groups`` and hand over each record, in this thread, as soon as it is known.

        Every trial of every group gets a record, a failed one if its worker died. The scenes are only read.

        Args:
            groups: what to run, in order of preference.
            scenes: scenes by name; all that the trials name.
            device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
            on_record: called once per finished or failed trial. What it raises ends the run and comes out here.
            on_load: called in this thread whenever what is under way has changed, a few times a second at most.
        """


MEMBER: Any = Executor
