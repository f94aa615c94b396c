"""What it means: statistics, leaderboard, ablations, figures and the HTML page, from stored rows alone.

Imports neither torch nor ray, so a report can be built where nothing was trained.
"""

from __future__ import annotations

import os
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


def leaderboard_text(store_uri: str | os.PathLike[str]) -> str:
    """Return the leaderboard of a store as plain text, whole, whether or not it goes to a terminal.

    Args:
        store_uri: folder or URI that ``results.open_store`` understands.

    Raises:
        ReportError: a row cannot be understood.
        StoreError: the store does not exist or holds a torn file.
    """
    from report.groups import build_groups
    from report.leaderboard import build_leaderboard
    from report.rows import read_rows
    from report.tables import render_text

    rows = read_rows(os.fspath(store_uri))
    return render_text([build_leaderboard(group) for group in build_groups(rows)], rows)
