"""What others published: the rows of ``results/published/rows.csv``, checked, by scene, rule and budget."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from report.errors import ReportError

_SCORES = ("oa", "aa", "kappa")


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One method on one scene, as one source prints it. The fields are the columns of the file.

    Attributes:
        scene: registered name of the scene.
        rule: how training pixels were drawn, by the name of our rule where we have it.
        labels_per_class: training pixels per class; None where the budget is ``labels_percent``.
        labels_percent: training pixels in per cent of every class.
        val_per_class: validation pixels per class; None where not stated.
        method: name in the source.
        method_here: entrant of ours with that name, as METHOD:PROTOCOL; "" for none.
        oa: overall accuracy x 100, the text as printed.
        aa: average accuracy, likewise; "" where not published.
        kappa: Cohen's kappa, likewise.
        n_runs: repeats behind the scores; None where not stated.
        source: who published it, with year and identifier.
        where: table, figure or file of the source.
        flag: what is odd about the row; "" for nothing.
    """

    scene: str
    rule: str
    labels_per_class: int | None
    labels_percent: float | None
    val_per_class: int | None
    method: str
    method_here: str
    oa: str
    aa: str
    kappa: str
    n_runs: int | None
    source: str
    where: str
    flag: str

    def __post_init__(self) -> None:
        for name in ("scene", "rule", "method", "oa", "source", "where"):
            if not getattr(self, name).strip():
                raise ReportError(f"{name} must not be empty: fill it in or leave the row out")
        if (self.labels_per_class is None) == (self.labels_percent is None):
            raise ReportError(
                f"a row has one budget, got labels_per_class={self.labels_per_class} and "
                f"labels_percent={self.labels_percent}: give the one that the source states"
            )
        if self.labels_percent is not None and not 0 < self.labels_percent < 100:
            raise ReportError(f"labels_percent must be above 0 and below 100, got {self.labels_percent}: give per cent")
        if self.method_here and not re.fullmatch(r"\w+:\w+", self.method_here):
            raise ReportError(f"method_here must be METHOD:PROTOCOL, got {self.method_here!r}: leave it empty for none")
        for name in _SCORES:
            text = getattr(self, name)
            if text and not (re.fullmatch(r"\d+(\.\d+)?", text) and float(text) <= 100):
                raise ReportError(f"{name} must be in 0..100, got {text!r}: copy it as printed, x 100")
        if self.kappa and float(self.kappa) > float(self.oa) and not self.flag:
            # Agreement beyond chance is never more than agreement.
            raise ReportError(f"kappa {self.kappa} is above OA {self.oa}: correct it, or keep it and say so in flag")

    @property
    def kind(self) -> str:
        """Rule and budget in words."""
        if self.labels_percent is not None:
            return f"{self.rule} split, {self.labels_percent:g}% of every class labelled"
        return f"{self.rule} split, {self.labels_per_class} labels per class"


COLUMNS = tuple(field.name for field in dataclasses.fields(PublishedRow))
_NUMBERS = {"labels_per_class": int, "labels_percent": float, "val_per_class": int, "n_runs": int}


def read_published(text: str) -> tuple[PublishedRow, ...]:
    """Return the rows of a file of published rows.

    Args:
        text: CSV whose header is ``COLUMNS``.

    Raises:
        ReportError: a line that is none, or one that is there twice.
    """
    reader = csv.reader(io.StringIO(text, newline=""))
    head = next(reader, [])
    if tuple(head) != COLUMNS:
        raise ReportError(f"published rows: the header must be {','.join(COLUMNS)!r}, got {','.join(head)!r:.80}: mend")
    rows: dict[tuple[Any, ...], PublishedRow] = {}
    for cells in reader:
        try:
            if len(cells) != len(COLUMNS):
                raise ReportError(f"{len(COLUMNS)} cells are needed, got {len(cells)}: quote cells with commas")
            row = PublishedRow(**{name: _parsed(name, cell) for name, cell in zip(COLUMNS, cells, strict=True)})
            identity = row.scene, row.kind, row.method, row.source, row.where
            if identity in rows:
                raise ReportError(f"{row.method!r} is there already for this scene, budget and source: delete one")
        except ReportError as error:
            raise ReportError(f"published rows, line {reader.line_num}: {error}") from None
        rows[identity] = row
    return tuple(rows.values())


def _parsed(name: str, cell: str) -> Any:
    if name not in _NUMBERS:
        return cell
    try:
        number = _NUMBERS[name](cell) if cell else None
    except ValueError:
        number = 0
    if number is not None and not number > 0:
        raise ReportError(f"{name} must be a number above 0, got {cell!r}: leave it empty where the source is silent")
    return number


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """Return all published rows, in the order of the file, which comes with the package."""
    return read_published((files("results") / "published" / "rows.csv").read_text(encoding="utf-8"))


def published_for(
    scene: str, split_rule: str, labels_per_class: int | None, labels_percent: float | None
) -> tuple[PublishedRow, ...]:
    """Return the published rows of one scene, rule and label budget; other budgets are other questions.

    Args:
        scene: registered name of the scene.
        split_rule: registered name of the rule.
        labels_per_class: of the budget, or None.
        labels_percent: of the budget, or None; with neither (fixed masks) there is no row.
    """
    wanted = scene, split_rule, labels_per_class, labels_percent
    return tuple(
        row for row in published_rows() if (row.scene, row.rule, row.labels_per_class, row.labels_percent) == wanted
    )
