"""What was measured: the record, its Arrow schema, the store, and the scores derived from confusion matrices."""

from results.errors import ResultsError, SchemaError, StoreError
from results.record import RunRecord
from results.store import ResultStore, open_store

__all__ = ["ResultStore", "ResultsError", "RunRecord", "SchemaError", "StoreError", "open_store"]
