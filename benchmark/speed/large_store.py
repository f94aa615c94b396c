"""A store of as many rows as one likes: the sweep of mixture ratio, temperature and K, as released rows are."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from results import open_store
from results.schema import SCHEMA

# One row of each of its scenes is what the others are made of.
RELEASED = Path(__file__).parents[2] / "results" / "released" / "leaderboard"
_ENTRANTS = {
    "mined_negatives": "ours", "sup_con_clusters": "ours", "equal_count": "ours", "nt_xent": "self_supervised",
    "oracle_negatives": "bound",
}  # fmt: skip
_SPLITS, _SEEDS = 10, 5
_VALUES: dict[str, list[Any]] = {
    "hard_fraction": np.linspace(0, 1, 10).round(3).tolist(),
    "temperature": np.geomspace(0.05, 1, 10).round(3).tolist(),
    "n_clusters": [2, 4, 8, 12, 16, 24, 32, 48, 64, 96],
}


def write_large_store(folder: Path, n_configurations: int) -> int:
    """Write compacted rows of made-up scores into ``folder`` and return their number, 1,000 for each configuration.

    Four scenes, five entrants, 10 splits x 5 seeds of each; what else a row holds is a released row's. Memory is about
    twice that of the rows, 3 KB each.

    Args:
        folder: of the store.
        n_configurations: of every entrant on every scene, 1 to 1,000.
    """
    rng = np.random.default_rng(0)
    tables = [
        _rows(base, method, kind, list(itertools.islice(itertools.product(*_VALUES.values()), n_configurations)), rng)
        for base in _released_rows() for method, kind in _ENTRANTS.items()
    ]  # fmt: skip
    table = pa.concat_tables(tables).sort_by("trial_id")
    open_store(folder).write_compacted(table)
    return int(table.num_rows)


def _released_rows() -> Iterator[pa.Table]:
    """Yield one row of every scene."""
    table = open_store(RELEASED).read()
    wanted = {"method": "mined_negatives", "split_rule": "random", "purpose": "trial", "status": "ok"}
    columns = zip(*(table.column(name).to_pylist() for name in wanted), strict=True)
    places = [place for place, values in enumerate(columns) if values == tuple(wanted.values())]
    first = {table.column("scene")[place].as_py(): place for place in places}
    for place in first.values():
        yield table.slice(place, 1)


def _rows(base: pa.Table, method: str, kind: str, settings: list[Any], rng: np.random.Generator) -> pa.Table:
    cells = _SPLITS * _SEEDS
    n = len(settings) * cells
    (row,) = base.to_pylist()
    params = json.loads(row["params_json"])
    texts = [json.dumps(params | dict(zip(_VALUES, values, strict=True)), sort_keys=True) for values in settings]
    names = [f"{row['scene']}-{method}-{place:04d}" for place in range(len(settings))]
    # Accuracy follows the setting, the split and chance: every configuration has another one.
    effect = np.repeat(rng.uniform(0, 0.1, len(settings)), cells) + np.tile(rng.uniform(0, 0.1, cells), len(settings))
    changed = {
        "method": [method] * n, "kind": [kind] * n, "sees_labels": ["all" if kind == "bound" else "none"] * n,
        "params_json": np.repeat(texts, cells), "config_id": np.repeat(names, cells),
        "split_index": np.tile(np.repeat(np.arange(_SPLITS), _SEEDS), len(settings)),
        "seed": np.tile(np.arange(_SEEDS), n // _SEEDS),
        "trial_id": [f"{number:016x}" for number in rng.integers(2**62, size=n)],
        **{name: rng.uniform(0.1, 9, n) for name in ("fit_s", "embed_s", "choose_s", "protocol_s")},
    }  # fmt: skip
    table = base.take(np.zeros(n, dtype=np.int64))
    for name, values in changed.items():
        table = table.set_column(
            SCHEMA.get_field_index(name), SCHEMA.field(name), pa.array(values, SCHEMA.field(name).type)
        )
    for name in ("confusion_val", "confusion_test"):
        matrices = _mixed_up(np.array(row[name]), effect + rng.uniform(0, 0.1, n), rng)
        table = table.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), _as_lists(matrices))
    return table


def _mixed_up(matrix: NDArray[np.int64], share: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return (n, classes, classes): shares (n,) of the right predictions of every class are of another class."""
    n_classes = len(matrix)
    here = np.arange(n_classes)
    found = np.repeat(matrix[None], len(share), axis=0)
    moved = rng.binomial(np.diag(matrix), share[:, None])
    found[:, here, here] -= moved
    found[:, here, (here + 1) % n_classes] += moved
    return found


def _as_lists(matrices: NDArray[np.int64]) -> pa.Array:
    n, size, _ = matrices.shape
    lines = pa.ListArray.from_arrays(np.arange(n * size + 1, dtype=np.int32) * size, pa.array(matrices.ravel()))
    return pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * size, lines)
