"""Put scores of predictions into a store, and say what they replace and what they still lack there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from results.record import RunRecord
from results.store import ResultStore

# Records that are equal in these stand in one table (``report.groups``).
COMPARED = (
    "benchmark_version", "scene", "scene_hash", "split_rule", "labels_per_class", "labels_percent", "masks",
    "val_per_class", "patch_size",
)  # fmt: skip


def write_scores(records: Sequence[RunRecord], store: ResultStore) -> list[str]:
    """Write all records and return what there is to tell, a line each.

    Args:
        records: of one method, at least one.
        store: where they go; an earlier record of the same trial is replaced.

    Raises:
        StoreError: the store cannot be read or written; nothing is written then. (A disk that fills up in between
            leaves whole records, which the next call replaces.)
    """
    earlier = _trials(store) if store.exists() else []
    store.check_writable()
    for record in records:
        store.write(record)
    ids = {record.trial_id for record in records}
    replaced = len(ids & {row["trial_id"] for row in earlier})
    name = records[0].method
    lines = [f"{name}: trials written: {len(records)}, of these replaced: {replaced}; store: {store.uri}"]
    lacking = _lacking([vars(record) for record in records], earlier)
    if lacking:
        first = lacking[0]
        lines.append(
            f"trials of others in the store without predictions: {len(lacking)} (first: {first['scene']}, "
            f"{first['split_rule']} split {first['split_index']}, seed {first['seed']}); the leaderboard withholds "
            f"{name} there until all are scored"
        )
    return lines


def _trials(store: ResultStore) -> list[dict[str, Any]]:
    table = store.read().filter(pc.field("purpose") == "trial")
    return list(table.select(["trial_id", "config_id", *COMPARED, "split_index", "seed"]).to_pylist())


def _lacking(scored: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return a row of others for every split and seed that they have, and these scores and earlier ones have not."""
    configs, tables = {row["config_id"] for row in scored}, {_table(row) for row in scored}
    there = {_place(row): row for row in earlier if _table(row) in tables}
    done = {_place(row) for row in (*scored, *(row for row in earlier if row["config_id"] in configs))}
    lacking = [row for place, row in there.items() if place not in done]
    return sorted(lacking, key=lambda row: (row["scene"], row["split_rule"], row["split_index"], row["seed"]))


def _table(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in COMPARED)


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (*_table(row), row["split_index"], row["seed"])
