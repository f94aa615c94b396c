"""The loop executor: one group after the other in this process. The reference for every other executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmark import InvalidValueError, Scene, run_group
from results import RunRecord
from sweeps.executors.base import Executor, Group


@dataclass(frozen=True, kw_only=True)
class LoopExecutor(Executor):
    """Runs everything here, in order; needs no Ray."""

    def __post_init__(self) -> None:
        if self.address is not None or self.gpus_per_trial:
            raise InvalidValueError(
                f"--executor loop runs in this process and has no use for --address {self.address} or "
                f"--gpus-per-trial {self.gpus_per_trial:g}: use --executor ray, or leave them out"
            )

    def execute(
        self,
        groups: Sequence[Group],
        scenes: Mapping[str, Scene],
        *,
        device: str,
        on_record: Callable[[RunRecord], None],
    ) -> None:
        """See ``Executor.execute``."""
        for group in groups:
            for record in run_group(group, scenes[group[0].scene], device=device):
                on_record(record)
