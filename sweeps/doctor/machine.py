"""Looks at this machine: what is installed, which devices, is the store writable, does Ray start."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from benchmark.scene_list import scenes_here
from results import open_store
from results.errors import one_line
from sweeps.doctor.cluster_file import LAUNCHER_SETTING
from sweeps.doctor.findings import Finding, fault, fine, note
from sweeps.registries import EXECUTORS

_NEEDED = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "threadpoolctl")
_OPTIONAL = ("ray", "optuna", "tensorly", "matplotlib", "jinja2", "pooch", "spectral", "tifffile", "h5py", "fsspec")


def examine(store_uri: str, *, starts_ray: bool = True) -> Iterator[Finding]:
    """Give what is found on this machine. The store's folder is made if it is missing.

    Args:
        store_uri: the store to try.
        starts_ray: whether to try that Ray starts here, some seconds.
    """
    python = f"{platform.python_version()} (3.11 or newer is needed)"
    yield Finding("Python", sys.version_info >= (3, 11), python)
    yield from (_package(name, is_needed=True) for name in _NEEDED)
    yield from (_package(name, is_needed=False) for name in _OPTIONAL)
    yield _tried("devices", _devices)
    yield _tried("scenes at hand", scenes_here)
    yield _tried(f"store {store_uri}", lambda: _writable(store_uri))
    yield _storage_note(store_uri)
    yield _launcher_note()
    if starts_ray:
        yield _tried("Ray", _ray)


def _package(name: str, *, is_needed: bool) -> Finding:
    subject = f"package {name}"
    try:
        return fine(subject, version(name))
    except PackageNotFoundError:
        remedy = f"not installed: run 'pip install {name}'"
        return fault(subject, remedy) if is_needed else note(subject, f"{remedy} if you need it")


def _tried(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return fine(subject, look())
    except Exception as error:
        # Whatever is wrong is what the doctor was asked for.
        return fault(subject, one_line(error))


def _devices() -> str:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"{torch.get_num_threads()} CPU threads, CUDA: {', '.join(names) or 'none'}"


def _writable(uri: str) -> str:
    open_store(uri).check_writable()
    return "writable"


def _ray() -> str:
    with EXECUTORS.get("ray")().session():
        return "starts on this machine"


def _storage_note(uri: str) -> Finding:
    """Return what a store's address means on a cluster: records are written where the sweep is started."""
    if "://" in uri:
        text = "object storage: the machine that starts the sweep needs its credentials and region, the nodes do not"
    else:
        text = "a folder here; a sweep sent by 'ray submit' writes to the head: 'ray rsync-down' brings it home"
    return note("store on a cluster", text)


def _launcher_note() -> Finding:
    text = "0 is needed by 'ray up' for on-premise clusters, clouds work with either"
    return note(LAUNCHER_SETTING, f"{os.environ.get(LAUNCHER_SETTING) or 'not set'}; {text}")
