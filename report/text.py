"""Text from rows, made safe for where it is shown: plain text, Markdown, LaTeX, CSV, figures, file names.

Names of scenes and methods and messages of errors come from users' files. They are shown as they are, as text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable, Sequence
from functools import cache
from typing import Any

import pandas as pd

from report.statistics import Interval

NOT_AVAILABLE = "n/a"

_LATEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


def one_line(value: Any) -> str:
    """Return text without line breaks, control characters and direction overrides, so that it cannot leave its cell."""
    kept = (" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in str(value))
    return " ".join("".join(char for char in kept if unicodedata.category(char) not in ("Cf", "Cs")).split())


def shortened(value: Any, length: int = 40) -> str:
    """Return ``one_line`` of at most ``length`` characters, the cut marked by an ellipsis."""
    text = one_line(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def markdown_cell(value: Any) -> str:
    """Return text that Markdown and the HTML it passes through show literally."""
    text = one_line(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", text)
    # An underscore inside a word is no emphasis; escaping it would make every name unreadable in the source.
    return re.sub(r"(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])", r"\\_", text)


def markdown_table(heads: Sequence[str], rows: Iterable[Iterable[Any]], words: Container[str]) -> list[str]:
    """Return the lines of a Markdown table, columns of words to the left, all others, numbers, to the right.

    Args:
        heads: of the columns.
        rows: cells, of any text.
        words: the heads of the columns that hold words.
    """
    lines = ["| " + " | ".join(map(markdown_cell, heads)) + " |"]
    lines.append("|" + "|".join(":---" if head in words else "---:" for head in heads) + "|")
    return [*lines, *("| " + " | ".join(map(markdown_cell, cells)) + " |" for cells in rows)]


def latex_cell(value: Any) -> str:
    """Return text that LaTeX shows literally."""
    return one_line(value).translate(_LATEX)


def csv_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with text cells that a spreadsheet would run as a formula led by an apostrophe.

    Args:
        frame: numbers are left as they are, also negative ones.
    """
    safe = {
        name: frame[name] if pd.api.types.is_numeric_dtype(frame[name]) else frame[name].map(_defused) for name in frame
    }
    return pd.DataFrame(safe, index=frame.index, columns=frame.columns).rename(columns=_defused)


def _defused(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value


def file_stem(value: Any) -> str:
    """Return a lower-case name of letters, digits and underscores for a file; different texts may share one."""
    return re.sub(r"[^0-9a-z_]+", "-", one_line(value).lower()).strip("-")[:40] or "unnamed"


def figure_text(value: Any, length: int = 40) -> str:
    """Return text of characters that the figures' font has, others as a white square."""
    return "".join(char if ord(char) in _glyphs() else "□" for char in shortened(value, length))


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap())


def number(value: float | None, digits: int = 1) -> str:
    """Return a number with fixed digits, or n/a."""
    return NOT_AVAILABLE if value is None or pd.isna(value) else f"{value:.{digits}f}"


def p_text(p: float | None) -> str:
    """Return a p-value with three digits, "<0.001" below them, "-" for none."""
    return "-" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def with_interval(interval: Interval, digits: int = 1) -> str:
    """Return "61.2 [58.1, 64.4]", the interval n/a where there is none.

    Args:
        interval: in the unit to be shown.
        digits: after the point.
    """
    if pd.isna(interval.mean):
        return NOT_AVAILABLE
    bounds = f"{interval.low:.{digits}f}, {interval.high:.{digits}f}" if interval.is_defined else NOT_AVAILABLE
    return f"{interval.mean:.{digits}f} [{bounds}]"


def value_text(value: Any) -> str:
    """Return a parameter's value as short text."""
    return f"{value:g}" if isinstance(value, float) else one_line("none" if value is None else value)


def params_text(params: dict[str, Any]) -> str:
    """Return "name=value, name=value", sorted by name."""
    return ", ".join(f"{one_line(name)}={value_text(value)}" for name, value in sorted(params.items()))
