"""One run of Ray Tune: bundles of fits as tune_trials, their records handed over as they arrive.

Ray's own trial is a *tune_trial* here. It runs a bundle: packs of fits, one after the other in one worker, each a
step whose result carries the records. Tune only executes: nothing that was finished is lost with the driver, no shared
file system is needed, and Tune's own files are thrown away.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from benchmark import InvalidValueError, Scene
from benchmark.node_cache import forget, shared_folder
from results import RunRecord
from results.errors import one_line
from sweeps.executors.base import Load
from sweeps.on_ray import ray, tune
from sweeps.on_ray.bundle import Bundle
from sweeps.on_ray.handover import N_RETRIES, Handover
from sweeps.on_ray.lifeline import private_folder_prefix
from sweeps.on_ray.packing import Room
from sweeps.on_ray.worker import BundleRun, CudaMemory, GpuMemory

_FORGET_TIMEOUT_S = 10.0


@dataclass(kw_only=True)
class TuneRun:
    """One run of Tune over some bundles.

    Attributes:
        bundles: what to run.
        scenes: scenes by name.
        on_result: given a bundle of one pack, its records, and the memory in MiB that the worker took of its GPU and
            that was free before, None where there is no GPU.
        on_load: told what is under way.
        trackers: callbacks of Tune's that show results elsewhere.
        gpu_memory: measures what a fit takes of its GPU.
    """

    bundles: Sequence[Bundle]
    scenes: Mapping[str, Scene]
    on_result: Callable[[Bundle, list[RunRecord], tuple[float, float] | None], None]
    on_load: Callable[[Load], None]
    trackers: Sequence[Any] = ()
    gpu_memory: GpuMemory = field(default_factory=CudaMemory)

    def execute(self) -> list[Bundle]:
        """Run to the end and return what of a bundle stood behind a pack whose worker was lost for good.

        What ``on_result`` raises ends the run and comes out here.
        """
        handover = Handover(self.bundles, self.on_result, self.on_load, shows_params=bool(self.trackers))
        # The data goes into the object store once; a tune_trial's configuration is a number.
        trainable = tune.with_parameters(
            BundleRun, bundles=list(self.bundles), scenes=dict(self.scenes), gpu_memory=self.gpu_memory,
            shows_curves=bool(self.trackers),
        )  # fmt: skip
        # Tune unpickles the first function several times per tune_trial: it holds as little as it can.
        rooms = list(dict.fromkeys(bundle.room for bundle in self.bundles))
        kinds = [rooms.index(bundle.room) for bundle in self.bundles]
        names = [bundle.name for bundle in self.bundles]

        def resources_of(config: dict[str, Any]) -> tune.PlacementGroupFactory:
            return tune.PlacementGroupFactory([_resources(rooms[kinds[config["bundle"]]])])

        def name_of(tune_trial: TuneTrial) -> str:
            return names[tune_trial.config["bundle"]]

        with _private_folder() as folder:
            try:
                tuner = tune.Tuner(
                    tune.with_resources(trainable, resources_of),
                    param_space={"bundle": tune.grid_search(list(range(len(self.bundles))))},
                    tune_config=tune.TuneConfig(
                        reuse_actors=True, trial_name_creator=name_of, trial_dirname_creator=name_of
                    ),
                    run_config=tune.RunConfig(
                        name="bundles",
                        storage_path=folder,
                        verbose=0,
                        callbacks=[handover, *self.trackers],
                        # For a Trainable class Tune would ask for a checkpoint at the end. There is nothing to keep.
                        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                        failure_config=tune.FailureConfig(max_failures=N_RETRIES),
                    ),
                )
                tuner.fit()
            except Exception as error:
                # Tune wraps what a callback raises in an error of its own.
                if handover.error is not None:
                    raise handover.error from None
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise InvalidValueError(
                        f"temporary folder {folder}: no room for Ray's own files ({one_line(error, limit=None)}): make "
                        "room or set TMPDIR to a folder with more; the same command goes on from here"
                    ) from error
                raise
            finally:
                forget(shared_folder())
        _forget_elsewhere()
        return handover.left


def _forget_elsewhere() -> None:
    """Remove the shared copies of scenes on every other node that answers; what is left is used by the next run."""
    remove = ray.remote(num_cpus=0)(lambda: forget(shared_folder()))
    here = ray.get_runtime_context().get_node_id()
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["NodeID"] != here]
    tasks = [
        remove.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote() for node in nodes
    ]
    ray.wait(tasks, num_returns=len(tasks), timeout=_FORGET_TIMEOUT_S)


def _resources(room: Room) -> dict[str, float]:
    return {"CPU": room.cpus, "GPU": room.gpus} if room.gpus else {"CPU": room.cpus}


@contextmanager
def _private_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix=private_folder_prefix())
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
