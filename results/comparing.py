"""Whether two rows of one trial are one result: equal in all that was measured, whatever machine measured it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from results.metrics import overall_accuracy
from results.schema import ADDED_COLUMNS, VOLATILE_COLUMNS

# How it was measured, not what. n_threads and device may change the last digits of a sum: then a measured column
# differs too, and says so; where none does, two machines agree.
CIRCUMSTANCES = (*VOLATILE_COLUMNS, "n_threads", "device", "schema_version")
_MAPS = ("diagnostics", "dropped", "noted")
# Rows of earlier schema versions do not say them. (Of labels_percent and masks null is all they have to say.)
_MAY_BE_UNSAID = {name for names in ADDED_COLUMNS.values() for name in names} - {"labels_percent", "masks"}
_WIDTH = 48


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the columns, circumstances apart, in which two rows of ``read().to_pylist()`` differ; NaN equals NaN.

    A column that a later schema version added may be null in one of them: that row does not say it.
    """
    names = [name for name in one if name not in CIRCUMSTANCES]
    return [name for name in names if not _agree(name, one[name], other[name])]


def _agree(name: str, one: Any, other: Any) -> bool:
    if name in _MAY_BE_UNSAID and (one is None or other is None):
        return True
    return _text(name, one) == _text(name, other)


def _text(name: str, value: Any) -> str:
    if name in _MAPS and value is not None:
        value = sorted(value)
    return json.dumps(value, default=str)


def short(name: str, value: Any) -> str:
    """Return a value in a few characters, for a line that compares two; of a confusion matrix its OA."""
    if name.startswith("confusion") and value is not None:
        return f"OA {overall_accuracy(np.array(value)):.4f}" if _is_square(value) else "no square matrix"
    text = " ".join(_text(name, value).split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _is_square(matrix: list[list[int]]) -> bool:
    return all(len(row) == len(matrix) for row in matrix)
