"""The Ray executor: groups of trials as Ray Tune trials, on this machine or a cluster.

The only file of the project that imports Ray; the registry imports it when ``--executor ray`` asks for it. Ray's own
trial is a *tune_trial* here: it runs one group, that is, one fit with all trials that share it.

Tune only executes. Every record travels back as the tune_trial's result and is handed over as soon as it arrives, so
nothing that was finished is lost with the driver, no shared file system is needed, and Tune's own files are thrown
away.
"""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import InvalidValueError, MissingPackageError, Scene, run_group
from benchmark.runner import failed_record
from results import RunRecord
from sweeps.executors.base import Executor, Group

try:
    import ray
    from ray import tune
    from ray.exceptions import RayTaskError
except ImportError as error:
    raise MissingPackageError("ray[tune]", "--executor ray") from error

# Ray reads these when it starts. A user's own settings win.
_SETTINGS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming default; the present one warns at every start
    "RAY_AIR_NEW_OUTPUT": "0",  # with verbose=0, no tables beside our progress line
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a relative data root means the same folder here and in a worker
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard copies of what our store holds
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours to answer
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

# Once more after a lost worker; a trial's own error is in its record and never comes here.
_N_RETRIES = 1


_CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class RayExecutor(Executor):
    """Runs groups side by side, one CPU each, in workers that are reused from group to group.

    Without ``gpus_per_trial`` device ``"auto"`` is the CPU: a worker that asked for no GPU may see one that others use.
    """

    def __post_init__(self) -> None:
        if self.gpus_per_trial < 0:
            raise InvalidValueError(f"--gpus-per-trial must be >= 0, got {self.gpus_per_trial:g}: 0 runs on CPUs only")

    @contextmanager
    def session(self) -> Iterator[None]:
        """Connect to Ray, or start it here; within an outer session this does nothing."""
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        if ray.is_initialized():
            yield
            return
        if self.address is None:
            # A cluster of one process tree on this machine; by default Ray would leave a token file in the home.
            os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        try:
            _check_reachable(self.address)
            ray.init(
                address=self.address or "local",
                include_dashboard=None if self.address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise InvalidValueError(
                f"--address {self.address}: no Ray to be had there ({_one_line(error)}): start a cluster with 'ray up' "
                "or 'ray start --head', or leave --address out to run on this machine"
            ) from error
        try:
            yield
        finally:
            ray.shutdown()

    def execute(
        self,
        groups: Sequence[Group],
        scenes: Mapping[str, Scene],
        *,
        device: str,
        on_record: Callable[[RunRecord], None],
    ) -> None:
        """See ``Executor.execute``."""
        if device == "auto" and not self.gpus_per_trial:
            device = "cpu"
        with self.session(), _silence(), _private_folder() as folder:
            self._check_resources()
            handover = _Handover(groups, on_record)
            # The data goes into the object store once; a tune_trial's configuration is a number.
            trainable = tune.with_parameters(_GroupRun, groups=list(groups), scenes=dict(scenes), device=device)
            tuner = tune.Tuner(
                tune.with_resources(trainable, {"cpu": 1, "gpu": self.gpus_per_trial}),
                param_space={"group": tune.grid_search(list(range(len(groups))))},
                tune_config=tune.TuneConfig(reuse_actors=True),
                run_config=tune.RunConfig(
                    name="groups",
                    storage_path=folder,
                    verbose=0,
                    callbacks=[handover],
                    # For a Trainable class Tune would ask for a checkpoint at the end. There is nothing to keep.
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    failure_config=tune.FailureConfig(max_failures=_N_RETRIES),
                ),
            )
            try:
                tuner.fit()
            except Exception:
                # Tune wraps what a callback raises in an error of its own.
                if handover.error is not None:
                    raise handover.error from None
                raise

    def _check_resources(self) -> None:
        # On a cluster GPUs may join later; on this machine a fit that asks for one would wait for ever.
        n_gpus = ray.cluster_resources().get("GPU", 0)
        if self.address is None and self.gpus_per_trial > n_gpus:
            raise InvalidValueError(
                f"--gpus-per-trial {self.gpus_per_trial:g}: this machine has {n_gpus:g} GPUs: ask for no more than that"
            )


class _GroupRun(tune.Trainable):
    """One group per step; a reused worker is given the number of its next one."""

    def setup(self, config: dict[str, Any], groups: Sequence[Group], scenes: Mapping[str, Scene], device: str) -> None:
        self._groups, self._scenes, self._device = groups, scenes, device

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True

    def step(self) -> dict[str, Any]:
        group = self._groups[self.config["group"]]
        records = run_group(group, self._scenes[group[0].scene], device=self._device)
        return {"records": [vars(record) for record in records], "done": True}


class _Handover(tune.Callback):
    """Hands over the records of finished tune_trials, and failed records for those whose worker was lost."""

    def __init__(self, groups: Sequence[Group], on_record: Callable[[RunRecord], None]) -> None:
        self.error: Exception | None = None
        self._groups = groups
        self._on_record = on_record
        self._delivered: set[int] = set()

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        # Taken out of the result: Tune would keep it in the driver's memory to the end.
        self._hand_over(trial, (RunRecord(**row) for row in result.pop("records")))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        error_type, message = _error_of(trial)
        group = self._groups[trial.config["group"]]
        self._hand_over(trial, (failed_record(item, error_type, message) for item in group))

    def _hand_over(self, trial: Any, records: Iterator[RunRecord]) -> None:
        # A worker that is lost after its result has come fails nothing.
        if trial.config["group"] in self._delivered:
            return
        self._delivered.add(trial.config["group"])
        try:
            for record in records:
                self._on_record(record)
        except Exception as error:
            self.error = error
            raise


def _check_reachable(address: str | None) -> None:
    # Ray itself tries for minutes, logging all the while.
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_S).close()


def _error_of(tune_trial: Any) -> tuple[str, str]:
    """Return the error's type and message in one line."""
    # The file is Tune's own, written by this process into a folder of its own.
    path = tune_trial.pickled_error_file
    error = pickle.loads(Path(path).read_bytes()) if path else None
    if isinstance(error, RayTaskError):
        cause = error.cause if isinstance(error.cause, Exception) else error
        return type(cause).__name__, _one_line(cause)
    reason = _one_line(error) if error else "Ray does not say why"
    return "WorkerLostError", f"the worker was lost {_N_RETRIES + 1} times: {reason}"


@contextmanager
def _silence() -> Iterator[None]:
    # Errors are in the records; Tune's log would tear the progress line.
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune", "ray.air")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _private_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="hsicl-tune-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
