"""What it means: statistics, leaderboard, ablations, figures and the HTML page, from stored rows alone.

Imports neither torch nor ray, so a report can be built where nothing was trained.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from report.errors import ReportError

__all__ = ["ReportError", "build_report", "leaderboard_text"]


def build_report(store_uri: str | os.PathLike[str], out_dir: str | os.PathLike[str]) -> Path:
    """Render the rows of a store into a self-contained folder and return the path of its index.html.

    Args:
        store_uri: folder or URI that ``results.open_store`` understands.
        out_dir: folder to write. An earlier report there is replaced; it must otherwise be absent or empty.

    Raises:
        ReportError: ``out_dir`` holds something else or cannot be written, or a row cannot be understood.
        StoreError: the store does not exist or holds a torn file.
    """
    from report.page import build_page

    return build_page(os.fspath(store_uri), Path(out_dir))


def leaderboard_text(
    store_uri: str | os.PathLike[str], *, reference: str = "nt_xent", only: Mapping[str, Sequence[str]] | None = None
) -> str:
    """Return the leaderboard of a store as plain text, whole, whether or not it goes to a terminal.

    Args:
        store_uri: folder or URI that ``results.open_store`` understands.
        reference: METHOD or METHOD:PROTOCOL that the others are compared to.
        only: word of ``report.rows.SELECTABLE`` to the values to keep; ranks and tests are among what is left.

    Raises:
        ReportError: a row cannot be understood, or nothing of what is asked for is there.
        StoreError: the store does not exist or holds a torn file.
    """
    from report.groups import build_groups, narrowed
    from report.leaderboard import build_leaderboard
    from report.overall import build_overall
    from report.rows import OF_GROUPS, read_rows, select
    from report.standings import check_reference
    from report.tables import render_text

    wanted = only or {}
    rows = select(read_rows(os.fspath(store_uri)), wanted)
    groups = narrowed(build_groups(rows), {word: wanted[word] for word in wanted.keys() - OF_GROUPS.keys()})
    missing = check_reference(groups, reference)
    boards = [build_leaderboard(group, reference) for group in groups]
    return missing + render_text(boards, rows, build_overall(boards, reference))
