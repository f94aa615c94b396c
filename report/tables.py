"""The leaderboard as text, CSV, Markdown and LaTeX. A column is one entry of COLUMNS; HTML takes the same ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from report.leaderboard import RULES, Entry, Leaderboard
from report.rows import GROUP_COLUMNS, failed_rows
from report.statistics import Interval, sample_sd
from report.text import (
    csv_safe,
    latex_cell,
    markdown_cell,
    markdown_table,
    number,
    one_line,
    params_text,
    with_interval,
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the leaderboard.

    Attributes:
        heading: what stands above it.
        meaning: what it says, with its unit.
        show: the cell's text.
        sort: the value it sorts by, None last.
        is_number: whether it is set flush right.
    """

    heading: str
    meaning: str
    show: Callable[[Entry], str]
    sort: Callable[[Entry], float | str | None]
    is_number: bool = True


def _score(name: str) -> Column:
    def points(entry: Entry) -> Interval | None:
        return entry.scores[name].in_points() if entry.scores else None

    meaning = {"OA": "overall accuracy", "AA": "average accuracy", "kappa": "Cohen's kappa"}[name]
    return Column(
        heading=name,
        meaning=f"{meaning} on the test pixels, x 100: mean [95% interval]",
        show=lambda entry: with_interval(value) if (value := points(entry)) else "withheld",
        sort=lambda entry: value.mean if (value := points(entry)) else None,
    )


def _median(name: str, heading: str, meaning: str, digits: int) -> Column:
    def value(entry: Entry) -> float | None:
        rows = entry.shown.rows
        values = rows.loc[rows["is_usable"], name].dropna()
        return float(values.median()) if len(values) else None

    return Column(heading=heading, meaning=meaning, show=lambda entry: number(value(entry), digits), sort=value)


def _text(heading: str, meaning: str, show: Callable[[Entry], str]) -> Column:
    return Column(heading=heading, meaning=meaning, show=show, sort=show, is_number=False)


def _leakage(entry: Entry) -> float | None:
    value = entry.shown.rows["leakage"].mean()
    return None if pd.isna(value) else 100 * float(value)


def _transductive(entry: Entry) -> str:
    known = {bool(value) for value in entry.shown.rows["transductive"] if value is not None and pd.notna(value)}
    return {frozenset(): "n/a", frozenset({True}): "yes", frozenset({False}): "no"}.get(frozenset(known), "both")


COLUMNS: tuple[Column, ...] = (
    Column(
        heading="rank",
        meaning="by mean test OA among entrants that are not bounds; equal means share a rank",
        show=lambda entry: str(entry.rank) if entry.rank else ("bound" if entry.shown.is_bound else "-"),
        sort=lambda entry: entry.rank,
    ),
    _text("method", "name of the method", lambda entry: one_line(entry.shown.method)),
    _text("protocol", "how its output is scored", lambda entry: one_line(entry.shown.protocol)),
    _score("OA"),
    _score("AA"),
    _score("kappa"),
    Column(
        heading="trials",
        meaning="splits x seeds behind the scores",
        show=lambda entry: "{} x {}".format(*entry.shown.oa.shape),
        sort=lambda entry: entry.shown.oa.size,
    ),
    Column(
        heading="tried",
        meaning="configurations tried, of which validation chose one",
        show=lambda entry: str(entry.n_tried),
        sort=lambda entry: entry.n_tried,
    ),
    Column(
        heading="failed",
        meaning="trials of all its configurations that failed or diverged",
        show=lambda entry: str(entry.n_failed),
        sort=lambda entry: entry.n_failed,
    ),
    _median("fit_s", "fit s", "seconds to fit, median; one fit may serve several trials", 1),
    _median("n_parameters", "parameters", "learnt parameters of the encoder", 0),
    Column(
        heading="leakage %",
        meaning="share of test pixels whose patch shares a pixel with a training patch, mean over splits",
        show=lambda entry: number(_leakage(entry)),
        sort=_leakage,
    ),
    _text("transductive", "whether fitting saw the spectra of test pixels", _transductive),
    _text(
        "labels seen", "labels the fit may see: none, train, or all (a bound)", lambda e: one_line(e.shown.sees_labels)
    ),
)


def leaderboard_frame(board: Leaderboard) -> pd.DataFrame:
    """Return the leaderboard as text cells under its headings, in the order shown."""
    return pd.DataFrame(
        [[column.show(entry) for column in COLUMNS] for entry in board.entries],
        columns=[column.heading for column in COLUMNS],
    )


def numbers_frame(boards: Sequence[Leaderboard]) -> pd.DataFrame:
    """Return all leaderboards as one frame of full-precision numbers, scores as fractions, one row per entry."""
    return pd.DataFrame([_numbers(board, entry) for board in boards for entry in board.entries])


def _numbers(board: Leaderboard, entry: Entry) -> dict[str, object]:
    shown = entry.shown
    row: dict[str, object] = {name: board.group.key[name] for name in GROUP_COLUMNS}
    row |= {"rank": entry.rank, "method": shown.method, "protocol": shown.protocol, "sees_labels": shown.sees_labels}
    row |= {"config_id": shown.config_id, "params": params_text(shown.params)}
    for name in shown.scores:
        interval = entry.scores.get(name, Interval(float("nan"), float("nan"), float("nan")))
        row |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
        row[f"{name}_sd"] = sample_sd(shown.scores[name]) if entry.scores else float("nan")
    row["val_OA"] = float(shown.val_oa.mean()) if entry.scores else float("nan")
    row |= {"n_splits": shown.oa.shape[0], "n_seeds": shown.oa.shape[1], "n_tried": entry.n_tried}
    row |= {"n_incomplete": entry.n_incomplete, "n_failed": entry.n_failed, "withheld": entry.withheld}
    by_heading = {column.heading: column for column in COLUMNS}
    row |= {"fit_s": by_heading["fit s"].sort(entry), "n_parameters": by_heading["parameters"].sort(entry)}
    return row | {"leakage": float(shown.rows["leakage"].mean()), "transductive": _transductive(entry)}


def notes(board: Leaderboard) -> list[str]:
    """Return what a reader of the table must know: chosen parameters and on what, withheld scores, holes."""
    lines = []
    for entry in board.entries:
        if entry.withheld:
            lines.append(f"{one_line(entry.name)}: {one_line(entry.withheld)}")
            continue
        if entry.chosen:
            lines.append(f"{one_line(entry.name)}: validation chose {params_text(entry.chosen)}")
        if entry.n_incomplete:
            lines.append(
                f"{one_line(entry.name)}: {entry.n_incomplete} of {entry.n_tried} configurations lack trials and "
                "could not be chosen"
            )
    return lines + _not_validated(board)


def _not_validated(board: Leaderboard) -> list[str]:
    """Return which classes had no say in the choice, one line for all entrants of which the same is known."""
    scored = [entry for entry in board.entries if not entry.withheld]
    names: dict[str, list[str]] = {}
    for entry in scored:
        if classes := _unvalidated_classes(entry):
            names.setdefault(classes, []).append(one_line(entry.name))
    return [
        f"{'all entrants' if 1 < len(who) == len(scored) else ', '.join(who)}: chosen without validation pixels of "
        f"{classes}"
        for classes, who in names.items()
    ]


def _unvalidated_classes(entry: Entry) -> str:
    """Return the classes without a validation pixel, and in how many splits where not in all; "" where none."""
    rows = entry.shown.rows[["split_index", "unvalidated_classes"]].dropna()
    by_split: dict[int, set[str]] = {}
    for index, classes in rows.itertuples(index=False):
        by_split.setdefault(int(index), set()).update(classes)
    counts = Counter(name for classes in by_split.values() for name in classes)
    n_splits = entry.shown.oa.shape[0]
    # Rows of schema version 1 do not say: such splits are not counted as validated.
    return ", ".join(
        one_line(name) + (f" ({count} of {len(by_split)} splits)" if count < n_splits else "")
        for name, count in sorted(counts.items())
    )


def render_text(boards: Sequence[Leaderboard], rows: pd.DataFrame) -> str:
    """Return the leaderboards for a terminal, never truncated.

    Args:
        boards: one per group.
        rows: the frame they come from, for the failures.
    """
    if not boards:
        return nothing_to_rank(rows) + "\n"
    parts = []
    for board in boards:
        table = leaderboard_frame(board).to_string(index=False, max_colwidth=None, line_width=None)
        parts.append("\n".join([one_line(board.group.title), table, *notes(board)]))
    failed = failed_rows(rows)
    if len(failed):
        parts.append(f"Trials that failed or diverged: {_counted(failed)}")
    return "\n\n".join([*parts, RULES]) + "\n"


def nothing_to_rank(rows: pd.DataFrame) -> str:
    """Return one sentence on a store without trials."""
    searched = f" ({len(rows)} rows of a search, which never enter a table)" if len(rows) else ""
    return f"No trials in this store{searched}: run a sweep into it, then build the report again."


def _counted(failed: pd.DataFrame) -> str:
    counts = failed["error_type"].fillna(failed["status"]).value_counts().sort_index()
    return ", ".join(f"{one_line(name)} {count}" for name, count in counts.items())


def render_markdown(boards: Sequence[Leaderboard], rows: pd.DataFrame) -> str:
    """Return the leaderboards as GitHub-flavoured Markdown.

    Args:
        boards: one per group.
        rows: the frame they come from, for the failures.
    """
    if not boards:
        return nothing_to_rank(rows) + "\n"
    lines = []
    for board in boards:
        frame = leaderboard_frame(board)
        words = [column.heading for column in COLUMNS if not column.is_number]
        lines += [f"### {markdown_cell(board.group.title)}", ""]
        lines += markdown_table(list(frame.columns), frame.itertuples(index=False), words)
        lines += ["", *(f"- {markdown_cell(note)}" for note in notes(board)), ""]
    failed = failed_rows(rows)
    if len(failed):
        lines += [f"Trials that failed or diverged: {markdown_cell(_counted(failed))}.", ""]
    return "\n".join([*lines, RULES, ""])


def render_latex(boards: Sequence[Leaderboard]) -> str:
    """Return the leaderboards as LaTeX tables with booktabs rules, to be read with input.

    Args:
        boards: one per group.
    """
    layout = "".join("r" if column.is_number else "l" for column in COLUMNS)
    heads = " & ".join(latex_cell(column.heading) for column in COLUMNS)
    lines = ["% \\usepackage{booktabs}"]
    for board in boards:
        lines += [f"% {one_line(board.group.title)}", f"\\begin{{tabular}}{{{layout}}}", "\\toprule", f"{heads} \\\\"]
        lines.append("\\midrule")
        for index, entry in enumerate(board.entries):
            if entry.shown.is_bound and index == len(board.competitors) > 0:
                lines.append("\\midrule")
            lines.append(" & ".join(latex_cell(column.show(entry)) for column in COLUMNS) + " \\\\")
        lines += ["\\bottomrule", "\\end{tabular}", ""]
    return "\n".join(lines) + "\n"


def render_csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV whose text cells no spreadsheet runs as formulas."""
    return str(csv_safe(frame).to_csv(index=False, lineterminator="\n"))
