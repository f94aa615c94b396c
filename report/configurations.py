"""Every configuration of a store as one Markdown table: ``python -m report.configurations STORE``.

The leaderboard shows one configuration per method, chosen on validation. A study of controls is read the other way:
each control is a configuration of its own, beside plain NT-Xent and the oracle at the same temperature.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from report.choice import choices_markdown
from report.comparison import reference_of
from report.errors import ReportError
from report.groups import Configuration, Group, build_groups
from report.rows import read_rows
from report.settings import Usual, settings_text, usual_markdown, usual_settings
from report.split_kinds import split_kinds_markdown
from report.standings import REFERENCE
from report.statistics import captured_gain, paired_difference, score_interval
from report.text import markdown_cell, markdown_table, number, params_text, with_interval
from results.errors import ResultsError

_COLUMNS = ("method", "settings", "protocol", "OA val", "OA test", "OA minus NT-Xent", "captured gain % (OA)",
            "captured gain % (kappa)", "trials")  # fmt: skip
_NOTE = (
    "OA in points with 95% intervals of the mean over splits and seeds (crossed, both random), not adjusted for the "
    "number of rows. Differences and captured gain are paired, against NT-Xent and the oracle's elimination with the "
    "same encoder, views, training and temperature. Captured gain is (row - NT-Xent) / (oracle - NT-Xent), n/a where "
    "the oracle's own gain is not separated from zero. The oracle sees all labels: it is a bound."
)


def configurations_markdown(store_uri: str) -> str:
    """Return one table per group of comparable trials, incomplete configurations with their reason.

    Args:
        store_uri: folder or URI that ``results.open_store`` understands.
    """
    lines: list[str] = []
    groups = build_groups(read_rows(store_uri))
    usual = usual_settings(groups)
    for group in groups:
        lines += [f"### {markdown_cell(group.title)}", ""]
        lines += [*markdown_table(_COLUMNS, _rows(group, usual), _COLUMNS[:3]), ""]
    notes = [line for note in (usual_markdown(usual), _NOTE) if note for line in (note, "")]
    return "\n".join([*split_kinds_markdown(groups, usual), *lines, *notes, *choices_markdown(groups)])


def _rows(group: Group, usual: Usual) -> list[tuple[str, ...]]:
    rows = []
    for item in sorted(group.configurations, key=lambda each: (each.is_bound, each.method, params_text(each.params))):
        start = (item.method, settings_text(item, usual), item.protocol)
        if item.holes:
            reasons = ", ".join(f"{reason}: {count}" for reason, count in item.holes.items())
            rows.append((*start, *["withheld"] * 5, f"{reasons} of {group.n_cells}"))
            continue
        rows.append((*start, *_numbers(group, item), str(group.n_cells)))
    return rows


def _numbers(group: Group, item: Configuration) -> tuple[str, ...]:
    plain = reference_of(group.configurations, item, REFERENCE)
    oracle = reference_of(group.configurations, item, "oracle_negatives")
    difference = with_interval(paired_difference(item.oa, plain.oa).in_points()) if plain else "-"
    gains = ["-", "-"]
    if plain and oracle and not item.is_bound:
        shares = [captured_gain(item.scores[name], plain.scores[name], oracle.scores[name]) for name in ("OA", "kappa")]
        gains = [with_interval(share.in_points(), 0) if np.isfinite(share.mean) else "n/a" for share in shares]
    return (
        number(100 * float(item.val_oa.mean())),
        with_interval(score_interval(item.oa).in_points()),
        difference,
        *gains,
    )


def main(argv: Sequence[str]) -> int:
    """Print the tables of the store and return the exit status."""
    if len(argv) != 1:
        sys.stderr.write("configurations: give one store: python -m report.configurations STORE\n")
        return 2
    try:
        sys.stdout.write(configurations_markdown(argv[0]))
    except (ReportError, ResultsError) as error:
        sys.stderr.write(f"configurations: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
