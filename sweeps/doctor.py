"""Doctor: what is installed, which devices, is the store writable, does Ray start. Each finding with its remedy."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from benchmark.scene_list import scenes_here
from results import open_store
from sweeps.registries import EXECUTORS

_NEEDED = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "threadpoolctl")
_OPTIONAL = ("ray", "optuna", "tensorly", "matplotlib", "jinja2", "pooch", "spectral", "tifffile", "h5py", "fsspec")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what was looked at.
        is_ok: whether hsicl can work with it.
        text: what was found; where it is not ok, what to do.
    """

    subject: str
    is_ok: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.is_ok else 'FAIL'}  {self.subject}: {self.text}"


def examine(store_uri: str) -> list[Finding]:
    """Return what was found on this machine. The store's folder is made if it is missing.

    Args:
        store_uri: the store to try.
    """
    return [
        Finding("Python", sys.version_info >= (3, 11), f"{platform.python_version()} (3.11 or newer is needed)"),
        *(_package(name, is_needed=True) for name in _NEEDED),
        *(_package(name, is_needed=False) for name in _OPTIONAL),
        _tried("devices", _devices),
        _tried("scenes at hand", scenes_here),
        _tried(f"store {store_uri}", lambda: _writable(store_uri)),
        _tried("Ray", _ray),
    ]


def _package(name: str, *, is_needed: bool) -> Finding:
    try:
        return Finding(f"package {name}", True, version(name))
    except PackageNotFoundError:
        remedy = f"not installed: run 'pip install {name}'"
        return Finding(f"package {name}", not is_needed, remedy if is_needed else f"{remedy} if you need it")


def _tried(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, look())
    except Exception as error:
        return Finding(subject, False, " ".join(str(error).split()))


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
