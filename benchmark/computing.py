"""How a trial computes: the device, one thread, the memory it took."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from hsicl_core.checks import check_choice
from hsicl_core.errors import InvalidValueError


def check_device_name(name: str) -> None:
    """Raise InvalidValueError unless ``name`` is ``"auto"``, ``"cpu"`` or ``"cuda"``, at hand or not."""
    check_choice("device", name, ("auto", "cpu", "cuda"))


def resolve_device(name: str) -> torch.device:
    """Return the device called ``name``: ``"cpu"``, ``"cuda"``, or ``"auto"``, which is CUDA where there is one.

    Raises:
        InvalidValueError: another name, or no CUDA device where one is asked for.
    """
    check_device_name(name)
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidValueError("device='cuda' is asked for and torch sees no CUDA device: use device='cpu' or 'auto'")
    use_cuda = name != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if use_cuda else "cpu")


@contextlib.contextmanager
def reproducibly() -> Iterator[None]:
    """Compute in one thread and with deterministic kernels, then put the settings back.

    Sums over several threads are added in another order, so the number of threads would change the numbers. Trials
    are small: two of them beside each other use two cores better than one of them on both.
    """
    deterministic = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        with in_threads(1):
            yield
    finally:
        torch.backends.cudnn.deterministic = deterministic


@contextlib.contextmanager
def in_threads(n_threads: int | None) -> Iterator[None]:
    """Compute in so many threads, then put the setting back; None leaves it as it is."""
    before = torch.get_num_threads()
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    try:
        with threadpool_limits(n_threads):
            yield
    finally:
        torch.set_num_threads(before)


def reset_peak_memory(device: torch.device) -> None:
    """Start measuring anew, where the system allows it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mib(device: torch.device) -> float | None:
    """Return the peak since the last reset in MiB: of torch's allocator on CUDA, of the whole process on CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return None if peak is None else int(peak) / 1024
