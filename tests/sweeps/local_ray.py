"""A Ray on this machine for a module of tests, with as many processors and GPUs as it is told that there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import ray

MARKS = [
    pytest.mark.ray,
    # Ray leaves sockets and log files of its own to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@contextmanager
def local_ray(home: Path, **resources: Any) -> Iterator[None]:
    """Start Ray, and end it; what it writes to the home goes to ``home``.

    Args:
        home: a folder.
        resources: of ``ray.init``, e.g. ``num_cpus``.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("RAY_CHDIR_TO_TRIAL_DIR", "0")
        ray.init("local", include_dashboard=False, log_to_driver=False, logging_level="ERROR", **resources)
        yield
        ray.shutdown()
