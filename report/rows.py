"""The rows of a store as one tidy frame: one row per trial, scores derived, equal cells one object.

A million rows are a frame of about a gigabyte: long columns are shortened while they are read, some thousand rows at a
time, and what is the same in many rows is there once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from report.errors import ReportError
from results import open_store
from results.metrics import SCORES
from results.schema import SCHEMA
from results.score_columns import PREFIXES, scores_of_rows

# Rows that differ in any of these answer different questions and never meet in one table.
GROUP_COLUMNS = (
    "benchmark_version",
    "scene",
    "scene_hash",
    "split_rule",
    "labels_per_class",
    "labels_percent",
    "masks",
    "val_per_class",
    "patch_size",
)
INCOMPLETE = "IncompleteRecord"
# The study of a folder of studies that a leaderboard is made of.
LEADERBOARD = "leaderboard"
_MEASURED = (
    "leakage", "leakage_val", "fit_s", "embed_s", "protocol_s", "choose_s", "fit_memory_mib", "embed_memory_mib",
    "n_parameters",
)  # fmt: skip
_SCORES = tuple(f"{prefix}{name}" for prefix in PREFIXES.values() for name in SCORES)
# Long, and in no table.
_NOT_READ = ("curves", "diagnostics")
# What joins texts of a list where none of them holds it.
_MARK = "\x1f"
# From JSON to what Arrow gives: lists stay, maps are pairs.
_DECODERS: dict[int, Callable[[str], Any]] = {
    pa.list_(pa.string()).id: json.loads,
    pa.map_(pa.string(), pa.string()).id: lambda text: [tuple(pair) for pair in json.loads(text)],
}
_READ = tuple(name for name in SCHEMA.names if name not in _NOT_READ)


def read_rows(store_uri: str) -> pd.DataFrame:
    """Return ``tidy`` of all rows of a store; of a folder of studies, as results/released is one, its ``leaderboard``.

    Args:
        store_uri: folder or URI that ``results.open_store`` understands.

    Raises:
        ReportError: a row's parameters are not a JSON object, or a confusion matrix is not square.
        StoreError: the store does not exist or holds a torn file.
    """
    folder = Path(store_uri)
    # Rows of several studies do not mix: their grids differ.
    if folder.is_dir() and not any(folder.glob("*.parquet")) and (folder / LEADERBOARD).is_dir():
        store_uri = str(folder / LEADERBOARD)
    return _frame(open_store(store_uri).read_condensed(_READ, _condensed))


def tidy(table: pa.Table) -> pd.DataFrame:
    """Return one row per trial_id, sorted, with the columns of ``results.schema`` and the derived ones.

    Not with the matrices, the curves and the diagnostics. Derived: OA, AA, kappa (test) and val_OA, val_AA, val_kappa,
    as fractions, NaN without a matrix; ``params`` (dict, the protocol's as "protocol.NAME"; rows of one configuration
    share it); ``train_s``: seconds to fit and to train the protocol's classifier; ``classify_s``: seconds to embed the
    scene and classify validation and test pixels; ``is_usable``: whether the row may enter a table.
    A row that claims status 'ok' but lacks a test or validation matrix is turned into a failed one that says so.
    Of several files of one trial (a copied file), an ok one is kept.

    Args:
        table: rows in the schema of ``results.schema``.

    Raises:
        ReportError: a row's parameters are not a JSON object, or a confusion matrix is not square.
    """
    return _frame(_condensed(table.select(_READ)))


def _condensed(table: pa.Table) -> pa.Table:
    """Return scores in place of the matrices, and every text or nested value once, nested ones as JSON."""
    columns: dict[str, pa.ChunkedArray | pa.Array] = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if name in PREFIXES:
            for score, values in _scores(name, column).items():
                columns[f"{PREFIXES[name]}{score}"] = pa.array(values)
        elif name == "trial_id":
            columns[name] = column
        else:
            columns[name] = _as_json(column) if pa.types.is_nested(column.type) else column
            if pa.types.is_string(columns[name].type):
                columns[name] = columns[name].dictionary_encode()
    return pa.table(columns)


def _scores(name: str, column: pa.Array) -> dict[str, NDArray[np.float64]]:
    try:
        return scores_of_rows(column)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ReportError(f"a {name} is not square ({reason}): run 'hsicl store verify' to see whose") from error


def _as_json(column: pa.Array) -> pa.DictionaryArray:
    """Return the lists or maps of a column as dictionary-encoded JSON texts."""
    codes = _keys(column).dictionary_encode()
    # The first row of each key: the others are equal to it.
    found, first = np.unique(codes.indices.fill_null(-1).to_numpy(zero_copy_only=False), return_index=True)
    values = column.take(pa.array(first[found >= 0])).to_pylist()
    return pa.DictionaryArray.from_arrays(codes.indices, pa.array(map(json.dumps, values), pa.string()))


def _keys(column: pa.Array) -> pa.Array:
    """Return a text for every list or map, the same one for equal ones only; null for null."""
    parts = [column.keys, column.items.cast(pa.string())] if pa.types.is_map(column.type) else [column.values]
    # To make Python's own objects of all rows would take a minute for a million.
    if any(part.null_count or pc.any(pc.match_substring(part, _MARK)).as_py() for part in parts):
        return pa.array([None if value is None else json.dumps(value) for value in column.to_pylist()], pa.string())
    texts = pa.ListArray.from_arrays(column.offsets, pc.binary_join_element_wise(*parts, _MARK), mask=column.is_null())
    # The length tells [] from [""].
    return pc.binary_join_element_wise(pc.list_value_length(texts).cast(pa.string()), pc.binary_join(texts, _MARK), "")


def _frame(table: pa.Table) -> pd.DataFrame:
    columns = {name: _shared(name, table.column(name)) for name in table.column_names}
    columns["params"] = _params(columns)
    # A search is scored on validation only.
    is_scored = ~np.isnan(columns["val_OA"]) & (~np.isnan(columns["OA"]) | (columns["purpose"] == "search"))
    is_incomplete = (columns["status"] == "ok") & ~is_scored
    reason = "status is 'ok' but a test or validation confusion matrix is missing or empty"
    for name, text in (("status", "failed"), ("error_type", INCOMPLETE), ("error", reason)):
        columns[name][is_incomplete] = text
    columns["is_usable"] = (columns["purpose"] == "trial") & (columns["status"] == "ok")
    # Rows of old schema versions do not say what choosing took: of them only the fit is training, nothing classifying.
    columns["train_s"] = columns["fit_s"] + np.nan_to_num(columns["choose_s"])
    columns["classify_s"] = columns["embed_s"] + columns["protocol_s"] - columns["choose_s"]
    order = np.lexsort([columns["status"] != "ok", _ranks(table.column("trial_id"))])
    ids = columns["trial_id"][order]
    is_first = np.append(True, ids[1:] != ids[:-1])[: len(ids)]
    # What is sorted and unique, as a store gives it, is not copied once more.
    kept = order[is_first]
    if not np.array_equal(kept, np.arange(len(ids))):
        columns = {name: values[kept] for name, values in columns.items()}
    # Objects stay objects: pandas would make strings of its own of texts.
    series = {name: pd.Series(values, dtype=values.dtype, copy=False) for name, values in columns.items()}
    return pd.DataFrame(series, copy=False)


def _ranks(ids: pa.ChunkedArray) -> NDArray[np.int64]:
    ranks: NDArray[np.int64] = pc.rank(ids, tiebreaker="dense").to_numpy().astype(np.int64)
    return ranks


def _shared(name: str, column: pa.ChunkedArray) -> NDArray[Any]:
    """Return (n,) floats of what is measured, else objects: what is missing is None and whole numbers stay whole."""
    if name in _SCORES or name in _MEASURED:
        return column.cast(pa.float64()).to_numpy().copy()
    if name == "trial_id" or not len(column):
        # Every one is another: there is nothing to share.
        return np.array(column.to_pylist(), dtype=object)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    array = column.unify_dictionaries().combine_chunks()
    decode = _DECODERS.get(SCHEMA.field(name).type.id, lambda value: value)
    values = np.empty(len(array.dictionary) + 1, dtype=object)
    values[:-1] = [decode(value) for value in array.dictionary.to_pylist()]
    return values[array.indices.fill_null(len(array.dictionary)).to_numpy()]


def _params(columns: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return (n,) dicts, one object for all rows of the same parameters, and one for every value."""
    values: dict[str, Any] = {}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    params = np.empty(len(columns["trial_id"]), dtype=object)
    texts = zip(columns["params_json"], columns["protocol_params_json"], strict=True)
    for place, pair in enumerate(texts):
        if pair not in found:
            own, protocol = (
                _parsed(columns["trial_id"][place], name, text)
                for name, text in zip(("params_json", "protocol_params_json"), pair, strict=True)
            )
            both = own | {f"protocol.{name}": value for name, value in protocol.items()}
            found[pair] = {name: values.setdefault(json.dumps(value), value) for name, value in both.items()}
        params[place] = found[pair]
    return params


def _parsed(trial_id: str, column: str, text: str | None) -> dict[str, Any]:
    try:
        params = json.loads(text or "null")
    except json.JSONDecodeError:
        params = None
    if not isinstance(params, dict):
        raise ReportError(
            f"trial {trial_id}: {column} must be a JSON object, got {text!r:.80}: delete its file and rerun the sweep"
        )
    return params


def expanded(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one column ``param.NAME`` for each parameter of any row, None where a row has none of the name."""
    names = sorted({name for params in {id(each): each for each in rows["params"]}.values() for name in params})
    columns = {f"param.{name}": [params.get(name) for params in rows["params"]] for name in names}
    return pd.DataFrame(columns, index=rows.index, dtype=object)


# What a reader may narrow a table to: word to column. Scenes and rules are whole groups, the others parts of one.
OF_GROUPS = {"scene": "scene", "rule": "split_rule"}
SELECTABLE = {**OF_GROUPS, "method": "method", "protocol": "protocol", "kind": "kind"}


def select(rows: pd.DataFrame, wanted: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the rows of some scenes and rules; values of the other words are checked only (``groups.narrowed``).

    Args:
        rows: frame of ``tidy``.
        wanted: word of ``SELECTABLE`` to the values that are kept; an empty one keeps all.

    Raises:
        ReportError: a value that no row has.
    """
    kept = pd.Series(True, index=rows.index)
    for word, values in wanted.items():
        column = rows[SELECTABLE[word]]
        for value in values:
            if not (column == value).any():
                known = ", ".join(sorted({str(each) for each in column.dropna()}))
                raise ReportError(f"no row of {word} {value!r} in this store: it has {known or 'none'}")
        if values and word in OF_GROUPS:
            kept &= column.isin(values)
    return rows[kept] if not kept.all() else rows


def failed_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the trials (no search rows) that are not ok: failed, diverged, or of a status this code does not know."""
    return rows[(rows["purpose"] == "trial") & ~rows["is_usable"]]
