"""Trials that nobody runs, and the records they would give: what progress is told."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from benchmark import Trial, plan_trial
from benchmark.runner import failed_record
from results import RunRecord
from tests.record_factory import confusion
from tests.sweeps.sweep_factory import SPLIT, tiny_scenes


@functools.cache
def _scene(name: str) -> Any:
    return dataclasses.replace(tiny_scenes()["tiny"], name=name)


def trial_of(
    method: str = "noisy", *, scene: str = "tiny", seed: int = 0, index: int = 0, rule: str = "random", **params: Any
) -> Trial:
    """Return a trial; ``params`` are the method's."""
    split = dataclasses.replace(SPLIT, index=index, rule=rule)
    return plan_trial(_scene(scene), method=method, params=params, protocol="knn", split=split, seed=seed)


def record_of(
    trial: Trial, *, oa: float | None = 0.5, fit_s: float = 1.0, protocol_s: float = 0.0, **changes: Any
) -> RunRecord:
    """Return the record of a trial that ended well, with validation OA ``oa`` to 1/1000; failed where it is None."""
    failed = failed_record(trial, "ValueError", "on purpose")
    if oa is None:
        return dataclasses.replace(failed, **changes)
    measured: dict[str, Any] = {
        "status": "ok", "error": None, "error_type": None, "confusion_val": confusion(oa, n=1000),
        "fit_s": fit_s, "embed_s": 0.0, "protocol_s": protocol_s,
    }  # fmt: skip
    return dataclasses.replace(failed, **{**measured, **changes})


class Clock:
    """Stands still until it is told otherwise."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s
