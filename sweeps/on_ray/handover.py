"""The way back: what Tune tells its callbacks becomes records, failed ones where a worker was lost for good."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray.exceptions import OutOfMemoryError, RayTaskError
from ray.tune.experiment import Trial as TuneTrial

from benchmark.runner import failed_record
from results import RunRecord
from results.errors import one_line
from sweeps.executors.base import Load, Pack
from sweeps.on_ray import ray, tune
from sweeps.on_ray.bundle import Bundle
from sweeps.on_ray.lifeline import writing

# Twice more after a lost worker; a trial's own error is in its record and never comes here.
N_RETRIES = 2
_LOAD_INTERVAL_S = 0.5


class Handover(tune.Callback):
    """Hands over the records of finished packs, and failed records for those whose worker was lost.

    Args:
        bundles: what runs; a tune_trial's configuration holds the place of its own.
        on_result: see ``sweeps.on_ray.tune_run.TuneRun``.
        on_load: see there.
        shows_params: whether a tune_trial's configuration is to hold what trackers show.

    Attributes:
        error: what ``on_result`` or ``on_load`` raised, if anything; Tune wraps it in an error of its own.
        left: what of a bundle stood behind a pack whose worker was lost for good.
    """

    def __init__(
        self,
        bundles: Sequence[Bundle],
        on_result: Callable[[Bundle, list[RunRecord], tuple[float, float] | None], None],
        on_load: Callable[[Load], None],
        *,
        shows_params: bool,
    ) -> None:
        self.error: Exception | None = None
        self.left: list[Bundle] = []
        self._bundles = bundles
        self._on_result = on_result
        self._on_load = on_load
        self._shows_params = shows_params
        self._delivered: set[tuple[int, int]] = set()
        self._n_losses: dict[tuple[int, int], int] = {}
        self._load_s = -_LOAD_INTERVAL_S

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks for a restore that is never asked for; what ours holds belongs to this process.
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """Write what trackers show into the configuration; they come after this callback."""
        if self._shows_params:
            trial.config.update(self._bundle(trial).shown())

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        """Hand over the records of a pack."""
        if "records" not in result:
            return
        # Taken out of the result: Tune would keep them in the driver's memory to the end.
        records = [RunRecord(**row) for row in result.pop("records")]
        self._hand_over(trial, result.pop("place"), records, result.pop("memory"))

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """Let the new worker begin where the lost one stopped."""
        places = self._places_left(trial)
        self._note_loss(trial, places)
        # None is left where the worker is lost with its last result on the way; the last pack runs again then.
        trial.config["first"] = places[0] if places else len(self._bundle(trial).packs) - 1

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """Give the pack that too many workers were lost with failed records; the rest is left for another run.

        Tune gives up earlier where a reused worker dies between two tune_trials, or with several packs of a bundle.
        """
        bundle, places = self._bundle(trial), self._places_left(trial)
        n_losses = self._note_loss(trial, places)
        if places and n_losses > N_RETRIES:
            first, *places = places
            error_type, message = _error_of(trial, n_losses)
            records = [failed_record(item, error_type, message) for group in bundle.packs[first] for item in group]
            self._hand_over(trial, first, records, None)
            n_losses = 0
        if places:
            packs = tuple(bundle.packs[place] for place in places)
            self.left.append(replace(bundle, packs=packs, n_losses=n_losses))

    def on_step_end(self, iteration: int, trials: list[Any], **_: Any) -> None:
        """Tell the load, a few times a second at most."""
        now = time.monotonic()
        if now - self._load_s < _LOAD_INTERVAL_S:
            return
        self._load_s = now
        n_running = sum(
            len(group) for trial in trials if trial.status == TuneTrial.RUNNING for group in self._next_pack(trial)
        )
        # Not under the guard: it asks the head, and waits for long where that is lost.
        load = _load(n_running)
        self._guard(lambda: self._on_load(load))

    def _bundle(self, trial: Any) -> Bundle:
        return self._bundles[trial.config["bundle"]]

    def _is_delivered(self, trial: Any, place: int) -> bool:
        return (trial.config["bundle"], place) in self._delivered

    def _places_left(self, trial: Any) -> list[int]:
        return [place for place in range(len(self._bundle(trial).packs)) if not self._is_delivered(trial, place)]

    def _next_pack(self, trial: Any) -> Pack:
        return next((self._bundle(trial).packs[place] for place in self._places_left(trial)), ())

    def _note_loss(self, trial: Any, places: Sequence[int]) -> int:
        """Return how many workers were lost with the first of the packs that are left, this one included."""
        if not places:
            return 0
        before = self._bundle(trial).n_losses if places[0] == 0 else 0
        key = trial.config["bundle"], places[0]
        self._n_losses[key] = self._n_losses.get(key, before) + 1
        return self._n_losses[key]

    def _hand_over(self, trial: Any, place: int, records: list[RunRecord], memory: tuple[float, float] | None) -> None:
        # A worker that is lost after its result has come fails nothing.
        if self._is_delivered(trial, place):
            return
        self._delivered.add((trial.config["bundle"], place))
        bundle = self._bundle(trial)
        alone = replace(bundle, packs=(bundle.packs[place],))
        self._guard(lambda: self._on_result(alone, records, memory))

    def _guard(self, act: Callable[[], None]) -> None:
        try:
            with writing:
                act()
        except Exception as error:
            self.error = error
            raise


def _load(n_running: int) -> Load:
    total, free = ray.cluster_resources(), ray.available_resources()

    def used(name: str) -> tuple[float, float]:
        return total.get(name, 0.0) - free.get(name, 0.0), total.get(name, 0.0)

    n_nodes = sum(name.startswith("node:") and name != "node:__internal_head__" for name in total)
    return Load(n_running=n_running, n_nodes=n_nodes, cpus=used("CPU"), gpus=used("GPU"))


def _error_of(tune_trial: Any, n_losses: int) -> tuple[str, str]:
    """Return the error's type and message in one line."""
    # The file is Tune's own, written by this process into a folder of its own.
    path = tune_trial.pickled_error_file
    try:
        error = pickle.loads(Path(path).read_bytes()) if path else None
    except Exception as unreadable:
        # An error of a plug-in's own need not come back from its pickle.
        error = unreadable
    if isinstance(error, RayTaskError):
        cause = error.cause if isinstance(error.cause, Exception) else error
        return type(cause).__name__, one_line(cause, limit=None)
    reason = one_line(error, limit=None) if error else "Ray does not say why"
    if isinstance(error, OutOfMemoryError) or "running low on memory" in reason:
        return "OutOfMemoryError", reason
    return "WorkerLostError", f"the worker was lost {n_losses} times: {reason}"
