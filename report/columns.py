"""The columns of the leaderboard: one entry of COLUMNS each. Text, Markdown, LaTeX and HTML take the same ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from report.leaderboard import Entry
from report.standings import Standing
from report.statistics import Interval
from report.text import NOT_AVAILABLE, number, one_line, with_interval


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


def _percent(heading: str, meaning: str, value: Callable[[Standing], Interval | None]) -> Column:
    def points(entry: Entry) -> Interval | None:
        found = value(entry.standing)
        return None if found is None else found.in_points()

    return Column(
        heading=heading,
        meaning=meaning,
        show=lambda entry: "-" if (found := points(entry)) is None else with_interval(found, 0),
        sort=lambda entry: None if (found := points(entry)) is None or pd.isna(found.mean) else found.mean,
    )


def _median(name: str, heading: str, meaning: str, digits: int) -> Column:
    def value(entry: Entry) -> float | None:
        return entry.shown.median(name)

    return Column(heading=heading, meaning=meaning, show=lambda entry: number(value(entry), digits), sort=value)


def _text(heading: str, meaning: str, show: Callable[[Entry], str]) -> Column:
    return Column(heading=heading, meaning=meaning, show=show, sort=show, is_number=False)


def mean_leakage(entry: Entry) -> float:
    """Return the mean share of test pixels that leak, NaN where no row says."""
    shares = entry.shown.rows["leakage"]
    known = shares[~np.isnan(shares)]
    return float(known.mean()) if known.size else float("nan")


def _leakage(entry: Entry) -> float | None:
    value = mean_leakage(entry)
    return None if np.isnan(value) else 100 * value


def transductive_text(entry: Entry) -> str:
    """Return whether the fit saw the spectra of test pixels: yes, no, both, n/a."""
    known = {bool(value) for value in entry.shown.rows["transductive"] if value is not None and pd.notna(value)}
    return {frozenset(): "n/a", frozenset({True}): "yes", frozenset({False}): "no"}.get(frozenset(known), "both")


# What a fit took, in the table over all scenes too: column of the rows, heading, meaning, digits.
COSTS = (
    ("train_s", "train s", "seconds to fit and to choose the protocol's classifier among all it tries, median; what an "
     "earlier fit of the process left is not paid again; of predictions made elsewhere, fit and prediction; of old "
     "rows the fit alone", 1),
    ("classify_s", "classify s", "seconds to embed the whole scene and classify validation and test pixels, median; "
     "under fine_tuning the dense pass of the tuned network is in train s", 1),
    ("fit_memory_mib", "train MiB", "peak memory while fitting, median; on CPU of the whole process, what else it "
     "holds included", 0),
    ("embed_memory_mib", "classify MiB", "the same while embedding the scene", 0),
    ("n_parameters", "parameters", "learnt parameters of the encoder, and of the classifier where a method classifies",
     0),
)  # fmt: skip


def standing_numbers(standing: Standing) -> dict[str, object]:
    """Return a standing as one flat row of numbers, NaN where it does not apply."""
    row: dict[str, object] = {"mean_rank": standing.mean_rank, "wilcoxon_p": standing.p, "holm_p": standing.holm}
    for name in ("difference", "corrected", "improvement", "captured"):
        row |= interval_numbers(name, getattr(standing, name))
    return row


def interval_numbers(name: str, interval: Interval | None) -> dict[str, object]:
    """Return an interval as three numbers, NaN where there is none."""
    mean, low, high = interval or (float("nan"),) * 3
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


COLUMNS: tuple[Column, ...] = (
    Column(
        heading="rank",
        meaning="by mean test OA among entrants that are not bounds; equal means share a rank",
        show=lambda entry: str(entry.rank) if entry.rank else ("bound" if entry.shown.is_bound else "-"),
        sort=lambda entry: entry.rank,
    ),
    _text("method", "name of the method", lambda entry: one_line(entry.shown.method)),
    _text("protocol", "how its output is scored", lambda entry: one_line(entry.shown.protocol)),
    _text("kind", "what it is to the comparison", lambda entry: one_line(entry.shown.kind or NOT_AVAILABLE)),
    _score("OA"),
    _score("AA"),
    _score("kappa"),
    Column(
        heading="mean rank",
        meaning="rank by test OA, mean over the draws of splits and seeds, among entrants with all scores but bounds",
        show=lambda entry: "-" if (rank := entry.standing.mean_rank) is None else number(rank),
        sort=lambda entry: entry.standing.mean_rank,
    ),
    _percent(
        "P(better) %",
        "probability to beat the reference on the same split and seed, ties count half [95%, Wilson; n/a where splits "
        "are crossed with seeds]",
        lambda standing: standing.improvement,
    ),
    _percent(
        "captured %",
        "share of the oracle's gain over the reference that a pretrained entrant captures [95%, Fieller]; n/a where "
        "the oracle's gain is not above zero",
        lambda standing: standing.captured,
    ),
    Column(
        heading="trials",
        meaning="splits x seeds behind the scores, or repeats with a split and a seed of their own",
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
        meaning="trials of all its configurations that failed or diverged; those of a search are not counted",
        show=lambda entry: str(entry.n_failed),
        sort=lambda entry: entry.n_failed,
    ),
    *(_median(*cost) for cost in COSTS),
    Column(
        heading="leakage %",
        meaning="share of test pixels whose patch shares a pixel with a training patch, mean over splits",
        show=lambda entry: number(_leakage(entry)),
        sort=_leakage,
    ),
    _text("transductive", "whether fitting saw the spectra of test pixels", transductive_text),
    _text(
        "labels seen", "labels the fit may see: none, train, or all (a bound)", lambda e: one_line(e.shown.sees_labels)
    ),
)
