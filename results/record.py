"""RunRecord: what came of one trial, as one row."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from results.schema import SCHEMA, SCHEMA_VERSION

_MAPS = ("diagnostics", "dropped", "noted", "versions")


@dataclass(kw_only=True)
class RunRecord:
    """What came of one trial. Fields are the columns of ``results.schema.COLUMNS``, which gives their meaning.

    A failed trial is a record too: its measurements are None and ``error`` says why.
    """

    benchmark_version: str
    trial_id: str
    config_id: str
    scene: str
    scene_hash: str
    split_rule: str
    labels_per_class: int | None
    val_per_class: int
    patch_size: int
    split_index: int
    method: str
    params_json: str
    protocol: str
    protocol_params_json: str
    seed: int
    sees_labels: str
    status: str
    labels_percent: float | None = None
    masks: str | None = None
    purpose: str = "trial"
    kind: str | None = None
    transductive: bool | None = None
    class_names: list[str] | None = None
    n_train: int | None = None
    n_val: int | None = None
    n_test: int | None = None
    dropped: dict[str, int] | None = None
    noted: dict[str, int] | None = None
    unsupported_classes: list[str] | None = None
    unvalidated_classes: list[str] | None = None
    leakage: float | None = None
    leakage_val: float | None = None
    error_type: str | None = None
    error: str | None = None
    confusion_val: list[list[int]] | None = None
    confusion_test: list[list[int]] | None = None
    chosen_json: str | None = None
    curves: list[dict[str, Any]] | None = None
    diagnostics: dict[str, float] = field(default_factory=dict)
    n_parameters: int | None = None
    embedding_dim: int | None = None
    fit_s: float | None = None
    n_fused: int | None = None
    n_shared: int | None = None
    embed_s: float | None = None
    protocol_s: float | None = None
    choose_s: float | None = None
    peak_memory_mib: float | None = None
    fit_memory_mib: float | None = None
    embed_memory_mib: float | None = None
    device: str | None = None
    device_name: str | None = None
    host: str | None = None
    n_threads: int | None = None
    started_utc: dt.datetime | None = None
    commit: str | None = None
    dirty: bool | None = None
    versions: dict[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_table(self) -> pa.Table:
        """Return the record as a table of one row in today's schema."""
        row = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        for name in _MAPS:
            row[name] = None if row[name] is None else sorted(row[name].items())
        return pa.Table.from_pylist([row], schema=SCHEMA)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> RunRecord:
        """Return the record of one row of ``store.read().to_pylist()``."""
        row = dict(row)
        for name in _MAPS:
            row[name] = None if row[name] is None else dict(row[name])
        return cls(**row)
