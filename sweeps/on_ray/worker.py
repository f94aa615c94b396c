"""What runs in a worker: the fits of a bundle, one per step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from benchmark import Scene
from benchmark.node_cache import share_in, shared_folder
from benchmark.runner import run_pack
from results import RunRecord
from results.metrics import overall_accuracy
from sweeps.on_ray import tune
from sweeps.on_ray.bundle import Bundle
from sweeps.on_ray.packing import CONTEXT_MIB


class BundleRun(tune.Trainable):
    """One pack per step; a reused worker is given the number of its next bundle.

    Where curves are shown elsewhere, their points come as steps of their own before the records.
    """

    def setup(
        self, config: dict[str, Any], bundles: Sequence[Bundle], scenes: Mapping[str, Scene],
        gpu_memory: GpuMemory, shows_curves: bool,
    ) -> None:  # fmt: skip
        """Take the scenes from the object store, which holds them once per machine."""
        share_in(shared_folder())
        self._bundles, self._scenes = bundles, scenes
        self._gpu_memory, self._shows_curves = gpu_memory, shows_curves
        self._results: Iterator[dict[str, Any]] | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Forget the last bundle; Tune has set the configuration."""
        self._results = None
        return True

    def step(self) -> dict[str, Any]:
        """Return the next result of the bundle."""
        if self._results is None:
            self._results = self._run(self._bundles[self.config["bundle"]], self.config.get("first", 0))
        return next(self._results)

    def _run(self, bundle: Bundle, first: int) -> Iterator[dict[str, Any]]:
        for place in range(first, len(bundle.packs)):
            pack = bundle.packs[place]
            # To ask is to open the GPU, which what runs on processors leaves to others.
            free = self._gpu_memory.begin() if bundle.room.gpus else None
            records = list(run_pack(pack, self._scenes[bundle.first.scene], device=bundle.device))
            memory = None if free is None else (self._gpu_memory.taken(), free)
            if self._shows_curves:
                yield from _points(records)
            yield {
                "place": place, "records": [vars(record) for record in records], "memory": memory,
                "done": place + 1 == len(bundle.packs), **(_validation(records) if self._shows_curves else {}),
            }  # fmt: skip


class GpuMemory(Protocol):
    """Says what a fit takes of the GPU that its worker was given."""

    def begin(self) -> float | None:
        """Begin to measure; return the MiB that this process may take, None where there is no GPU."""

    def taken(self) -> float:
        """Return the MiB that this process has taken at most since then."""


class CudaMemory:
    """Memory of this process's first CUDA device, with an allowance for the context, which CUDA does not tell."""

    def begin(self) -> float | None:
        """See ``GpuMemory``. What earlier fits left in the allocator's cache is given back."""
        import torch

        if not torch.cuda.is_available():
            return None
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        free, _ = torch.cuda.mem_get_info()
        return (free + torch.cuda.memory_reserved()) / 2**20 + CONTEXT_MIB

    def taken(self) -> float:
        """See ``GpuMemory``. What the memo keeps from earlier fits counts too."""
        import torch

        return torch.cuda.max_memory_reserved() / 2**20 + CONTEXT_MIB


def _points(records: Sequence[RunRecord]) -> Iterator[dict[str, float]]:
    """Yield what trackers show of a fit's training: its curves, one result per step."""
    fitted = next((record for record in records if record.curves), None)
    steps: dict[int, dict[str, float]] = {}
    for point in fitted.curves or () if fitted else ():
        steps.setdefault(point["step"], {})[point["name"]] = point["value"]
    for step in sorted(steps):
        # Counted from 1: the trackers' callbacks take a step of 0 for none.
        yield {"timesteps_total": step + 1, **steps[step]}


def _validation(records: Sequence[RunRecord]) -> dict[str, float]:
    """Return the mean validation accuracy of a fit's trials, for trackers. Test numbers are never shown to them."""
    accuracies = [overall_accuracy(record.confusion_val) for record in records if record.confusion_val]
    return {"validation_overall_accuracy": sum(accuracies) / len(accuracies)} if accuracies else {}
