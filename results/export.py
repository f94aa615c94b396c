"""Export a store as one flat table: CSV, Parquet or JSON, with the scores derived."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from results.addresses import remedy
from results.errors import StoreError, one_line
from results.local_files import put_whole
from results.metrics import SCORES
from results.schema import SCHEMA
from results.score_columns import PREFIXES
from results.store import ResultStore

# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Exported(NamedTuple):
    """How many rows were written, and how many of them are a search's: scored on validation pixels only."""

    n_rows: int
    n_search: int


def export(store: ResultStore, file: Path) -> Exported:
    """Write all rows of ``store``, one line each, and return how many.

    Columns are those of the schema; nested ones hold JSON text. OA, AA, kappa (test) and val_OA, val_AA, val_kappa are
    fractions, empty without a matrix. In CSV, text that a spreadsheet would take for a formula gets an apostrophe.

    Args:
        store: what to write.
        file: a local file, replaced whole; its ending (.csv, .parquet, .json) says what it becomes.

    Raises:
        StoreError: another ending, a file that the store would take for its own, or it cannot be read or written.
    """
    write = _WRITERS.get(file.suffix.lower())
    if write is None:
        raise StoreError(f"{str(file)!r} must end with {', '.join(_WRITERS)}: rename it")
    if store.files.is_local and file.absolute().parent.resolve() == Path(store.files.path).resolve():
        raise StoreError(f"{str(file)!r} would lie among the files of the store: choose another folder")
    if not file.absolute().parent.is_dir():
        raise StoreError(f"{str(file)!r}: folder {str(file.parent)!r} does not exist: make it first")
    table = flat_table(store.read())
    try:
        put_whole(file.absolute(), write(table))
    except OSError as error:
        raise StoreError(f"{str(file)!r} cannot be written ({one_line(error)}): {remedy(error)}") from error
    return Exported(table.num_rows, n_search=table.column("purpose").to_pylist().count("search"))


def flat_table(rows: pa.Table) -> pa.Table:
    """Return ``rows`` of a store with scores, every column a number, a text, a truth or a time.

    Raises:
        StoreError: a confusion matrix is none.
    """
    columns = {
        name: pa.array([_json(name, value) for value in rows.column(name).to_pylist()], pa.string())
        if pa.types.is_nested(SCHEMA.field(name).type)
        else rows.column(name)
        for name in SCHEMA.names
    }
    for matrix, prefix in PREFIXES.items():
        matrices = rows.column(matrix).to_pylist()
        for score, derive in SCORES.items():
            columns[f"{prefix}{score}"] = pa.array([_score(derive, each) for each in matrices], pa.float64())
    return pa.table(columns)


def _score(derive: Callable[[Any], float], matrix: list[list[int]] | None) -> float | None:
    if matrix is None:
        return None
    try:
        value = derive(np.array(matrix, dtype=np.int64))
    except (ValueError, TypeError) as error:
        raise StoreError(f"a confusion matrix is not square ({one_line(error)}): run 'hsicl store verify'") from error
    return None if math.isnan(value) else value


def _json(name: str, value: Any) -> str | None:
    if value is None:
        return None
    is_map = pa.types.is_map(SCHEMA.field(name).type)
    return json.dumps(dict(sorted(value)) if is_map else value, ensure_ascii=False)


def _csv(table: pa.Table) -> bytes:
    text = io.StringIO(newline="")
    # With another line end a cell that holds a lone carriage return is not quoted.
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(table.column_names)
    writer.writerows([_cell(value) for value in row.values()] for row in table.to_pylist())
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, dt.datetime) else value


def _parquet(table: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return memoryview(sink.getvalue())


def _plain_json(table: pa.Table) -> bytes:
    rows = [{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()]
    return json.dumps(rows, ensure_ascii=False, allow_nan=False, indent=1).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    # JSON knows neither NaN nor infinity.
    return None if isinstance(value, float) and not math.isfinite(value) else value


_WRITERS: dict[str, Callable[[pa.Table], bytes | memoryview]] = {
    ".csv": _csv, ".parquet": _parquet, ".json": _plain_json,
}  # fmt: skip
