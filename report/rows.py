"""The rows of a store as one tidy frame: one row per trial, scores derived, parameters expanded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from report.errors import ReportError
from results import open_store
from results.metrics import SCORES

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


def read_rows(store_uri: str) -> pd.DataFrame:
    """Return ``tidy`` of all rows of a store; of a folder of studies, as results/released is one, its ``leaderboard``.

    Args:
        store_uri: folder or URI that ``results.open_store`` understands.

    Raises:
        ReportError: a row's parameters are not a JSON object.
        StoreError: the store does not exist or holds a torn file.
    """
    folder = Path(store_uri)
    # Rows of several studies do not mix: their grids differ.
    if folder.is_dir() and not any(folder.glob("*.parquet")) and (folder / LEADERBOARD).is_dir():
        store_uri = str(folder / LEADERBOARD)
    return tidy(open_store(store_uri).read())


def tidy(table: pa.Table) -> pd.DataFrame:
    """Return one row per trial_id, sorted, with the columns of ``results.schema`` and the derived ones.

    Derived: OA, AA, kappa (test) and val_OA, val_AA, val_kappa, as fractions, NaN without a matrix; ``params`` (dict,
    the protocol's as "protocol.NAME") and one column ``param.NAME`` per parameter; ``train_s``: seconds to fit and to
    train the protocol's classifier; ``classify_s``: seconds to embed the scene and classify validation and test pixels;
    ``is_usable``: whether the row may enter a table.
    A row that claims status 'ok' but lacks a test or validation matrix is turned into a failed one that says so.
    Of several files of one trial (a copied file), an ok one is kept.

    Args:
        table: rows in the schema of ``results.schema``.

    Raises:
        ReportError: a row's parameters are not a JSON object.
    """
    records = [_with_scores(row) for row in table.to_pylist()]
    records.sort(key=lambda row: (row["trial_id"], row["status"] != "ok"))
    unique = list({row["trial_id"]: row for row in reversed(records)}.values())[::-1]
    derived = [f"{prefix}{name}" for prefix in ("", "val_") for name in SCORES]
    # Objects, so that what is missing stays None and whole numbers stay whole; only measurements become floats.
    frame = pd.DataFrame(unique, columns=[*table.column_names, *derived, "params", "is_usable"], dtype=object)
    frame = frame.astype(dict.fromkeys([*derived, *_MEASURED], "float64")).astype({"is_usable": bool})
    # Rows of old schema versions do not say what choosing took: of them only the fit is training, nothing classifying.
    frame["train_s"] = frame["fit_s"] + frame["choose_s"].fillna(0.0)
    frame["classify_s"] = frame["embed_s"] + frame["protocol_s"] - frame["choose_s"]
    names = sorted({name for params in frame["params"] for name in params})
    expanded = {f"param.{name}": [params.get(name) for params in frame["params"]] for name in names}
    return pd.concat([frame, pd.DataFrame(expanded, index=frame.index, dtype=object)], axis=1)


def _with_scores(row: dict[str, Any]) -> dict[str, Any]:
    for prefix, column in (("", "confusion_test"), ("val_", "confusion_val")):
        matrix = row[column]
        for name, score in SCORES.items():
            row[f"{prefix}{name}"] = score(matrix) if matrix else float("nan")
    # A search is scored on validation only.
    needed = ("val_OA",) if row["purpose"] == "search" else ("OA", "val_OA")
    if row["status"] == "ok" and not all(pd.notna(row[column]) for column in needed):
        reason = "status is 'ok' but a test or validation confusion matrix is missing or empty"
        row.update(status="failed", error_type=INCOMPLETE, error=reason)
    protocol_params = {f"protocol.{name}": value for name, value in _parsed(row, "protocol_params_json").items()}
    row["params"] = _parsed(row, "params_json") | protocol_params
    row["is_usable"] = row["purpose"] == "trial" and row["status"] == "ok"
    return row


def _parsed(row: dict[str, Any], column: str) -> dict[str, Any]:
    try:
        params = json.loads(row[column])
    except (TypeError, json.JSONDecodeError):
        params = None
    if not isinstance(params, dict):
        raise ReportError(
            f"trial {row['trial_id']}: {column} must be a JSON object, got {row[column]!r:.80}: "
            "delete its file and rerun the sweep"
        )
    return params


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
    return rows[kept]


def failed_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the trials (no search rows) that are not ok: failed, diverged, or of a status this code does not know."""
    return rows[(rows["purpose"] == "trial") & ~rows["is_usable"]]
