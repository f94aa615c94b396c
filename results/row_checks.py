"""What must hold in one row of a store, whichever file it is in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

_STATUSES = ("ok", "diverged", "failed")
_PURPOSES = ("trial", "search")
_JSON = ("params_json", "protocol_params_json")
_NEVER_NULL = (
    "benchmark_version", "trial_id", "config_id", "scene", "scene_hash", "split_rule", "method", "protocol", "seed",
    *_JSON,
)  # fmt: skip
# Part of a split by the matrix that counts its pixels.
_PARTS = {"confusion_val": "n_val", "confusion_test": "n_test"}


def faults_of(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a row of ``read().to_pylist()``, a few words each."""
    for name in _NEVER_NULL:
        if row[name] is None:
            yield f"{name} is empty"
    if row["status"] not in _STATUSES:
        yield f"status {row['status']!r:.40} is none of {', '.join(_STATUSES)}"
    if row["purpose"] not in _PURPOSES:
        yield f"purpose {row['purpose']!r:.40} is none of {', '.join(_PURPOSES)}"
    for name in _JSON:
        if row[name] is not None and not _is_object(row[name]):
            yield f"{name} is no JSON object"
    yield from _faults_of_standing(row)
    for name, part in _PARTS.items():
        if row[name] is not None:
            yield from _faults_of_matrix(row, name, part)


def _faults_of_standing(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what does not fit the row's status and purpose."""
    measured = [name for name in _PARTS if row[name] is not None]
    if row["status"] == "ok":
        needed = [name for name in _PARTS if name == "confusion_val" or row["purpose"] == "trial"]
        yield from (f"status 'ok', but no {name}" for name in needed if name not in measured)
    else:
        yield from (f"status {row['status']!r:.40}, but a {name}" for name in measured)
        if not row["error_type"] and not row["error"]:
            yield f"status {row['status']!r:.40}, but no error"
    if row["purpose"] == "search" and "confusion_test" in measured:
        yield "a search row with a test matrix: test was looked at before the choice"


def _faults_of_matrix(row: Mapping[str, Any], name: str, part: str) -> Iterator[str]:
    matrix = row[name]
    if any(line is None or len(line) != len(matrix) or None in line for line in matrix):
        yield f"{name} is not square"
        return
    if any(count < 0 for line in matrix for count in line):
        yield f"{name} has negative counts"
    if row["class_names"] is not None and len(matrix) != len(row["class_names"]):
        yield f"{name} has {len(matrix)} classes, class_names {len(row['class_names'])}"
    total = int(np.sum(matrix, dtype=np.int64)) if matrix else 0
    if row[part] is not None and total != row[part]:
        yield f"{name} counts {total} pixels, {part} says {row[part]}"


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
