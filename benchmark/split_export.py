"""Splits as tables: what a method outside this package must know of them, and how they are found again.

A split is found again by its id, a digest of all that it is. A table of splits describes them, nothing more: whoever
reads one makes the split anew from the scene at hand and compares the ids.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmark.planning import resolved_split, split_of
from benchmark.scene import Scene
from benchmark.split import Split
from benchmark.table_files import TableFileError, check_suffix, is_whole, number_in, write_tables
from benchmark.trial import BENCHMARK_VERSION, SplitSpec, digest
from hsicl_core.checks import check_integer
from hsicl_core.errors import UserError

FORMAT_VERSION = 1
# (column, type) of an exported table, one row per pixel of a part.
SCHEMA = pa.schema(
    [
        ("split_id", pa.string()),
        ("scene", pa.string()),
        ("scene_hash", pa.string()),
        ("rule", pa.string()),
        ("labels_per_class", pa.int32()),
        ("labels_percent", pa.float64()),
        ("masks", pa.string()),
        ("val_per_class", pa.int32()),
        ("patch_size", pa.int32()),
        ("split_index", pa.int32()),
        ("seed", pa.int64()),
        ("pixel", pa.int64()),
        ("row", pa.int32()),
        ("column", pa.int32()),
        ("part", pa.string()),
        ("label", pa.int32()),
    ]
)
# What says which split a row is of; the first of them are needed, the others may be null or left out.
NEEDED = ("split_id", "scene", "rule", "val_per_class", "patch_size", "split_index")
OPTIONAL = ("scene_hash", "labels_per_class", "labels_percent", "masks")
_WHOLE = ("val_per_class", "patch_size", "split_index", "labels_per_class")
# Characters of a name or id.
_LONGEST = 500


@dataclass(frozen=True, kw_only=True)
class NamedSplit:
    """A split as a table names it, not yet compared with any scene.

    Attributes:
        split_id: its id, as the table has it.
        scene: name of the scene.
        scene_hash: hash of the scene that it was made of; None where the table does not say.
        spec: how it was made.
    """

    split_id: str
    scene: str
    scene_hash: str | None
    spec: SplitSpec

    def found_in(self, scene: Scene) -> Split:
        """Return the split, made anew.

        Args:
            scene: the scene of that name at hand.

        Raises:
            TableFileError: the scene gives another split, or has other contents.
            UserError: the scene cannot be split so.
        """
        try:
            spec = resolved_split(scene, self.spec)
            split = split_of(scene, spec)
            known = split_id(scene, spec, split)
        except UserError:
            # What its labels cannot support need not be said of a scene that is another one.
            if self.scene_hash in (None, scene.hash):
                raise
            known = None
        if known == self.split_id:
            return split
        if self.scene_hash not in (None, scene.hash):
            raise TableFileError(
                f"split {self.split_id} is of a scene {self.scene!r} with hash {self.scene_hash}, the one at hand has "
                f"hash {scene.hash}: export its splits and predict again"
            )
        raise TableFileError(
            f"split_id {self.split_id} is of no split: {scene.name}, {spec.rule} split {spec.index}, {spec.budget}, "
            f"patch_size={spec.patch_size} is {known}; keep what was exported, or export and predict again"
        )


def split_id(scene: Scene, spec: SplitSpec, split: Split) -> str:
    """Return 16 hex digits over scene, description and pixels of a split.

    Args:
        scene: the scene.
        spec: as ``resolved_split`` gives it.
        split: what ``spec`` makes of the scene.
    """
    parts = [_pixel_digest(pixels) for pixels in (split.train, split.val, split.test)]
    found = digest([scene.name, scene.hash, _with_float(spec).described(), parts])
    # A letter first: of 16 digits, or 1234e567 and the like, spreadsheets and pandas make numbers.
    return "abcdef"[int(found[0], 16) % 6] + found[1:]


def export_splits(
    path: Path, scenes: Mapping[str, Scene], specs: Sequence[SplitSpec], n_repeats: int,
    tell: Callable[[str], object] = lambda text: None,
) -> list[Path]:  # fmt: skip
    """Write the splits of a benchmark's repeats as a table and return the files written.

    Labels of training and validation pixels are in it, those of test pixels are -1.

    Args:
        path: ``.parquet``, or ``.csv``, beside which ``NAME.csv.json`` holds what Parquet has inside.
        scenes: scenes by name.
        specs: how pixels are divided; their index is replaced by that of the repeats, 0..n_repeats-1.
        n_repeats: splits of every kind, >= 1. Repeat r has split r and seed r.
        tell: called with a sentence on each split that was written.

    Raises:
        UserError: a scene cannot be split so, or the file cannot be written; then none is.
    """
    check_suffix(path)
    check_integer("n_repeats", n_repeats, minimum=1)
    plan = [
        (scene, resolved_split(scene, dataclasses.replace(spec, index=index)))
        for scene in scenes.values() for spec in specs for index in range(n_repeats)
    ]  # fmt: skip
    metadata = {
        "format_version": FORMAT_VERSION,
        "benchmark_version": BENCHMARK_VERSION,
        "scenes": {
            scene.name: {"hash": scene.hash, "shape": scene.labels.shape, "class_names": scene.class_names}
            for scene in scenes.values()
        },
    }

    def tables() -> Iterator[pa.Table]:
        for scene, spec in plan:
            split = split_of(scene, spec)
            table = split_table(scene, spec, split)
            tell(
                f"{table['split_id'][0]}: {scene.name}, {spec.rule} split {spec.index}, {spec.budget}: "
                f"{len(split.train)} train, {len(split.val)} val, {len(split.test)} test pixels"
            )
            yield table

    return write_tables(path, tables(), SCHEMA, metadata)


def split_table(scene: Scene, spec: SplitSpec, split: Split) -> pa.Table:
    """Return one row per pixel of a part, by pixel, with the columns of ``SCHEMA``.

    Args:
        scene: the scene.
        spec: as ``resolved_split`` gives it.
        split: what ``spec`` makes of the scene.
    """
    parts = {"train": split.train, "val": split.val, "test": split.test}
    pixels = np.concatenate(list(parts.values()))
    names = np.repeat(list(parts), [len(part) for part in parts.values()])
    order = np.argsort(pixels, kind="stable")
    pixels, names = pixels[order], names[order]
    labels = np.where(np.isin(pixels, split.test), -1, scene.labels.reshape(-1)[pixels])
    width = scene.labels.shape[1]
    same: dict[str, Any] = {
        "split_id": split_id(scene, spec, split),
        "scene": scene.name,
        "scene_hash": scene.hash,
        "rule": spec.rule,
        "labels_per_class": spec.labels_per_class,
        "labels_percent": spec.labels_percent,
        "masks": spec.masks,
        "val_per_class": spec.val_per_class,
        "patch_size": spec.patch_size,
        "split_index": spec.index,
        "seed": spec.index,
    }
    columns = {name: pa.repeat(pa.scalar(value, SCHEMA.field(name).type), len(pixels)) for name, value in same.items()}
    columns |= {"pixel": pixels, "row": pixels // width, "column": pixels % width, "part": names, "label": labels}
    return pa.table([pa.array(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)


def named_splits(table: pa.Table, origin: str) -> dict[str, NamedSplit]:
    """Return the splits that a table names, by id, in the order of the ids.

    Args:
        table: with the columns of ``NEEDED`` and any of ``OPTIONAL``.
        origin: where it comes from, for messages.

    Raises:
        TableFileError: a description is not whole, or two stand beside one id.
    """
    names = [name for name in (*NEEDED, *OPTIONAL) if name in table.column_names]
    found: dict[str, NamedSplit] = {}
    for row in table.select(names).group_by(names).aggregate([]).sort_by("split_id").to_pylist():
        row = {name: _value(name, value, f"{origin}: split {row['split_id']!s:.40}") for name, value in row.items()}
        lacking = [name for name in NEEDED if row[name] is None]
        if lacking:
            raise TableFileError(f"{origin}: column {lacking[0]} is empty in some rows: keep what was exported")
        named = NamedSplit(
            split_id=row["split_id"], scene=row["scene"], scene_hash=row.get("scene_hash"),
            spec=SplitSpec(
                rule=row["rule"], labels_per_class=row.get("labels_per_class"), masks=row.get("masks"),
                labels_percent=row.get("labels_percent"), val_per_class=row["val_per_class"],
                patch_size=row["patch_size"], index=row["split_index"],
            ),
        )  # fmt: skip
        if found.setdefault(named.split_id, named) != named:
            raise TableFileError(
                f"{origin}: split {row['split_id']} stands beside two descriptions (columns {', '.join(names[1:])}): "
                "keep what was exported"
            )
    return found


def _value(name: str, value: Any, origin: str) -> Any:
    """Return what a table holds in a column, as it was when exported; None for what is missing."""
    number = number_in(value)
    if value is None or (isinstance(value, float) and number != number):
        return None
    if pa.types.is_string(SCHEMA.field(name).type):
        if len(str(value)) > _LONGEST:
            raise TableFileError(f"{origin}: {name} is longer than any that is exported: keep what was exported")
        return str(value)
    if math.isnan(number) or (name in _WHOLE and not is_whole(np.array([number]), below=2**31)[0]):
        raise TableFileError(f"{origin}: {name}={str(value)[:40]!r} is no such number: keep what was exported")
    return int(number) if name in _WHOLE else number


def _with_float(spec: SplitSpec) -> SplitSpec:
    """Return the spec with a share as the float that a table gives back: 10 and 10.0 are one split."""
    percent = spec.labels_percent
    return spec if percent is None else dataclasses.replace(spec, labels_percent=float(percent))


def _pixel_digest(pixels: NDArray[np.int64]) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels, dtype="<i8").data).hexdigest()
