"""What one machine says of itself. Sent as text or by value to machines that may not have hsicl: standard library only.

The same source runs over ssh, in a Ray task and here, so that the answers compare.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import socket
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# Every line of an answer begins with it: shells print what they like around it.
MARK = "hsicl-doctor:"


def answer(look_for: list[str], connect_to: list[tuple[str, int]]) -> dict[str, Any]:
    """Return what this machine is and has; a second or two, most of it the import of torch. Nothing is written.

    Args:
        look_for: paths; ``seen`` lists those that exist.
        connect_to: hosts and ports; ``reached`` lists those hosts that accept a connection within 5 s.

    Returns:
        Plain values. Sizes in GiB. What cannot be found out is None.
    """
    began = time.time()
    return {
        "began": began,
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "packages": {name: _version(name) for name in ("ray", "torch", "numpy", "hsicl")},
        **_hsicl(),
        **_devices(),
        "memory_gib": _memory_gib(),
        "shared_memory_gib": _disk_gib("/dev/shm", "total"),
        "free_gib": {folder: _disk_gib(folder, "free") for folder in (str(Path.home()), "/tmp")},
        "seen": [path for path in look_for if os.path.exists(path)],
        "reached": [host for host, port in connect_to if _accepts(host, port)],
        "auth_mode": os.environ.get("RAY_AUTH_MODE"),
        "token": _token(),
        # Last: between the two, whoever asked can tell how far this clock is off.
        "ended": time.time(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _hsicl() -> dict[str, Any]:
    try:
        from benchmark import BENCHMARK_VERSION, provenance
        from benchmark.scenes.base import data_root

        root = data_root()
        return {
            "benchmark_version": BENCHMARK_VERSION,
            "code": _code(),
            "commit": provenance.commit()[0],
            "data_root": str(root),
            "has_data_root": root.is_dir(),
            "hsicl_error": None,
        }
    except Exception as error:
        # A broken installation may raise anything.
        return {"hsicl_error": f"{type(error).__name__}: {error}"}


def _code() -> str:
    """Return a digest over the source of the rooms that make numbers, wherever they are installed."""
    digest = hashlib.sha256()
    for room in ("benchmark", "hsicl_core", "results", "sweeps"):
        spec = importlib.util.find_spec(room)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"No module named {room!r}")
        folder = Path(spec.origin).parent
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{room}/{path.relative_to(folder).as_posix()}".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _devices() -> dict[str, Any]:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        import torch

        gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return {"cpus": cpus, "threads": torch.get_num_threads(), "gpus": gpus, "torch_error": None}
    except Exception as error:
        # As above.
        return {"cpus": cpus, "threads": None, "gpus": [], "torch_error": f"{type(error).__name__}: {error}"}


def _memory_gib() -> float | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (ValueError, OSError, AttributeError):
        return None


def _disk_gib(folder: str, what: str) -> float | None:
    try:
        return float(getattr(shutil.disk_usage(folder), what)) / 2**30
    except OSError:
        return None


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def _token() -> dict[str, str | None] | None:
    """Return a digest by which two tokens compare, and the mode of the token's file; None where there is no token."""
    text, mode = os.environ.get("RAY_AUTH_TOKEN"), None
    if not text:
        path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
        try:
            text, mode = path.read_text(), f"{path.stat().st_mode & 0o777:03o}"
        except OSError:
            return None
    return {"digest": hashlib.sha256(text.strip().encode()).hexdigest()[:8], "mode": mode}


def script(look_for: list[str], connect_to: list[tuple[str, int]]) -> str:
    """Return a Python program that prints the answer of the machine it runs on, as one line of JSON."""
    source = Path(__file__).read_text(encoding="utf-8")
    # The end of a process that has imported torch takes a second.
    return f"{source}\nprint(MARK + json.dumps(answer({look_for!r}, {connect_to!r})), flush=True)\nos._exit(0)\n"


def read_answer(output: str) -> dict[str, Any] | None:
    """Return the answer that ``script`` printed somewhere in ``output``, None where there is none."""
    for line in reversed(output.splitlines()):
        _, mark, text = line.partition(f"{MARK}{{")
        if mark:
            try:
                return dict(json.loads("{" + text))
            except ValueError:
                continue
    return None
