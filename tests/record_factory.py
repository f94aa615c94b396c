"""Builds schema-true records for tests: a finished trial by default, anything else by keyword."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any

from results import RunRecord


def confusion(oa: float, n: int = 100, n_classes: int = 2) -> list[list[int]]:
    """Return a matrix of n_classes x n pixels whose OA is ``oa`` (to 1/n), equal recall in every class."""
    right = round(oa * n)
    return [
        [
            right if row == column else (n - right if column == (row + 1) % n_classes else 0)
            for column in range(n_classes)
        ]
        for row in range(n_classes)
    ]


def make_record(
    *, test_oa: float = 0.5, val_oa: float = 0.5, params: dict[str, Any] | None = None, **changes: Any
) -> RunRecord:
    """Return a record; scores by ``test_oa`` and ``val_oa``, parameters as a dict, other fields by name.

    trial_id and config_id follow from the other fields as they do in a real store. A status other than 'ok' removes the
    measurements.
    """
    values: dict[str, Any] = {
        "benchmark_version": "1",
        "scene": "toy_scene",
        "scene_hash": "0123456789abcdef",
        "split_rule": "block",
        "labels_per_class": 10,
        "val_per_class": 10,
        "patch_size": 9,
        "split_index": 0,
        "method": "toy_method",
        "params_json": json.dumps(params or {}, sort_keys=True, separators=(",", ":")),
        "protocol": "linear",
        "protocol_params_json": "{}",
        "seed": 0,
        "sees_labels": "none",
        "kind": "self_supervised",
        "status": "ok",
        "transductive": True,
        "class_names": ["corn", "soy"],
        "n_train": 20,
        "n_val": 20,
        "n_test": 200,
        "unsupported_classes": [],
        "unvalidated_classes": [],
        "leakage": 0.0,
        "leakage_val": 0.0,
        "confusion_val": confusion(val_oa),
        "confusion_test": confusion(test_oa),
        "chosen_json": "{}",
        "n_parameters": 1234,
        "embedding_dim": 16,
        "fit_s": 2.0,
        "n_fused": 1,
        "n_shared": 1,
        "embed_s": 0.1,
        "protocol_s": 0.2,
        "choose_s": 0.15,
        "peak_memory_mib": 100.0,
        "fit_memory_mib": 100.0,
        "embed_memory_mib": 90.0,
        "device": "cpu",
        "device_name": "toy processor",
        "host": "toy-host",
        "n_threads": 1,
        "started_utc": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        "commit": "c0ffee0",
        "dirty": False,
        "versions": {"python": "3.11.0", "torch": "2.13.0"},
    } | changes
    if values["status"] != "ok":
        values |= {name: None for name in ("confusion_val", "confusion_test", "chosen_json") if name not in changes}
        values |= {name: changes.get(name, "toy error") for name in ("error_type", "error")}
    same = ("benchmark_version", "scene", "scene_hash", "split_rule", "labels_per_class", "val_per_class", "patch_size")
    described = [values[name] for name in (*same, "method", "params_json", "protocol", "protocol_params_json")]
    values.setdefault("config_id", _digest(described))
    described += [values[name] for name in ("labels_percent", "masks") if values.get(name) is not None]
    repeats = [values["split_index"], values["seed"], values.get("purpose", "trial")]
    values.setdefault("trial_id", _digest([*described, *repeats]))
    return RunRecord(**values)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
