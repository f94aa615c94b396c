"""The connection to Ray: joined where there is a cluster, else started on this machine and ended with the run."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import RayError

from benchmark import InvalidValueError
from results.errors import one_line
from sweeps.on_ray import ray
from sweeps.on_ray.lifeline import watched_here, watched_there

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
_CONNECT_TIMEOUT_S = 10.0


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to Ray at ``address``, or start it here where that is None; within an outer session do nothing.

    Raises:
        InvalidValueError: there is no Ray at the address, or none can be started.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if ray.is_initialized():
        yield
        return
    with _started_here() if address is None else _joined(address):
        yield


@contextmanager
def _started_here() -> Iterator[None]:
    # By default Ray would leave a token file in the home. What the user has set counts, from Ray's import on.
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    try:
        with watched_here():
            try:
                with _sigterm_left_alone():
                    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            except Exception as error:
                # Where a process of its own ends, Ray raises a bare Exception.
                raise InvalidValueError(
                    f"--executor ray: Ray did not start on this machine ({one_line(error, limit=None)}): try again, "
                    "see 'hsicl doctor', or use --executor loop"
                ) from error
            yield
    finally:
        ray.shutdown()


@contextmanager
def _joined(address: str) -> Iterator[None]:
    try:
        _check_reachable(address)
        with _sigterm_left_alone():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise InvalidValueError(
            f"--address {address}: no Ray to be had there ({one_line(error, limit=None)}): start a cluster with "
            "'ray up' or 'ray start --head', give this machine its token if it asks for one (RAY_AUTH_MODE=token), or "
            "leave --address out to run on this machine"
        ) from error
    try:
        with watched_there():
            yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    # Ray itself tries for minutes, logging all the while.
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_S).close()


@contextmanager
def _sigterm_left_alone() -> Iterator[None]:
    # Ray sets a handler that exits with 15, and another that prints a stack and aborts the process 3 s later.
    old = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, old)


@contextmanager
def silence() -> Iterator[None]:
    """Keep Ray's log out of the progress view: what went wrong is in the records."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune", "ray.air")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
