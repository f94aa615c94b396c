"""The findings in words, derived from the rows; neutral wherever an interval includes zero."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from report.ablation import Ablation
from report.comparison import CapturedGain, Difference
from report.leaderboard import Leaderboard
from report.standings import REFERENCE
from report.statistics import Interval
from report.text import one_line, value_text, with_interval


def describe(
    board: Leaderboard,
    differences: Sequence[Difference],
    ablations: Sequence[Ablation],
    gains: Sequence[CapturedGain],
) -> list[str]:
    """Return the findings of one group, one sentence or two each.

    Args:
        board: the group's leaderboard.
        differences: paired differences to the reference.
        ablations: responses to each swept axis.
        gains: captured gains.
    """
    sentences = [_scope(board), *_best(board)]
    sentences += [_against_reference(item) for item in differences if not item.is_bound]
    sentences += [_along_axis(item) for item in ablations]
    sentences += [_captured(item) for item in gains if item.setting == "each at its own choice"]
    return sentences


def _scope(board: Leaderboard) -> str:
    group = board.group
    text = (
        f"{sum(len(item.rows) for item in group.configurations)} trials: {len(group.splits)} split(s), "
        f"{len(group.seeds)} seed(s), {len(group.configurations)} configuration(s)."
    )
    if len(group.splits) == len(group.seeds) == 1:
        return text + " One split and one seed give no interval: nothing here can be told from chance."
    if 1 in (len(group.splits), len(group.seeds)):
        single = "split" if len(group.splits) == 1 else "seed"
        return text + f" With one {single}, the intervals do not contain how much another {single} would change."
    if min(len(group.splits), len(group.seeds)) == 2:
        return text + " With only two of a kind the intervals are wide and rest on few degrees of freedom."
    return text


def _best(board: Leaderboard) -> list[str]:
    if not board.ranked:
        return ["No entrant has all its trials, so none is ranked."]
    best = [entry for entry in board.ranked if entry.rank == 1]
    names = " and ".join(one_line(entry.name) for entry in best)
    score = with_interval(best[0].scores["OA"].in_points())
    text = f"Highest mean test OA: {names}, {score} %."
    return [text if len(board.ranked) > len(best) else text + " It stands alone: nothing else is ranked."]


def _against_reference(item: Difference) -> str:
    name = f"{one_line(item.method)} ({one_line(item.protocol)})"
    budgets = ""
    if item.n_tried != item.reference_n_tried:
        budgets = f" Configurations that validation could choose from: {item.n_tried} against {item.reference_n_tried}."
    return f"{name} against {REFERENCE} on the same splits and seeds: {_points(item.oa)}{budgets}"


def _along_axis(item: Ablation) -> str:
    first, last = (value_text(value) for value in (item.series[0].values[0], item.series[0].values[-1]))
    return (
        f"{one_line(item.axis)} of {one_line(item.method)} ({one_line(item.protocol)}), from {first} to {last}: "
        f"{_points(item.contrast)}"
    )


def _captured(item: CapturedGain) -> str:
    name = f"{one_line(item.method)} ({one_line(item.protocol)})"
    if pd.isna(item.share.mean):
        return (
            f"{name}: the share of the gain of {one_line(item.oracle)} that it captures is undefined, since that gain "
            f"is not shown to be above zero ({with_interval(item.oracle_gain.in_points())} points over {REFERENCE})."
        )
    return f"{name} captures {with_interval(item.share.in_points(), 0)} % of the gain of {one_line(item.oracle)}."


def _points(interval: Interval) -> str:
    shown = f"{abs(interval.mean) * 100:.1f} points"
    bounds = f"95% interval {100 * interval.low:.1f} to {100 * interval.high:.1f}"
    if not interval.is_defined:
        return f"{100 * interval.mean:+.1f} points from a single trial, without an interval."
    if interval.excludes_zero:
        return f"{'higher' if interval.mean > 0 else 'lower'} by {shown} in test OA ({bounds})."
    mean = f"{100 * interval.mean:+.1f} points in test OA"
    return f"{mean} ({bounds}); the interval includes zero, so no difference is shown."
