"""A claim's curves as one figure of small plots, drawn from what was measured: the same bytes from the same JSON."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.speed.claims.base import Curve, Row
from benchmark.trial import digest

_COLUMNS = 4
# The line of a linear growth, through the last point.
_GUIDE = {"color": "0.6", "linestyle": "--", "linewidth": 0.9}
_STYLE: dict[Any, Any] = {
    # Names of elements are drawn at random otherwise.
    "svg.hashsalt": "benchmark.speed",
    # Letters as text: small files, and they can be searched.
    "svg.fonttype": "none",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def curves_of(rows: Sequence[Row]) -> list[Curve]:
    """Return the curves of the rows that have one."""
    return [row.curve for row in rows if row.curve is not None]


def described(curves: Sequence[Curve]) -> str:
    """Return what a figure of ``curves`` shows, in words, for those who do not see it."""
    plots = "; ".join(f"{curve.y.partition(' ')[0]} of {curve.title} against {curve.x}" for curve in curves)
    return f"Plots with logarithmic axes, each with a dashed line of linear growth: {plots}."


def drawn(curves: Sequence[Curve]) -> str:
    """Return the figure as SVG: one plot with logarithmic axes for each curve.

    Args:
        curves: at least one.
    """
    import matplotlib
    from matplotlib.figure import Figure

    n_rows = math.ceil(len(curves) / _COLUMNS)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(2.6 * _COLUMNS, 2.1 * n_rows), layout="constrained")
        plots = figure.subplots(n_rows, _COLUMNS, squeeze=False).flat
        for curve in curves:
            _draw(next(plots), curve)
        for unused in plots:
            unused.set_axis_off()
        stream = io.StringIO()
        # Neither date nor version: the same curves give the same file. Which ones they are, the identifier tells.
        known = {"Date": None, "Creator": None, "Title": described(curves), "Identifier": digest_of(curves)}
        figure.savefig(stream, format="svg", metadata=known)
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def digest_of(curves: Sequence[Curve]) -> str:
    """Return 16 hex digits over everything in ``curves``."""
    return digest([dataclasses.asdict(curve) for curve in curves])


def write_figure(path: Path, curves: Sequence[Curve]) -> None:
    """Write what ``drawn`` gives."""
    path.write_text(drawn(curves), encoding="utf-8")


def _draw(plot: Any, curve: Curve) -> None:
    x, y = zip(*curve.points, strict=True)
    plot.loglog(x, [value * y[-1] / x[-1] for value in x], **_GUIDE)
    plot.loglog(x, y, color="C0", marker="o", markersize=3, linewidth=1.2)
    plot.minorticks_off()
    plot.set_xticks(x, [f"{value / 1000:.3g}k" if value >= 10_000 else f"{value:g}" for value in x])
    plot.set_yticks(y, [f"{value:.2g}" if value < 10 else f"{value:.0f}" for value in y])
    plot.set_title(curve.title)
    plot.set_xlabel(curve.x)
    plot.set_ylabel(curve.y)
