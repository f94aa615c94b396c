"""Score what a method outside this package has predicted: a table of predictions becomes records, or is refused.

A table has a row per pixel, with ``split_id``, ``pixel`` (flat index) and ``prediction`` (class index or class name).
Of every split it names it must hold each validation and each test pixel once; training pixels are ignored. What its
splits are it says itself, with the columns of ``benchmark.split_export``, or the exported table beside it does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmark import provenance
from benchmark.planning import resolved_split
from benchmark.record_columns import confusion, split_columns, trial_columns
from benchmark.registries import METHODS
from benchmark.scene import Scene
from benchmark.scene_files import load_scene
from benchmark.split import Split
from benchmark.split_export import NEEDED, OPTIONAL, NamedSplit, named_splits
from benchmark.table_files import TableFileError, coded, is_whole, number_in, read_table, whole_numbers
from benchmark.trial import SplitSpec, Trial, canonical_json
from hsicl_core.checks import check_choice
from hsicl_core.errors import InvalidValueError
from results.record import RunRecord

# In place of a protocol's name: nobody here has chosen a classifier.
PROTOCOL = "predictions"
KIND = "other"
# Every table of the report shows them.
_MAX_PARAMS = 1000
_NAME = re.compile(r"[A-Za-z][\w.+-]{0,63}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ExternalMethod:
    """A method that is not here, as its user describes it.

    Attributes:
        name: a letter, then letters, digits and ``_.+-``; no registered method's.
        sees_labels: whether its fit saw the labels of training pixels before the classifier: ``"none"`` or ``"train"``.
        transductive: whether its fit saw spectra of test pixels.
        params: plain values that tell its configurations apart; a rerun with the same ones replaces.

    Raises:
        InvalidValueError: a name that is taken or no name, or parameters that are no short JSON.
    """

    name: str
    sees_labels: str = "train"
    transductive: bool = True
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidValueError(
                f"name={self.name!r} must be a letter, then up to 63 letters, digits, '_', '.', '+' or '-': rename it"
            )
        if self.name in METHODS.names():
            raise InvalidValueError(f"name={self.name!r} is a registered method's: choose another, e.g. my_{self.name}")
        check_choice("sees_labels", self.sees_labels, ("none", "train"))
        if "transductive" in self.params:
            raise InvalidValueError("params: 'transductive' is said by --inductive: leave it out")
        try:
            text = canonical_json(dict(self.params))
            json.dumps(self.params, ensure_ascii=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidValueError(
                f"params must be values that JSON in UTF-8 can hold ({error}): correct them"
            ) from error
        if len(text) > _MAX_PARAMS:
            raise InvalidValueError(
                f"params must be at most {_MAX_PARAMS} characters as JSON, got {len(text)}: say less of it"
            )

    def trial(self, scene: Scene, spec: SplitSpec, seed: int) -> Trial:
        """Return the trial of one split and seed."""
        return Trial(
            scene=scene.name, scene_hash=scene.hash, split=resolved_split(scene, spec), seed=seed, method=self.name,
            params=canonical_json({**self.params, "transductive": self.transductive}), protocol=PROTOCOL,
            protocol_params="{}",
        )  # fmt: skip


def score_predictions(
    path: Path, method: ExternalMethod, *, splits: Mapping[str, NamedSplit] | None = None,
    load: Callable[[str], Scene] = load_scene,
) -> dict[tuple[str, int], RunRecord]:  # fmt: skip
    """Return a file of predictions as records, by split_id and seed.

    Args:
        path: the file, ``.csv`` or ``.parquet``. Besides the columns that it needs it may have ``seed`` (whole number;
            without it that of the repeat, which is the split's index), ``seconds`` (of fit and prediction) and
            ``parameters`` (learnt ones), each one value per split and seed.
        method: whose they are.
        splits: the exported ones, as ``splits_in`` gives them; None where the file's own columns say what they are.
        load: gives a scene by name.

    Raises:
        TableFileError: the file is not right; nothing is scored then.
        UserError: a scene is not at hand, or cannot be split so.
    """
    rows = _Rows.read(path, of_splits=splits is None)
    known = named_splits(rows.table, str(path)) if splits is None else splits
    for name in rows.split_ids:
        if name not in known:
            raise TableFileError(f"{path}: split_id {name!r:.40} is of no exported split: predict on those exported")
    scenes: dict[str, Scene] = {}
    found: dict[str, Split] = {}
    for name in rows.split_ids:
        if (scene := known[name].scene) not in scenes:
            scenes[scene] = load(scene)
        found[name] = known[name].found_in(scenes[scene])
    records = {}
    for name, seed, indices in rows.groups({name: known[name].spec.index for name in rows.split_ids}):
        group = _Group(rows, indices, scenes[known[name].scene], found[name], f"{path}: split {name}, seed {seed}")
        records[name, seed] = _record(method, known[name], seed, group)
    return records


def splits_in(path: Path) -> dict[str, NamedSplit]:
    """Return the splits that an exported table names, by id."""
    return named_splits(read_table(path, NEEDED, OPTIONAL), str(path))


def _record(method: ExternalMethod, named: NamedSplit, seed: int, group: _Group) -> RunRecord:
    scene, split = group.scene, group.split
    predict = group.predictor()
    head, is_dirty = provenance.commit()
    return RunRecord(
        **trial_columns(method.trial(scene, named.spec, seed), sees_labels=method.sees_labels, kind=KIND),
        **split_columns(scene, split),
        status="ok", transductive=method.transductive,
        confusion_val=confusion(scene, split.val, predict), confusion_test=confusion(scene, split.test, predict),
        chosen_json="{}", curves=[], n_shared=1,
        fit_s=group.only("seconds"),
        n_parameters=None if (count := group.only("parameters", whole=True)) is None else int(count),
        commit=head, dirty=is_dirty,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """The columns of a file of predictions, as arrays."""

    path: Path
    table: pa.Table
    split_ids: list[str]
    codes: NDArray[np.int64]
    pixels: NDArray[np.int64]
    # The different predictions, and which of them a row has.
    values: list[Any]
    value_codes: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path, *, of_splits: bool) -> _Rows:
        needed = ("split_id", "pixel", "prediction")
        table = read_table(path, needed, ("seed", "seconds", "parameters", *NEEDED, *OPTIONAL))
        lacking = [name for name in NEEDED if name not in table.column_names]
        if of_splits and lacking:
            raise TableFileError(
                f"{path} does not say what its splits are (no column {', '.join(lacking)}): give --splits "
                "EXPORTED_FILE, or keep the exported columns"
            )
        ids, codes = coded(table["split_id"])
        if (codes == len(ids) - 1).any():
            raise TableFileError(f"{path}: column split_id is empty in some rows: give every row its split's")
        values, value_codes = coded(table["prediction"])
        return cls(
            path=path, table=table, split_ids=[str(name) for name in ids[:-1]], codes=codes, values=values,
            value_codes=value_codes, pixels=whole_numbers(table["pixel"], f"{path}: column pixel"),
        )  # fmt: skip

    def groups(self, default_seeds: Mapping[str, int]) -> Iterator[tuple[str, int, NDArray[np.int64]]]:
        """Yield split_id, seed and rows of every trial, in the order in which the file first names the splits."""
        if "seed" in self.table.column_names:
            seeds = whole_numbers(self.table["seed"], f"{self.path}: column seed")
        else:
            seeds = np.array([default_seeds[name] for name in self.split_ids], dtype=np.int64)[self.codes]
        order = np.lexsort((seeds, self.codes))
        changes = np.flatnonzero(np.diff(self.codes[order]) | np.diff(seeds[order])) + 1
        for rows in np.split(order, changes):
            yield self.split_ids[self.codes[rows[0]]], int(seeds[rows[0]]), rows


@dataclass(frozen=True)
class _Group:
    """The rows of one trial."""

    rows: _Rows
    indices: NDArray[np.int64]
    scene: Scene
    split: Split
    origin: str

    def predictor(self) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
        """Return what maps pixels of validation or test to their predicted classes.

        Raises:
            TableFileError: a pixel is missing, there twice or of no part, or a prediction is of no class.
        """
        indices = self.indices[~np.isin(self.rows.pixels[self.indices], self.split.train)]
        indices = indices[np.argsort(self.rows.pixels[indices], kind="stable")]
        pixels = self.rows.pixels[indices]
        wanted = np.zeros(self.scene.labels.size, dtype=bool)
        wanted[self.split.val] = wanted[self.split.test] = True
        is_wanted = (pixels < len(wanted)) & wanted[np.minimum(pixels, len(wanted) - 1)]
        counts = np.bincount(pixels[is_wanted], minlength=len(wanted))
        faults = {
            "no prediction for {} of the val and test pixels": np.flatnonzero(wanted & (counts == 0)),
            "several for {}": np.flatnonzero(counts > 1),
            "predictions for {} pixels of no part": np.unique(pixels[~is_wanted]),
        }
        told = [f"{text.format(len(which))} (first: {which[0]})" for text, which in faults.items() if len(which)]
        if told:
            raise TableFileError(f"{self.origin}: {', '.join(told)}: give each val and test pixel once")
        classes = self._classes()[self.rows.value_codes[indices]]
        if (classes < 0).any():
            first = int(np.argmax(classes < 0))
            value = str(self.rows.values[self.rows.value_codes[indices[first]]])
            raise TableFileError(
                f"{self.origin}: {int((classes < 0).sum())} predictions are no class of {self.scene.name} (first: "
                f"{value[:40]!r} for pixel {pixels[first]}): give ids 0..{self.scene.n_classes - 1} or names "
                f"({', '.join(self.scene.class_names)})"
            )
        return lambda some: classes[np.searchsorted(pixels, some)]

    def _classes(self) -> NDArray[np.int64]:
        """Return the class of every different prediction, -1 for what is none. A number is an id, never a name."""
        names = {name: index for index, name in enumerate(self.scene.class_names)}
        read = np.array([number_in(value) for value in self.rows.values])
        # Text alone is a name: what is missing is no class called None.
        texts = [value if isinstance(value, str) else None for value in self.rows.values]
        found = np.array([-1 if text is None else names.get(text, -1) for text in texts], dtype=np.int64)
        is_number = ~np.isnan(read)
        is_id = is_whole(read, below=self.scene.n_classes)
        found[is_number] = -1
        found[is_id] = read[is_id].astype(np.int64)
        return found

    def only(self, name: str, *, whole: bool = False) -> float | None:
        """Return the one value of an optional column; None where it is empty or not there.

        Raises:
            TableFileError: several values, or not a number >= 0.
        """
        if name not in self.rows.table.column_names:
            return None
        values, codes = coded(self.rows.table[name].take(pa.array(self.indices)))
        found = [values[code] for code in np.unique(codes)]
        if all(value is None or value != value for value in found):
            return None
        number = number_in(found[0])
        if len(found) > 1 or not 0 <= number < np.inf or (whole and not is_whole(np.array([number]))[0]):
            rule = "one whole number >= 0" if whole else "one number >= 0"
            raise TableFileError(
                f"{self.origin}: column {name} must hold {rule}, got "
                f"{', '.join(str(value)[:20] for value in found[:3])}: correct it or leave the column out"
            )
        return number
