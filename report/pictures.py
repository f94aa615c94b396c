"""The report's figures with their data, alt texts and captions."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from report.ablation import Ablation, Series
from report.comparison import Difference
from report.figures import Picture, ablation_files, difference_files
from report.groups import Group
from report.standings import REFERENCE
from report.statistics import Interval
from report.text import file_stem, one_line, value_text, with_interval

INTERVALS = (
    "95% intervals of the mean over splits and seeds, both taken as random (two-way crossed, Student's t), "
    "not adjusted for the number of comparisons"
)


def ablation_picture(ablation: Ablation, number: int) -> Picture:
    """Return the response figure of one axis.

    Args:
        ablation: what is drawn.
        number: of the figure in the report; keeps file names apart.
    """
    stem = f"{number:02d}-ablation-{file_stem(ablation.axis)}"
    marks = [mark for series in ablation.series for mark in _marks(series)]
    data = pd.DataFrame([{"axis": ablation.axis, "protocol": ablation.protocol, **mark} for mark in marks])
    return Picture(
        stem=stem,
        files=ablation_files(ablation, stem),
        data=data,
        alt=_ablation_alt(ablation),
        caption=_ablation_caption(ablation),
    )


def difference_picture(differences: tuple[Difference, ...], group: Group, number: int) -> Picture:
    """Return the forest plot of paired differences to the reference.

    Args:
        differences: at least one.
        group: the group they belong to.
        number: of the figure in the report; keeps file names apart.
    """
    stem = f"{number:02d}-differences"
    data = pd.DataFrame(
        [
            {
                "method": item.method,
                "protocol": item.protocol,
                "is_bound": item.is_bound,
                "reference": REFERENCE,
                "reference_protocol": item.reference_protocol,
                **_bounds("difference_OA", item.oa),
            }
            for item in differences
        ]
    )
    lines = "; ".join(f"{one_line(item.method)} {with_interval(item.oa.in_points())}" for item in differences)
    return Picture(
        stem=stem,
        files=difference_files(differences, REFERENCE, stem),
        data=data,
        alt=f"Test OA minus that of {REFERENCE}, in points, with intervals: {lines}.",
        caption=(
            f"Test OA minus that of {REFERENCE}, paired on the same splits and seeds ({_grid(group)}). Each entrant is "
            "at the configuration that validation chose, the reference too. Right of the line is better than "
            f"{REFERENCE}. Bars: {INTERVALS}. Diamonds are bounds, which saw all labels."
        ),
    )


def _marks(series: Series) -> Iterator[dict[str, object]]:
    for index, (value, interval) in enumerate(zip(series.values or ("all",), series.intervals, strict=True)):
        difference = series.differences[index] if series.differences else None
        yield {
            "method": series.method,
            "is_bound": series.is_bound,
            "value": value,
            **_bounds("OA", interval),
            **(_bounds("difference_OA", difference) if difference else {}),
            "n_settings": series.n_settings,
            "note": series.note,
        }


def _bounds(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _grid(group: Group) -> str:
    splits, seeds = len(group.splits), len(group.seeds)
    return f"{splits} split{'s' * (splits > 1)} x {seeds} seed{'s' * (seeds > 1)}"


def _ablation_alt(ablation: Ablation) -> str:
    texts = []
    for series in ablation.series:
        name = one_line(series.method) + (" (bound)" if series.is_bound else "")
        shown = [with_interval(interval.in_points()) for interval in series.intervals]
        for index, difference in enumerate(series.differences):
            if difference is not None:
                shown[index] += f" ({with_interval(difference.in_points())} against {REFERENCE})"
        if series.is_level:
            texts.append(f"{name} level {shown[0]}")
        else:
            pairs = zip(series.values, shown, strict=True)
            texts.append(f"{name} " + ", ".join(f"{value_text(value)}: {text}" for value, text in pairs))
    return f"Test OA in percent against {one_line(ablation.axis)}, mean and interval. {'; '.join(texts)}."


def _ablation_caption(ablation: Ablation) -> str:
    main = ablation.series[0]
    n_trials = main.n_settings * ablation.group.n_cells
    over = ", ".join(map(one_line, ablation.averaged_over))
    averaged = (
        f"averaged over all {main.n_settings} settings of {over} that are complete at every value"
        if ablation.averaged_over
        else "no other parameter is swept"
    )
    parts = [
        f"Test OA of {one_line(main.method)} ({one_line(ablation.protocol)}) against {one_line(ablation.axis)}; "
        f"{averaged}. {n_trials} trials per value: {_grid(ablation.group)} for each setting. No configuration is "
        "selected here, on validation or otherwise: the whole grid enters.",
        f"Bars and bands: {INTERVALS}; trials of one seed or one split are averaged over settings first.",
    ]
    others = [_other(series) for series in ablation.series[1:]]
    if others:
        parts.append(
            f"Beside it, under the same protocol, splits and seeds, and at the same values of "
            f"shared parameters: {'; '.join(others)}."
        )
    if any(series.differences for series in ablation.series):
        parts.append(
            f"Lower panel: the same minus {REFERENCE}, paired on the same splits and seeds, which takes out what all "
            "methods share: how hard a split is."
        )
    if main.note:
        parts.append(f"{one_line(main.method)}: {one_line(main.note)}.")
    return " ".join(parts)


def _other(series: Series) -> str:
    kind = "a line" if series.is_level else "a curve"
    count = f"mean of {series.n_settings} configurations" if series.n_settings > 1 else "one configuration"
    if not series.is_level:
        count += " per value"
    bound = ", a bound that saw all labels" if series.is_bound else ""
    note = f"; {one_line(series.note)}" if series.note else ""
    return f"{one_line(series.method)} ({kind}, {count}{bound}{note})"
