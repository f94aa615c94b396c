"""Ends this process with one line where the Ray that it works with is lost.

Ray would not: without its head a driver waits a minute, without its raylet about fifteen seconds, and then Ray's C++
ends the process with status 1, with no exception that could be caught. Until then the main thread may sit in a call
into Ray that no signal interrupts. So a thread looks whether both are still there, and ends the process itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmark.node_cache import forget, shared_folder
from sweeps.on_ray import ray

# As for a user's error: nothing is wrong with the trials, and the same command goes on.
_STATUS = 2
_PERIOD_S = 1.0
_TIMEOUT_S = 10.0
# A refused connection is the end; one that times out may be a slow network.
_N_TIMEOUTS = 3
# Names of processes.
_DAEMONS = {"gcs_server": "head", "raylet": "raylet"}

# Held while a record is handed over: the process does not end inside.
writing = threading.Lock()


def private_folder_prefix() -> str:
    """Return the prefix of this process's folders in the temporary folder: they are removed at such an end."""
    return f"hsicl-tune-{os.getpid()}-"


@contextmanager
def watched_here() -> Iterator[None]:
    """Watch head and raylet that this process starts, or has started, inside the block."""
    daemons = _Daemons()
    with _watched(daemons.lost, daemons.started):
        yield


@contextmanager
def watched_there() -> Iterator[None]:
    """Watch the head of the cluster that this process has joined, and the raylet that it joined it by."""
    with _watched(_Connections(_addresses()).lost, list):
        yield


@contextmanager
def _watched(lost: Callable[[], str | None], started: Callable[[], list[psutil.Process]]) -> Iterator[None]:
    left = threading.Event()

    def watch() -> None:
        while not left.wait(_PERIOD_S):
            try:
                what = lost()
            except Exception:
                # Nothing that was seen: a process that ended while it was looked at, say.
                continue
            if what is not None and not left.is_set():
                _end(what, started())

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        left.set()


class _Daemons:
    """Says what of the head and the raylet that this process starts has ended, from the moment they are there."""

    def __init__(self) -> None:
        # What an earlier session left is none of ours.
        self._before = {child.pid for child in psutil.Process().children()}
        self._found: dict[str, psutil.Process] = {}

    def lost(self) -> str | None:
        if len(self._found) < len(_DAEMONS):
            children = [child for child in psutil.Process().children() if child.pid not in self._before]
            self._found |= {name: child for child in children if (name := _name(child)) in _DAEMONS}
        ended = [name for name, process in self._found.items() if _has_ended(process)]
        return f"its {_DAEMONS[ended[0]]} on this machine has ended" if ended else None

    def started(self) -> list[psutil.Process]:
        """Return what runs of that Ray, its workers included; a tracker's processes, say, are not of it."""
        children = [child for child in psutil.Process().children() if child.pid not in self._before and _is_rays(child)]
        return [process for child in children for process in (child, *child.children(recursive=True))]


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _is_rays(process: psutil.Process) -> bool:
    try:
        return any(part.startswith(str(Path(ray.__file__).parent)) for part in process.cmdline())
    except psutil.Error:
        return False


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class _Connections:
    """Says what no longer answers; a connection is opened and closed."""

    def __init__(self, addresses: dict[str, tuple[str, int]]) -> None:
        self._addresses = addresses
        self._n_timeouts = dict.fromkeys(addresses, 0)

    def lost(self) -> str | None:
        for name, address in self._addresses.items():
            try:
                socket.create_connection(address, timeout=_TIMEOUT_S).close()
                self._n_timeouts[name] = 0
            except ConnectionRefusedError:
                self._n_timeouts[name] = _N_TIMEOUTS
            except OSError:
                # A slow network, a name that is not found just now, this process's own limits.
                self._n_timeouts[name] += 1
            if self._n_timeouts[name] >= _N_TIMEOUTS:
                return f"its {name} does not answer"
        return None


def _addresses() -> dict[str, tuple[str, int]]:
    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    here = next(node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
    return {
        f"head at {context.gcs_address}": (host.strip("[]"), int(port)),
        "raylet on this machine": (here["NodeManagerAddress"], here["NodeManagerPort"]),
    }


def _end(what: str, processes: list[psutil.Process]) -> None:
    with writing:
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        for folder in Path(tempfile.gettempdir()).glob(f"{private_folder_prefix()}*"):
            shutil.rmtree(folder, ignore_errors=True)
        forget(shared_folder())
        sys.stderr.write(f"\nhsicl: Ray was lost ({what}): the same command goes on from here\n")
        sys.stderr.flush()
        os._exit(_STATUS)
