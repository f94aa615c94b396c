"""The contract of an executor: run groups of trials anywhere, hand every record back here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from benchmark import Scene, Trial
from results import RunRecord

# Trials that share one fit and therefore run together.
Group = tuple[Trial, ...]


@dataclass(frozen=True, kw_only=True)
class Executor(ABC):
    """A way to run a plan. It decides where and when, never what: the numbers are those of ``benchmark.run_group``.

    Attributes:
        address: the cluster to run on, ``"auto"`` or ``"HOST:PORT"``; None for this machine.
        gpus_per_trial: share of a GPU that a fit is given, >= 0; several fits share a GPU below 1.

    Raises:
        InvalidValueError: a setting out of range, or one that this executor does not serve.
    """

    address: str | None = None
    gpus_per_trial: float = 0.0

    def session(self) -> AbstractContextManager[Any]:
        """Return a context that keeps whatever is slow to start alive over several calls of ``execute``."""
        return nullcontext()

    @abstractmethod
    def execute(
        self,
        groups: Sequence[Group],
        scenes: Mapping[str, Scene],
        *,
        device: str,
        on_record: Callable[[RunRecord], None],
    ) -> None:
        """Run ``groups`` and hand over each record, in this thread, as soon as it is known.

        Every trial of every group gets a record, a failed one if its worker died. The scenes are only read.

        Args:
            groups: what to run, in order of preference.
            scenes: scenes by name; all that the trials name.
            device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
            on_record: called once per finished or failed trial. What it raises ends the run and comes out here.
        """


MEMBER: Any = Executor
