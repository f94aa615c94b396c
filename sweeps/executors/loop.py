"""The loop executor: one pack after the other in this process. The reference for every other executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmark import InvalidValueError, Scene
from benchmark.computing import resolve_device
from benchmark.runner import run_pack
from results import RunRecord
from sweeps.executors.base import Executor, Group, Load, ignore_load


@dataclass(frozen=True, kw_only=True)
class LoopExecutor(Executor):
    """Runs everything here, in order; needs no Ray."""

    def __post_init__(self) -> None:
        super().__post_init__()
        given = {"--address": self.address, "--gpus-per-trial": self.gpus_per_trial, "--track": ",".join(self.trackers)}
        useless = [f"{option} {value}" for option, value in given.items() if value]
        if useless:
            raise InvalidValueError(
                f"--executor loop runs in this process and has no use for {', '.join(useless)}: use --executor ray, or "
                "leave it out"
            )

    def execute(
        self,
        groups: Sequence[Group],
        scenes: Mapping[str, Scene],
        *,
        device: str,
        on_record: Callable[[RunRecord], None],
        on_load: Callable[[Load], None] = ignore_load,
    ) -> None:
        """See ``Executor.execute``."""
        for pack in self.packs(groups, lambda _: resolve_device(device).type):
            on_load(Load(n_running=sum(map(len, pack))))
            for record in run_pack(pack, scenes[pack[0][0].scene], device=device):
                on_record(record)
