"""What was measured: the record, its Arrow schema, the store, and the scores derived from confusion matrices.

Names are imported when first used, so that ``python -m results.schema`` does not import itself twice.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from results.errors import ResultsError, SchemaError, StoreError
    from results.record import RunRecord
    from results.store import ResultStore, open_store

_HOME = {
    "ResultsError": "results.errors",
    "SchemaError": "results.errors",
    "StoreError": "results.errors",
    "RunRecord": "results.record",
    "ResultStore": "results.store",
    "open_store": "results.store",
}

__all__ = ["ResultStore", "ResultsError", "RunRecord", "SchemaError", "StoreError", "open_store"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'results' has no attribute {name!r}")
