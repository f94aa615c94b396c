"""The identity of a stored row, hashed again from its columns: whether a row is of the trial that it says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from benchmark.trial import BENCHMARK_VERSION, SplitSpec, Trial, digest

# Column of a row by attribute of SplitSpec and of Trial.
_SPLIT = {
    "rule": "split_rule", "labels_per_class": "labels_per_class", "labels_percent": "labels_percent",
    "masks": "masks", "val_per_class": "val_per_class", "patch_size": "patch_size", "index": "split_index",
}  # fmt: skip
_TRIAL = {
    "scene": "scene", "scene_hash": "scene_hash", "method": "method", "params": "params_json",
    "protocol": "protocol", "protocol_params": "protocol_params_json", "seed": "seed", "purpose": "purpose",
}  # fmt: skip
_MAY_BE_NULL = ("labels_per_class", "labels_percent", "masks")
# All hash the same description of a trial.
_VERSIONS = tuple(str(version) for version in range(1, int(BENCHMARK_VERSION) + 1))


def rebuilt_identity(row: Mapping[str, Any]) -> dict[str, str] | None:
    """Return ``trial_id`` and ``config_id`` as the other columns of a row give them, of the rules of its own version.

    A row of predictions that were imported is one like any other.

    Args:
        row: one of ``store.read().to_pylist()``.

    Returns:
        None where the columns do not say: one is empty, or the rules are of a version this code does not know.
    """
    needed = [name for name in (*_SPLIT.values(), *_TRIAL.values()) if name not in _MAY_BE_NULL]
    if row["benchmark_version"] not in _VERSIONS or any(row[name] is None for name in needed):
        return None
    split = SplitSpec(**{name: row[column] for name, column in _SPLIT.items()})
    trial = Trial(split=split, **{name: row[column] for name, column in _TRIAL.items()})
    described = {**dataclasses.asdict(trial), "split": split.described()}
    trial_id = digest([row["benchmark_version"], described])
    del described["seed"], described["split"]["index"], described["purpose"]
    return {"trial_id": trial_id, "config_id": digest([row["benchmark_version"], described])}
