"""The leaderboard as text, CSV, Markdown and LaTeX, by the columns of ``report.columns``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from report.columns import COLUMNS, COSTS, interval_numbers, mean_leakage, standing_numbers, transductive_text
from report.leaderboard import RULES, Entry, Leaderboard
from report.overall import NOTE, WORDS, Overall, cells, heads, overall_markdown, overall_text
from report.published import beside_measured, published_text
from report.rows import GROUP_COLUMNS, failed_rows
from report.statistics import sample_sd
from report.text import (
    csv_safe,
    latex_cell,
    markdown_cell,
    markdown_table,
    one_line,
    params_text,
    with_interval,
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
        row |= interval_numbers(name, entry.scores.get(name))
        row[f"{name}_sd"] = sample_sd(shown.scores[name]) if entry.scores else float("nan")
    row["val_OA"] = float(shown.val_oa.mean()) if entry.scores else float("nan")
    row |= {"n_splits": shown.oa.shape[0], "n_seeds": shown.oa.shape[1], "n_tried": entry.n_tried}
    row |= {"n_incomplete": entry.n_incomplete, "n_failed": entry.n_failed, "withheld": entry.withheld}
    by_heading = {column.heading: column for column in COLUMNS}
    row |= {name: by_heading[heading].sort(entry) for name, heading, _, _ in COSTS}
    row |= standing_numbers(entry.standing)
    return row | {"leakage": mean_leakage(entry), "transductive": transductive_text(entry)}


def measured_oa(board: Leaderboard) -> dict[str, str]:
    """Return METHOD:PROTOCOL to test OA with its interval, of every entry that has scores."""
    return {
        f"{entry.shown.method}:{entry.shown.protocol}": with_interval(entry.scores["OA"].in_points())
        for entry in board.entries
        if entry.scores and not entry.shown.is_bound
    }


def notes(board: Leaderboard) -> list[str]:
    """Return what a reader of the table must know: chosen parameters and on what, withheld scores, holes, remarks."""
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
    return lines + _said_of_entrants(board)


def _said_of_entrants(board: Leaderboard) -> list[str]:
    """Return which classes had no say in the choice, and what records remark on; one line for all that share it."""
    scored = [entry for entry in board.entries if not entry.withheld]
    names: dict[str, list[str]] = {}
    for entry in scored:
        classes = _unvalidated_classes(entry)
        said = [f"chosen without validation pixels of {classes}"] if classes else []
        for remark in [*said, *_remarks(entry)]:
            names.setdefault(remark, []).append(one_line(entry.name))
    return [
        f"{'all entrants' if 1 < len(who) == len(scored) else ', '.join(who)}: {remark}"
        for remark, who in names.items()
    ]


def _remarks(entry: Entry) -> list[str]:
    """Return what ``noted`` of any of its rows says."""
    return sorted({one_line(remark) for noted in entry.shown.rows["noted"] if noted is not None for remark, _ in noted})


def _unvalidated_classes(entry: Entry) -> str:
    """Return the classes without a validation pixel, and in how many splits where not in all; "" where none."""
    rows = entry.shown.rows
    by_split: dict[int, set[str]] = {}
    for index, classes in zip(rows["split_index"], rows["unvalidated_classes"], strict=True):
        if classes is not None:
            by_split.setdefault(int(index), set()).update(classes)
    counts = Counter(name for classes in by_split.values() for name in classes)
    n_splits = entry.shown.oa.shape[0]
    # Rows of schema version 1 do not say: such splits are not counted as validated.
    return ", ".join(
        one_line(name) + (f" ({count} of {len(by_split)} splits)" if count < n_splits else "")
        for name, count in sorted(counts.items())
    )


def render_text(boards: Sequence[Leaderboard], rows: pd.DataFrame, overalls: Sequence[Overall] = ()) -> str:
    """Return the leaderboards for a terminal, never truncated.

    Args:
        boards: one per group.
        rows: the frame they come from, for the failures.
        overalls: the tables over several scenes.
    """
    if not boards:
        return nothing_to_rank(rows) + "\n"
    parts = []
    for board in boards:
        table = leaderboard_frame(board).to_string(index=False, max_colwidth=None, line_width=None)
        parts.append("\n".join([one_line(board.group.title), table, *notes(board)]))
        if published := published_text(board.group.key, measured_oa(board)):
            parts.append(published)
    failed = failed_rows(rows)
    if len(failed):
        parts.append(f"Trials that failed or diverged: {_counted(failed)}")
    parts += [overall_text(overall) for overall in overalls]
    return "\n\n".join([*parts, *([NOTE] if overalls else []), RULES]) + "\n"


def nothing_to_rank(rows: pd.DataFrame) -> str:
    """Return one sentence on a store without trials."""
    searched = f" ({len(rows)} rows of a search, which never enter a table)" if len(rows) else ""
    return f"No trials in this store{searched}: run a sweep into it, then build the report again."


def _counted(failed: pd.DataFrame) -> str:
    counts = failed["error_type"].fillna(failed["status"]).value_counts().sort_index()
    return ", ".join(f"{one_line(name)} {count}" for name, count in counts.items())


def render_markdown(boards: Sequence[Leaderboard], rows: pd.DataFrame, overalls: Sequence[Overall] = ()) -> str:
    """Return the leaderboards as GitHub-flavoured Markdown.

    Args:
        boards: one per group.
        rows: the frame they come from, for the failures.
        overalls: the tables over several scenes, which come first.
    """
    if not boards:
        return nothing_to_rank(rows) + "\n"
    lines = [line for overall in overalls for line in overall_markdown(overall)]
    lines += [NOTE, ""] if overalls else []
    for board in boards:
        frame = leaderboard_frame(board)
        words = [column.heading for column in COLUMNS if not column.is_number]
        lines += [f"### {markdown_cell(board.group.title)}", ""]
        lines += markdown_table(list(frame.columns), frame.itertuples(index=False), words)
        lines += ["", *(f"- {markdown_cell(note)}" for note in notes(board)), ""]
        lines += beside_measured(board.group.key, measured_oa(board))
    failed = failed_rows(rows)
    if len(failed):
        lines += [f"Trials that failed or diverged: {markdown_cell(_counted(failed))}.", ""]
    return "\n".join([*lines, RULES, ""])


def render_latex(boards: Sequence[Leaderboard], overalls: Sequence[Overall] = ()) -> str:
    """Return the leaderboards as LaTeX tables with booktabs rules, to be read with input.

    Args:
        boards: one per group.
        overalls: the tables over several scenes, which come first.
    """
    lines = ["% \\usepackage{booktabs}"]
    for overall in overalls:
        kinds = [entry.is_bound for entry in overall.entries]
        is_word = [head in WORDS[1:] for head in heads(overall)]
        lines += _latex_table(overall.title, heads(overall), is_word, cells(overall), kinds)
    for board in boards:
        rows = [[column.show(entry) for column in COLUMNS] for entry in board.entries]
        kinds = [entry.shown.is_bound for entry in board.entries]
        is_word = [not column.is_number for column in COLUMNS]
        lines += _latex_table(board.group.title, [column.heading for column in COLUMNS], is_word, rows, kinds)
    return "\n".join(lines) + "\n"


def _latex_table(
    title: str, names: Sequence[str], is_word: Sequence[bool], rows: Sequence[Sequence[str]], is_bound: Sequence[bool]
) -> list[str]:
    """Return the lines of one table, a rule before the first bound."""
    layout = "".join("l" if word else "r" for word in is_word)
    lines = [f"% {one_line(title)}", f"\\begin{{tabular}}{{{layout}}}", "\\toprule"]
    lines += [" & ".join(map(latex_cell, names)) + " \\\\", "\\midrule"]
    for index, row in enumerate(rows):
        if is_bound[index] and index > 0 and not is_bound[index - 1]:
            lines.append("\\midrule")
        lines.append(" & ".join(map(latex_cell, row)) + " \\\\")
    return [*lines, "\\bottomrule", "\\end{tabular}", ""]


def render_csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV whose text cells no spreadsheet runs as formulas."""
    return str(csv_safe(frame).to_csv(index=False, lineterminator="\n"))
