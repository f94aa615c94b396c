"""What is measured in a process of its own, so that nothing that ran before is in it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import torch

from benchmark.computing import peak_memory_mib, reset_peak_memory

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

NO_PEAK = "not measured: no peak of memory is told here"


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a run took at most.

    Attributes:
        beyond_mib: MiB beyond what was there before the run.
        whole_mib: MiB of all that is there, the interpreter and what it has imported included: on the CPU of the
            whole process since it started, on CUDA of torch's allocator.
    """

    beyond_mib: float
    whole_mib: float


def in_a_fresh_process(
    run: Callable[_Arguments, _Result], *arguments: _Arguments.args, **keywords: _Arguments.kwargs
) -> _Result:
    """Return what ``run`` returns in an interpreter started for it.

    Args:
        run: a function of a module, which is found there by its name.
        arguments: of ``run``; they are pickled, as is what it returns.
        keywords: of ``run``, likewise.

    Raises:
        Exception: whatever ``run`` raises.
        BrokenProcessPool: the process was killed, as where memory ends.

    Cost: the seconds that importing takes.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run, *arguments, **keywords).result()


def memory_of(run: Callable[[], object], device: torch.device) -> Memory | None:
    """Return what ``run`` takes on ``device``; None where the system does not tell.

    Not by ``resource.getrusage``: on Linux a process inherits that peak from the one that started it.
    """
    since_the_start = peak_memory_mib(device)
    reset_peak_memory(device)
    before = peak_memory_mib(device)
    run()
    most = peak_memory_mib(device)
    if since_the_start is None or before is None or most is None:
        return None
    return Memory(beyond_mib=most - before, whole_mib=max(since_the_start, most))
