"""Tables that a user may write or read with any tool: CSV and Parquet, by the suffix of the file."""

from __future__ import annotations

import contextlib
import json
import math
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hsicl_core.errors import UserError

# From here on not every whole number is a float64.
_LARGEST = 2.0**53


class TableFileError(UserError, ValueError):
    """A table that cannot be read, or does not hold what it must."""


def read_table(path: Path, needed: Sequence[str], optional: Sequence[str] = ()) -> pa.Table:
    """Return some columns of a file. Those of a CSV file are text: ids that look like numbers stay what they are.

    Args:
        path: ``.csv`` (UTF-8, commas, names in the first line) or ``.parquet``.
        needed: columns that must be there.
        optional: columns that may be.

    Raises:
        TableFileError: no such file, not a table, no rows, or without a column that is needed.
    """
    check_suffix(path)
    if not os.path.isfile(path):
        raise TableFileError(f"no file {path}: check the path, relative to the folder you are in ({Path.cwd()})")
    try:
        found = _READERS[path.suffix.lower()](path, (*needed, *optional))
        table = pa.table({name: _plain(found[name], f"{path}: column {name}") for name in found.column_names})
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
        raise TableFileError(f"{path} is not a whole {path.suffix[1:]} table ({why}): write it again") from error
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise TableFileError(
            f"{path} has no column {', '.join(missing)}: it needs {', '.join(needed)}, in CSV with commas between"
        )
    if table.num_rows == 0:
        raise TableFileError(f"{path} holds no rows: write one per pixel")
    return table


def check_suffix(path: Path) -> None:
    """Raise TableFileError unless the file's name ends in a known way."""
    if path.suffix.lower() not in _READERS:
        raise TableFileError(f"{path}: unknown format {path.suffix!r}: name it .parquet or .csv")


def write_tables(path: Path, tables: Iterable[pa.Table], schema: pa.Schema, metadata: Mapping[str, Any]) -> list[Path]:
    """Write tables as one file, there whole or not at all, and return what was written.

    Args:
        path: ``.parquet``, each table a row group, or ``.csv``.
        tables: rows in ``schema``.
        schema: columns and types.
        metadata: plain values: of Parquet the value of its key ``hsicl``, of CSV the file ``NAME.csv.json``.

    Raises:
        TableFileError: the name's suffix is not known, or the file cannot be written.
    """
    check_suffix(path)
    text = json.dumps(metadata, sort_keys=True)
    is_csv = path.suffix.lower() == ".csv"
    beside = path.with_name(f"{path.name}.json")
    full = schema.with_metadata({"hsicl": text})
    with _whole(path) as temporary:
        if is_csv:
            writer = pacsv.CSVWriter(temporary, full, write_options=pacsv.WriteOptions(quoting_style="needed"))
        else:
            writer = pq.ParquetWriter(temporary, full, compression="zstd")
        with writer:
            for table in tables:
                writer.write_table(table.replace_schema_metadata(full.metadata))
    if not is_csv:
        return [path]
    with _whole(beside) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return [path, beside]


@contextlib.contextmanager
def _whole(path: Path) -> Any:
    """Give a name to write to; what is written is at ``path`` afterwards, unless writing failed."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise TableFileError(f"{path} cannot be written ({error}): choose another file or mend permissions") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return a column as float64, NaN where it holds no number."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        # Whole numbers beyond 2**53 lose digits here and are refused then.
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    values, codes = coded(column)
    return np.array([number_in(value) for value in values], dtype=np.float64)[codes]


def coded(column: pa.ChunkedArray) -> tuple[list[Any], NDArray[np.int64]]:
    """Return the different values of a column, None for what is missing, and (n_rows,) which of them a row has."""
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    return [*values, None], encoded.indices.fill_null(len(values)).to_numpy().astype(np.int64)


def number_in(value: Any) -> float:
    """Return the number that a value or its text is, NaN if none."""
    text = str(value)
    try:
        # Python reads 1_0 as ten and the digits of any script; here these are text, a class's name perhaps.
        return float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan


def is_whole(values: NDArray[np.float64], minimum: float = 0, below: float = _LARGEST) -> NDArray[np.bool_]:
    """Return where values are whole numbers >= minimum and < below."""
    return (values >= minimum) & (values < below) & (np.floor(values) == values)


def whole_numbers(column: pa.ChunkedArray, origin: str) -> NDArray[np.int64]:
    """Return a column of whole numbers >= 0.

    Args:
        column: numbers or their text; 3.0 is 3.
        origin: what the column is, for messages.

    Raises:
        TableFileError: a row holds something else.
    """
    found = numbers(column)
    wrong = np.flatnonzero(~is_whole(found))
    if wrong.size:
        first = int(wrong[0])
        raise TableFileError(
            f"{origin} must hold whole numbers >= 0, {wrong.size} rows do not (first: {str(column[first])[:40]!r} in "
            f"row {first + 1}): correct them"
        )
    return found.astype(np.int64)


def _read_csv(path: Path, names: Sequence[str]) -> pa.Table:
    with pacsv.open_csv(path) as reader:
        wanted = _wanted(path, reader.schema.names, names)
    if not wanted:
        # To pyarrow, no column chosen means all.
        return pa.table({})
    options = pacsv.ConvertOptions(
        include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()), strings_can_be_null=True,
        null_values=[""],
    )  # fmt: skip
    return pacsv.read_csv(path, convert_options=options)


def _read_parquet(path: Path, names: Sequence[str]) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read(columns=_wanted(path, file.schema_arrow.names, names))


def _wanted(path: Path, found: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return those of the columns found that are asked for."""
    wanted = [name for name in found if name in names]
    if len(set(wanted)) < len(wanted):
        raise TableFileError(f"{path} has two columns of one name: {', '.join(wanted)}; keep one of each")
    return wanted


# Nothing but missing values is no other type than text; polars writes views.
_TEXTS = (pa.types.is_null, pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_READERS = {".csv": _read_csv, ".parquet": _read_parquet}


def _plain(column: pa.ChunkedArray, origin: str) -> pa.ChunkedArray:
    """Return a column of integers, float64, truth values or text, whatever of these it is stored as."""
    if pa.types.is_dictionary(column.type):
        # pandas writes categories so.
        column = column.cast(column.type.value_type)
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        return column
    if pa.types.is_floating(column.type):
        return column.cast(pa.float64())
    if not any(is_text(column.type) for is_text in _TEXTS):
        raise TableFileError(f"{origin} holds {column.type}: one number or text per row is needed")
    text = column.cast(pa.string())
    text.validate(full=True)
    return text
