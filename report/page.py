"""The HTML page and the folder around it: everything a reader needs, nothing from a network."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from report.ablation import build_ablations
from report.columns import COLUMNS
from report.comparison import CapturedGain, captured_gains, differences_to_reference
from report.critical_difference import critical_difference_picture
from report.errors import ReportError
from report.figures import Picture
from report.groups import Group, build_groups
from report.importance import Importance, build_importances, importance_cells, importance_frame
from report.leaderboard import RULES, Leaderboard, build_leaderboard
from report.overall import NOTE, WORDS, Overall, build_overall, cells, heads, overall_frame, reasons
from report.pictures import ablation_picture, difference_picture
from report.provenance import describe_rows, rebuild_command
from report.published import CAUTION, HEADING, published_beside, published_frame
from report.rows import expanded, failed_rows, read_rows
from report.tables import (
    measured_oa,
    notes,
    nothing_to_rank,
    numbers_frame,
    render_csv,
    render_latex,
    render_markdown,
)
from report.text import NOT_AVAILABLE, one_line, params_text, with_interval
from report.verdict import describe

# What index.html of a report starts with; a folder without it is never replaced.
MARKER = '<meta name="generator" content="hsicl report">'


# Of more rows, trials.csv would be larger than the store: ``hsicl store export`` writes it.
MAX_ROWS = 50_000


@dataclass(frozen=True, kw_only=True)
class Section:
    """All that the page shows of one group."""

    board: Leaderboard
    verdict: list[str]
    notes: list[str]
    ablations: list[Picture]
    ablation_notes: tuple[str, ...]
    differences: Picture | None
    gains: tuple[CapturedGain, ...]
    published: pd.DataFrame | None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All that the page shows of one kind of split over its scenes."""

    overall: Overall
    heads: list[str]
    # Kind of rows to its rows: cells with what they sort by.
    bodies: dict[str, list[list[tuple[str, float | str | None]]]]
    reasons: list[str]
    picture: Picture | None


def build_page(store_uri: str, out_dir: Path) -> Path:
    """Render a store into a folder and return the path of its index.html; see ``report.build_report``.

    Args:
        store_uri: folder or URI that ``results.open_store`` understands.
        out_dir: folder to write.

    Raises:
        ReportError: ``out_dir`` holds something else or cannot be written, or a row cannot be understood.
        StoreError: the store does not exist or holds a torn file.
    """
    # Resolved, so that a link to a folder stays a link.
    target = Path(out_dir).expanduser().resolve()
    _refuse_foreign(target, out_dir)
    files = render_files(read_rows(store_uri), store_uri)
    try:
        _replace(target, files)
    except OSError as error:
        raise ReportError(
            f"report folder {str(out_dir)!r} cannot be written ({error}): choose another --out"
        ) from error
    return Path(out_dir) / "index.html"


def render_files(rows: pd.DataFrame, store_uri: str) -> dict[str, bytes]:
    """Return the report's files, name to content. The same rows give the same bytes.

    Args:
        rows: frame of ``report.rows.tidy``.
        store_uri: as the user gave it, for the foot of the page.
    """
    numbers = count(1)
    sections = [_section(group, numbers) for group in build_groups(rows)]
    boards = [section.board for section in sections]
    overalls = build_overall(boards)
    summaries = [_summary(overall, numbers) for overall in overalls]
    failed = failed_rows(rows)
    importances = build_importances(rows)
    texts = {
        "index.html": _html(rows, summaries, sections, importances, failed, store_uri),
        "leaderboard.md": render_markdown(boards, rows, overalls),
        "leaderboard.tex": render_latex(boards, overalls),
        "leaderboard.csv": render_csv(numbers_frame(boards)),
        "overall.csv": render_csv(overall_frame(overalls)),
        "importance.csv": render_csv(importance_frame(importances[0])),
        **({"trials.csv": render_csv(_flat(rows))} if len(rows) <= MAX_ROWS else {}),
        "failures.csv": render_csv(failed[_FAILURE_COLUMNS]),
    }
    files = {name: text.encode() for name, text in texts.items()}
    for picture in _pictures(summaries, sections):
        files |= {f"figures/{picture.stem}.{kind}": data for kind, data in picture.files.items()}
        files[f"figures/{picture.stem}.csv"] = render_csv(picture.data).encode()
    return files


_FAILURE_COLUMNS = [
    "trial_id", "scene", "method", "protocol", "params_json", "split_index", "seed", "status", "error_type", "error",
]  # fmt: skip


def _section(group: Group, numbers: count[int]) -> Section:
    board = build_leaderboard(group)
    differences = differences_to_reference(board)
    ablations, ablation_notes = build_ablations(group)
    gains = captured_gains(group)
    return Section(
        board=board,
        verdict=describe(board, differences, ablations, gains),
        notes=notes(board),
        ablations=[ablation_picture(item, next(numbers)) for item in ablations],
        ablation_notes=ablation_notes,
        differences=difference_picture(differences, group, next(numbers)) if differences else None,
        gains=gains,
        published=published_frame(rows, measured_oa(board)) if (rows := published_beside(group.key)) else None,
    )


def _summary(overall: Overall, numbers: count[int]) -> Summary:
    return Summary(
        overall=overall,
        heads=heads(overall),
        bodies=_bodies(overall),
        reasons=reasons(overall),
        picture=critical_difference_picture(overall, numbers),
    )


def _bodies(overall: Overall) -> dict[str, list[list[tuple[str, float | str | None]]]]:
    bodies: dict[str, list[list[tuple[str, float | str | None]]]] = {}
    for entry, row in zip(overall.entries, cells(overall), strict=True):
        keyed = [
            (cell, cell if head in WORDS[1:] else _first_number(cell))
            for head, cell in zip(heads(overall), row, strict=True)
        ]
        bodies.setdefault("bounds" if entry.is_bound else "ranked", []).append(keyed)
    return bodies


def _first_number(cell: str) -> float | None:
    """Return the mean that a cell begins with; None for "-", "n/a", "withheld" and the like."""
    try:
        return float(cell.removeprefix("<").split(" ")[0])
    except ValueError:
        return None


def _pictures(summaries: list[Summary], sections: list[Section]) -> list[Picture]:
    found = [picture for section in sections for picture in (*section.ablations, section.differences)]
    return [picture for picture in (*(summary.picture for summary in summaries), *found) if picture is not None]


def _flat(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the tidy rows, lists as JSON, every parameter a column of its own; names of machines stay private."""
    flat = rows.drop(columns=["params", "versions", "class_names", "host"])
    for name in ("unsupported_classes", "unvalidated_classes"):
        flat[name] = [None if value is None else json.dumps(value) for value in flat[name]]
    return pd.concat([flat, expanded(rows)], axis=1)


def _html(
    rows: pd.DataFrame,
    summaries: list[Summary],
    sections: list[Section],
    importances: tuple[tuple[Importance, ...], tuple[str, ...]],
    failed: pd.DataFrame,
    store_uri: str,
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("report"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"one_line": one_line, "interval": with_interval}
    environment.tests["missing"] = lambda value: bool(pd.isna(value))
    return environment.get_template("index.html").render(
        marker=jinja2.utils.markupsafe.Markup(MARKER),
        summaries=summaries,
        overall_note=NOTE,
        words=WORDS[1:],
        published_heading=HEADING,
        published_caution=CAUTION,
        sections=sections,
        columns=COLUMNS,
        rules=RULES,
        importances=[(item, importance_cells(item)) for item in importances[0]],
        importance_notes=importances[1],
        empty=None if sections else nothing_to_rank(rows),
        failures=[_failure(row) for row in failed.to_dict("records")],
        has_trials=len(rows) <= MAX_ROWS,
        n_trials=int((rows["purpose"] == "trial").sum()),
        provenance=describe_rows(rows),
        command=rebuild_command(store_uri),
    )


def _failure(row: dict[Any, Any]) -> dict[str, str]:
    cells = {
        "scene": row["scene"],
        "method": f"{row['method']} ({row['protocol']})",
        "parameters": params_text(row["params"]),
        "split": row["split_index"],
        "seed": row["seed"],
        "what": ": ".join(str(row[name]) for name in ("status", "error_type") if row[name]),
        "error": row["error"] or NOT_AVAILABLE,
        "trial": row["trial_id"],
    }
    return {name: one_line(value) for name, value in cells.items()}


def _refuse_foreign(target: Path, given: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise ReportError(f"report folder {str(given)!r} is a file: choose another --out")
    index = target / "index.html"
    if any(target.iterdir()) and not (index.is_file() and MARKER.encode() in index.read_bytes()[:2000]):
        raise ReportError(
            f"report folder {str(given)!r} holds something that is not a report, and a report replaces its whole "
            "folder: choose another --out or empty it"
        )


def _replace(target: Path, files: dict[str, bytes]) -> None:
    """Write the files beside the target, then swap: a reader sees the old report or the new one, never half of one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex
    fresh, old = (target.with_name(f".{target.name}.{mark}.{kind}") for kind in ("new", "old"))
    try:
        for name, data in sorted(files.items()):
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if target.exists():
            os.replace(target, old)
        try:
            os.replace(fresh, target)
        except OSError:
            with contextlib.suppress(OSError):
                os.replace(old, target)
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
