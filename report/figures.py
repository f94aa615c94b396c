"""Figures as SVG (light and dark) and PNG, the same bytes for the same data. Drawn on objects, not through pyplot."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from report.ablation import Ablation, Series
from report.comparison import Difference
from report.standings import REFERENCE
from report.statistics import Interval
from report.text import figure_text, value_text

WIDTH_IN = 5.4
INK = {"light": "#1b1f24", "dark": "#e8eaed"}
PAPER = {"light": "#ffffff", "dark": "#16191d"}
# Of the colour-blind-safe set of Okabe and Ito (2008), those with a contrast of at least 3:1 on both papers; each
# comes with its own marker and dash, so nothing rests on colour alone.
STYLES = (
    ("#0077bb", "o", "-"),
    ("#d55e00", "s", "--"),
    ("#009e73", "^", "-."),
    ("#b8629a", "D", ":"),
    ("#808080", "v", (0, (5, 1, 1, 1, 1, 1))),
    ("#8c6d31", "P", (0, (1, 1))),
)
_RC = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "text.parse_math": False,
    "svg.fonttype": "path",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One figure of the report.

    Attributes:
        stem: name of its files without extension.
        files: extension to bytes: svg, dark.svg, png.
        data: what is drawn, one row per mark.
        alt: what the figure shows, for who cannot see it.
        caption: what is averaged, over how many trials, and what the bars mean.
    """

    stem: str
    files: dict[str, bytes]
    data: pd.DataFrame
    alt: str
    caption: str


def draw(paint: Callable[[Figure, str], None], height_in: float, stem: str) -> dict[str, bytes]:
    """Return the files of a figure.

    Args:
        paint: draws on an empty figure with the given ink colour.
        height_in: height in inches; the width is WIDTH_IN.
        stem: seeds the ids inside the SVG.
    """
    ink, paper = INK["light"], PAPER["light"]
    colours = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink)
    papers = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), paper)
    settings: dict[Any, Any] = {**_RC, **colours, **papers, "svg.hashsalt": stem}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        FigureCanvasAgg(figure)
        paint(figure, ink)
        # Where everything stands is found once: it takes a third of the time of saving.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        svg = _saved(figure, "svg", metadata={"Date": None})
        png = _saved(figure, "png", dpi=200, metadata={"Software": None})
    # To draw it again takes as long as the first time; no mark has a colour of ink or paper of its own.
    dark = svg
    for shade in (INK, PAPER):
        dark = dark.replace(shade["light"].encode(), shade["dark"].encode())
    return {"svg": svg, "dark.svg": dark, "png": png}


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def ablation_files(ablation: Ablation, stem: str) -> dict[str, bytes]:
    """Return the files of a response figure: test OA over the axis, below it the difference to the reference.

    Methods that sweep the axis are curves with bars, others are lines with bands. The lower panel is there only if the
    reference is: it leaves out what all methods share, how hard a split is, and so shows what the upper one hides.

    Args:
        ablation: what is drawn.
        stem: name of its files without extension.
    """
    axis = _Axis.of([value for series in ablation.series for value in series.values])
    has_differences = any(series.differences for series in ablation.series)

    def paint(figure: Figure, ink: str) -> None:
        panels = figure.subplots(1 + has_differences, sharex=True, squeeze=False)[:, 0]
        _panel(panels[0], ablation, axis, ink, [series.intervals for series in ablation.series])
        panels[0].set_ylabel("test OA (%)")
        bottom, top = panels[0].get_ylim()
        panels[0].set_ylim(max(0.0, bottom), min(100.0, top))
        if has_differences:
            _panel(panels[1], ablation, axis, ink, [series.differences for series in ablation.series])
            panels[1].axhline(0.0, color=ink, linewidth=1.0)
            panels[1].margins(y=0.08)
            panels[1].set_ylabel(f"minus {figure_text(REFERENCE)}\n(points, paired)")
        panels[-1].set_xlabel(figure_text(ablation.axis))
        labels = sum(len(_label(series)) for series in ablation.series)
        handles, names = panels[0].get_legend_handles_labels()
        columns = len(names) if labels < 48 else 2 if labels < 100 else 1
        figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9)

    return draw(paint, 5.4 if has_differences else 3.6, stem)


@dataclass(frozen=True)
class _Axis:
    """Where axis values stand; values that are not all numbers stand in a row."""

    scale: str
    positions: dict[str, float]

    @classmethod
    def of(cls, values: list[Any]) -> _Axis:
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            texts = dict.fromkeys(value_text(value) for value in values)
            return cls("linear", {text: float(index) for index, text in enumerate(texts)})
        positions = {value_text(value): float(value) for value in values}
        low, high = min(positions.values()), max(positions.values())
        return cls("log" if low > 0 and high / low >= 4 else "linear", positions)

    def places(self, values: tuple[Any, ...], shift: float) -> list[float]:
        """Return the x of each value, moved by a share of the axis."""
        low, high = min(self.positions.values()), max(self.positions.values())
        x = [self.positions[value_text(value)] for value in values]
        return [at * (high / low) ** shift if self.scale == "log" else at + shift * (high - low) for at in x]


def _panel(axes: Axes, ablation: Ablation, axis: _Axis, ink: str, drawn: list[tuple[Interval | None, ...]]) -> None:
    curves = [series for series in ablation.series if not series.is_level]
    for style, series, intervals in zip(cycle(STYLES), ablation.series, drawn, strict=False):
        if not intervals:
            continue
        if series.is_level:
            _level(axes, _label(series), intervals[0], style)
        else:
            # Curves stand a little beside each other, so that their bars do not hide one another.
            shift = (curves.index(series) - (len(curves) - 1) / 2) * 0.014
            _curve(axes, _label(series), axis.places(series.values, shift), intervals, style)
    axes.set_xscale(axis.scale)
    keys = sorted(axis.positions, key=lambda key: axis.positions[key])
    axes.set_xticks([axis.positions[key] for key in keys], [figure_text(key, 14) for key in keys])
    axes.set_xticks([], minor=True)
    axes.grid(axis="y", color=ink, alpha=0.15, linewidth=0.6)


def _curve(
    axes: Axes, label: str, places: list[float], intervals: tuple[Interval | None, ...], style: tuple[Any, ...]
) -> None:
    colour, marker, dash = style
    marks = [(x, interval.in_points()) for x, interval in zip(places, intervals, strict=True) if interval is not None]
    x, means = [at for at, _ in marks], [interval.mean for _, interval in marks]
    axes.plot(x, means, color=colour, marker=marker, linestyle=dash, linewidth=1.8, markersize=6, label=label)
    barred = [(at, interval) for at, interval in marks if interval.is_defined]
    if barred:
        # All at once: see ``difference_files``.
        axes.errorbar(
            [at for at, _ in barred],
            [interval.mean for _, interval in barred],
            yerr=[[each.mean - each.low for _, each in barred], [each.high - each.mean for _, each in barred]],
            fmt="none",
            ecolor=colour,
            elinewidth=1.3,
            capsize=4,
        )


def _level(axes: Axes, label: str, interval: Interval | None, style: tuple[Any, ...]) -> None:
    if interval is None:
        return
    colour, _, dash = style
    points = interval.in_points()
    axes.axhline(points.mean, color=colour, linestyle=dash, linewidth=1.8, label=label)
    if points.is_defined:
        axes.axhspan(points.low, points.high, color=colour, alpha=0.10, linewidth=0)
        for edge in (points.low, points.high):
            axes.axhline(edge, color=colour, linestyle=dash, linewidth=0.6, alpha=0.6)


def _label(series: Series) -> str:
    return figure_text(series.method, 24) + (" (bound)" if series.is_bound else "")


def difference_files(differences: tuple[Difference, ...], reference: str, stem: str) -> dict[str, bytes]:
    """Return the files of a forest plot: one line per entrant, its paired difference to the reference.

    Args:
        differences: what is drawn, top to bottom.
        reference: name of the reference.
        stem: name of its files without extension.
    """

    def paint(figure: Figure, ink: str) -> None:
        axes = figure.add_subplot()
        for is_bound, (colour, marker) in ((False, (STYLES[0][0], "o")), (True, (STYLES[1][0], "D"))):
            lines = [(at, item.oa.in_points()) for at, item in enumerate(differences) if item.is_bound == is_bound]
            means = [oa.mean for _, oa in lines]
            axes.plot(means, [at for at, _ in lines], marker=marker, markersize=7, color=colour, linestyle="none")
            barred = [(at, oa) for at, oa in lines if oa.is_defined]
            if barred:
                # All at once: every call makes artists of its own, and they take the time of the whole figure.
                axes.errorbar(
                    [oa.mean for _, oa in barred],
                    [at for at, _ in barred],
                    xerr=[[oa.mean - oa.low for _, oa in barred], [oa.high - oa.mean for _, oa in barred]],
                    fmt="none",
                    ecolor=colour,
                    elinewidth=1.8,
                    capsize=4,
                )
        axes.axvline(0.0, color=ink, linewidth=1.0)
        axes.set_yticks(range(len(differences)), [_line_label(item) for item in differences])
        axes.set_ylim(len(differences) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=ink, alpha=0.15, linewidth=0.6)
        axes.set_xlabel(f"test OA minus that of {figure_text(reference, 24)} (points)")

    return draw(paint, 1.1 + 0.5 * len(differences), stem)


def _line_label(item: Difference) -> str:
    label = f"{figure_text(item.method, 20)}\n{figure_text(item.protocol, 14)}"
    return label + (", bound" if item.is_bound else "")
