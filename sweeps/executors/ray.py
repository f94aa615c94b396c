"""The Ray executor: fits side by side by Ray Tune, on this machine or a cluster.

Tune executes, see ``sweeps.on_ray.tune_run``; here is decided what runs together, what each worker is given, and what
is tried again with more room when memory did not suffice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from benchmark import METHODS, InvalidValueError, Scene, Trial, group_trials
from results import RunRecord
from sweeps.executors.base import AUTO, Executor, Group, Load, Pack, ignore_load
from sweeps.on_ray import ray
from sweeps.on_ray.bundle import Bundle
from sweeps.on_ray.packing import Room, share_of_gpu
from sweeps.on_ray.session import connected, silence
from sweeps.on_ray.tune_run import TuneRun
from sweeps.on_ray.worker import CudaMemory, GpuMemory
from sweeps.registries import TRACKERS

# Fits of one configuration are bundled where every slot still gets this many bundles: they end at about one time.
_BUNDLES_PER_SLOT = 4
_OUT_OF_MEMORY = ("OutOfMemoryError", "MemoryError")
_ALLOCATION_FAILED = re.compile(r"CUDA error: out of memory|ALLOC(ATION)?_FAILED")


@dataclass(frozen=True, kw_only=True)
class RayExecutor(Executor):
    """Runs fits side by side, one CPU each, in workers that are reused from fit to fit.

    Without ``gpus_per_trial`` device ``"auto"`` is the CPU: a worker that asked for no GPU may see one that others use.
    With it, ``"auto"`` is the GPU for methods that gain from one; the others run on CPUs beside them.

    Attributes:
        gpu_memory: measures what a fit takes of its GPU.

    Raises:
        InvalidValueError: see ``Executor``; or, when it runs, a share or a device that is not to be had.
    """

    gpu_memory: GpuMemory = field(default_factory=CudaMemory)

    def session(self) -> AbstractContextManager[None]:
        """Connect to Ray, or start it here; within an outer session this does nothing."""
        return connected(self.address)

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
        if device == "cuda" and not self.gpus_per_trial:
            raise InvalidValueError(
                "--device cuda with --executor ray needs a share of a GPU per fit: add --gpus-per-trial 1, 0.25 or auto"
            )
        with self.session(), silence():
            share = self._share_of_gpu()
            share_of = partial(_share_of_fit, device=device, share=1.0 if share is None else share)
            packs = self.packs(groups, lambda group: "cuda" if share_of(group) else "cpu")
            bundles = [_bundle(pack, device, share_of(pack[0])) for pack in packs]
            run = _Rounds(self, scenes, on_record, on_load)
            if share is None:
                bundles = run.measure(bundles)
            while bundles:
                bundles = run.run(bundles)

    def _share_of_gpu(self) -> float | None:
        """Return the share of a GPU that a fit is given, None where the first fits are to tell.

        Raises:
            InvalidValueError: more GPUs than this machine has, or "auto" without a GPU on a cluster, where some may
                join later.
        """
        n_gpus = ray.cluster_resources().get("GPU", 0)
        if self.gpus_per_trial == AUTO:
            if self.address is not None and not n_gpus:
                raise InvalidValueError(
                    f"--gpus-per-trial {AUTO}: the cluster has no GPU to measure on so far: let one join (min_workers: "
                    "1), give a number, or leave it out to run on CPUs"
                )
            return None if n_gpus else 0.0
        share = float(self.gpus_per_trial)
        if self.address is None and share > n_gpus:
            raise InvalidValueError(
                f"--gpus-per-trial {share:g}: this machine has {n_gpus:g} GPUs: ask for no more than that"
            )
        return share


def _share_of_fit(group: Group, device: str, share: float) -> float:
    """Return the share of a GPU that a fit is given, 0 for one that runs on processors."""
    return 0.0 if device == "cpu" or (device == "auto" and not METHODS.get(group[0].method).gains_from_gpu) else share


def _bundle(pack: Pack, device: str, share: float) -> Bundle:
    return Bundle(packs=(pack,), device=device if share or device != "auto" else "cpu", room=Room(gpus=share))


class _Rounds:
    """Runs of Tune, one after the other: what lacked memory, or stood behind a lost worker, is left for the next."""

    def __init__(
        self,
        executor: RayExecutor,
        scenes: Mapping[str, Scene],
        on_record: Callable[[RunRecord], None],
        on_load: Callable[[Load], None],
    ) -> None:
        self._executor = executor
        self._scenes = scenes
        self._on_record = on_record
        self._on_load = on_load
        self._most_cpus = 1.0
        self._retried: list[Bundle] = []
        self._memory: dict[tuple[str, str], tuple[float, float] | None] = {}

    def measure(self, bundles: Sequence[Bundle]) -> list[Bundle]:
        """Run the first fit of each method on each scene with a GPU of its own; return the rest, with its share."""
        first: dict[tuple[str, str], Bundle] = {}
        for bundle in bundles:
            if bundle.room.gpus:
                first.setdefault(_kind(bundle), bundle)
        left = self.run(list(first.values()))
        shares = {kind: share_of_gpu(*(self._memory.get(kind) or (None, None))) for kind in first}
        measured = {id(bundle) for bundle in first.values()}
        rest = [bundle for bundle in bundles if id(bundle) not in measured]
        return left + [
            replace(bundle, room=Room(bundle.room.cpus, shares[_kind(bundle)])) if bundle.room.gpus else bundle
            for bundle in rest
        ]

    def run(self, bundles: Sequence[Bundle]) -> list[Bundle]:
        """Run ``bundles`` and return what of them is to be run again."""
        self._retried = []
        if not bundles:
            return []
        # A machine cannot give more processors than the largest one has, which may have left since the last round.
        self._most_cpus = max([1.0, *(node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"])])
        bundles = [
            replace(bundle, room=replace(bundle.room, cpus=min(bundle.room.cpus, self._most_cpus)))
            for bundle in bundles
        ]
        trackers = [TRACKERS.get(name)().callback(self._executor.experiment) for name in self._executor.trackers]
        run = TuneRun(
            # A tracker shows one fit as one run.
            bundles=bundles if trackers else _bundled(bundles, n_slots=int(ray.cluster_resources().get("CPU", 1))),
            scenes=self._scenes,
            on_result=self._keep,
            on_load=self._on_load,
            trackers=trackers,
            gpu_memory=self._executor.gpu_memory,
        )
        return run.execute() + self._retried

    def _keep(self, bundle: Bundle, records: Sequence[RunRecord], memory: tuple[float, float] | None) -> None:
        if all(record.status == "ok" for record in records):
            self._memory.setdefault(_kind(bundle), memory)
        (pack,) = bundle.packs
        # Fits that were trained as one have more room alone, even where there is no more of it to be had.
        room = bundle.room.doubled(self._most_cpus) or (bundle.room if len(pack) > 1 else None)
        lacking: list[Trial] = []
        for trial, record in zip((trial for group in pack for trial in group), records, strict=True):
            if room is not None and _lacked_memory(record):
                lacking.append(trial)
            else:
                self._on_record(record)
        if room is not None and lacking:
            # Each alone: trained as one they needed the more.
            packs = tuple((group,) for group in group_trials(lacking))
            self._retried.append(replace(bundle, packs=packs, room=room, n_losses=0))


def _lacked_memory(record: RunRecord) -> bool:
    # CUDA, cuBLAS and cuDNN say it in a RuntimeError of their own.
    return record.error_type in _OUT_OF_MEMORY or _ALLOCATION_FAILED.search(record.error or "") is not None


def _kind(bundle: Bundle) -> tuple[str, str]:
    return bundle.first.scene, bundle.first.method


def _bundled(bundles: Sequence[Bundle], *, n_slots: int) -> list[Bundle]:
    """Return the bundles with those of one configuration as one, where that leaves enough for every slot.

    Fits that are trained as one are of several configurations, or are together already: they stay as they are.
    """
    if any(len(pack) > 1 for bundle in bundles for pack in bundle.packs):
        return list(bundles)
    alike: dict[tuple[Any, ...], list[Bundle]] = {}
    for bundle in bundles:
        trial = bundle.first
        key = (trial.scene, trial.method, trial.params, trial.purpose, bundle.device, bundle.room)
        alike.setdefault(key, []).append(bundle)
    if len(alike) < _BUNDLES_PER_SLOT * n_slots:
        return list(bundles)
    return [replace(same[0], packs=tuple(pack for bundle in same for pack in bundle.packs)) for same in alike.values()]
