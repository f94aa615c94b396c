"""The leaderboard over all scenes that were split in one way: means, mean ranks and tests over their blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from report.columns import COSTS, interval_numbers, standing_numbers
from report.groups import Configuration
from report.leaderboard import LOWEST, Entry, Leaderboard, mean_oa
from report.pairing import scenes_mean_interval
from report.rows import GROUP_COLUMNS
from report.standings import REFERENCE, Entrant, Standing, entrant_of, reference_among, standings
from report.statistics import Interval, within_range
from report.text import NOT_AVAILABLE, markdown_cell, markdown_table, number, one_line, p_text, with_interval

_OF_SCENES = ("scene", "scene_hash")
NOTE = (
    "OA is the mean over the scenes, each counting alike, with its 95% interval from the draws of splits and "
    "seeds within them. Ranks, P(better) and p are over all draws of all scenes, paired by scene, split and seed,"
    " so scenes with more draws count more. None of them says anything about other scenes, and p, which takes "
    "repeats on much the same pixels for blocks, nothing about other pixels. p is Wilcoxon's signed-rank test "
    "against the reference, adjusted after Holm for the entrants of the table; it is not given where repeats "
    "share a split or a seed. 'beyond' is the interval of the difference for pixels beyond those of the scenes, "
    "with Nadeau and Bengio's correction for splits that overlap: with few labels it is wide, because repeats "
    "test on the same pixels. An entrant that lacks a score on one of the scenes is withheld. Seconds and memory "
    "are means over the scenes of medians over the trials, those of the machine that ran them and of what else it"
    " did at the time."
)


@dataclass(frozen=True, kw_only=True)
class OverallEntry:
    """One entrant over all scenes.

    Attributes:
        rank: by mean OA over the scenes, 1 is best; None for bounds and withheld entrants.
        shown: its configuration on every scene, in the table's order; of withheld ones those that there are.
        scores: score name to the mean over scenes, fractions; empty if withheld.
        standing: against the others over all blocks.
        withheld: why there are no scores, or None.
    """

    rank: int | None
    shown: tuple[Configuration, ...]
    scores: dict[str, Interval] = field(default_factory=dict)
    standing: Standing = field(default_factory=Standing)
    withheld: str | None = None

    @property
    def is_bound(self) -> bool:
        """Whether it saw all labels."""
        return self.shown[0].is_bound


@dataclass(frozen=True, kw_only=True)
class Overall:
    """All entrants over several scenes under one kind of split.

    Attributes:
        title: the kind of split in words.
        scenes: their names.
        reference: what the others are compared to, None where it is not there.
        entries: ranked, withheld, bounds.
    """

    title: str
    scenes: tuple[str, ...]
    reference: Entrant | None
    entries: tuple[OverallEntry, ...]


def build_overall(boards: Sequence[Leaderboard], reference: str = REFERENCE) -> tuple[Overall, ...]:
    """Return a table for every kind of split under which some entrant has all its scores on more than one scene.

    Args:
        boards: of one store.
        reference: METHOD or METHOD:PROTOCOL that the others are compared to.
    """
    kinds: dict[tuple[object, ...], list[Leaderboard]] = {}
    for board in boards:
        kind = tuple(board.group.key[name] for name in GROUP_COLUMNS if name not in _OF_SCENES)
        kinds.setdefault(kind, []).append(board)
    tables = (_overall(members, reference) for members in kinds.values() if len(members) > 1)
    return tuple(table for table in tables if any(entry.scores for entry in table.entries))


def _overall(boards: list[Leaderboard], reference: str) -> Overall:
    by_scene = [{entrant_of(entry.shown): entry for entry in board.entries} for board in boards]
    scored = [
        {entrant: entry.shown for entrant, entry in entries.items() if not entry.withheld} for entries in by_scene
    ]
    found = standings(scored, reference)
    entrants = list(dict.fromkeys(entrant for entries in by_scene for entrant in entries))
    unranked = [_entry(entrant, boards, by_scene, found.get(entrant)) for entrant in entrants]
    means = sorted((mean_oa(entry.scores) for entry in unranked if entry.scores and not entry.is_bound), reverse=True)
    ranked = [
        entry if entry.is_bound or not entry.scores else replace(entry, rank=means.index(mean_oa(entry.scores)) + 1)
        for entry in unranked
    ]
    return Overall(
        title=f"All of {', '.join(str(board.group.key['scene']) for board in boards)}: {boards[0].group.kind}",
        scenes=tuple(str(board.group.key["scene"]) for board in boards),
        reference=reference_among([each for each in found if not scored[0][each].is_bound], reference),
        entries=tuple(sorted(ranked, key=_order)),
    )


def _entry(
    entrant: Entrant, boards: list[Leaderboard], by_scene: list[dict[Entrant, Entry]], standing: Standing | None
) -> OverallEntry:
    shown = tuple(entries[entrant].shown for entries in by_scene if entrant in entries)
    if standing is None:
        lacking = [
            f"{board.group.key['scene']}: {entries[entrant].withheld if entrant in entries else 'not run'}"
            for board, entries in zip(boards, by_scene, strict=True)
            if entrant not in entries or entries[entrant].withheld
        ]
        return OverallEntry(rank=None, shown=shown, withheld="; ".join(lacking))
    scores = {
        name: within_range(scenes_mean_interval([item.scores[name] for item in shown]), LOWEST.get(name, 0.0))
        for name in shown[0].scores
    }
    return OverallEntry(rank=None, shown=shown, scores=scores, standing=standing)


def _order(entry: OverallEntry) -> tuple[bool, bool, float, Entrant]:
    mean = -mean_oa(entry.scores) if entry.scores else 0.0
    return entry.is_bound, entry.withheld is not None, mean, entrant_of(entry.shown[0])


def heads(overall: Overall) -> list[str]:
    """Return the heads of the table's columns."""
    against = "reference" if overall.reference is None else f"{overall.reference[0]} ({overall.reference[1]})"
    costs = [heading for _, heading, _, _ in COSTS]
    return [
        *WORDS, "OA", *overall.scenes, "AA", "kappa", "mean rank", f"OA minus {one_line(against)}", "beyond",
        "P(better) %", "p (Holm)", *costs,
    ]  # fmt: skip


WORDS = ("rank", "method", "protocol", "kind")


def cells(overall: Overall) -> list[tuple[str, ...]]:
    """Return the table's rows as text."""
    return [_cells(overall, entry) for entry in overall.entries]


def _cells(overall: Overall, entry: OverallEntry) -> tuple[str, ...]:
    item, standing = entry.shown[0], entry.standing
    start = str(entry.rank) if entry.rank else ("bound" if entry.is_bound else "-")
    words = (start, one_line(item.method), one_line(item.protocol), one_line(item.kind or NOT_AVAILABLE))
    if not entry.scores:
        return (*words, "withheld", *["-"] * (len(heads(overall)) - len(words) - 1))
    oa, aa, kappa = (with_interval(entry.scores[name].in_points()) for name in ("OA", "AA", "kappa"))
    medians = [[value for each in entry.shown if (value := each.median(name)) is not None] for name, *_ in COSTS]
    costs = [
        number(sum(values) / len(values) if values else None, digits)
        for values, (*_, digits) in zip(medians, COSTS, strict=True)
    ]
    return (
        *words, oa, *(number(100 * float(each.oa.mean())) for each in entry.shown), aa, kappa,
        "-" if standing.mean_rank is None else number(standing.mean_rank),
        _points(standing.difference), _points(standing.corrected), _points(standing.improvement, 0),
        p_text(standing.holm), *costs,
    )  # fmt: skip


def _points(interval: Interval | None, digits: int = 1) -> str:
    return "-" if interval is None else with_interval(interval.in_points(), digits)


def reasons(overall: Overall) -> list[str]:
    """Return why entrants are withheld, one line each."""
    return [
        f"{one_line(entry.shown[0].method)} ({one_line(entry.shown[0].protocol)}): {one_line(entry.withheld)}"
        for entry in overall.entries
        if entry.withheld
    ]


def overall_markdown(overall: Overall, columns: Sequence[str] = ()) -> list[str]:
    """Return the lines of the table as Markdown.

    Args:
        overall: what is shown.
        columns: heads to show; none shows all.
    """
    all_heads = heads(overall)
    kept = [index for index, head in enumerate(all_heads) if not columns or head in columns]
    rows = [tuple(row[index] for index in kept) for row in cells(overall)]
    lines = [f"### {markdown_cell(overall.title)}", ""]
    lines += [*markdown_table([all_heads[index] for index in kept], rows, WORDS[1:]), ""]
    return lines + [f"- withheld: {markdown_cell(reason)}" for reason in reasons(overall)] + [""]


def overall_text(overall: Overall) -> str:
    """Return the table as plain text, never truncated."""
    frame = pd.DataFrame(cells(overall), columns=heads(overall))
    table = frame.to_string(index=False, max_colwidth=None, line_width=None)
    return "\n".join([one_line(overall.title), table, *(f"withheld: {reason}" for reason in reasons(overall))])


def overall_frame(overalls: Sequence[Overall]) -> pd.DataFrame:
    """Return all tables as one frame of full-precision numbers, scores as fractions, one row per entry."""
    return pd.DataFrame([_numbers(overall, entry) for overall in overalls for entry in overall.entries])


def _numbers(overall: Overall, entry: OverallEntry) -> dict[str, object]:
    item = entry.shown[0]
    row: dict[str, object] = {"table": overall.title, "rank": entry.rank, "method": item.method}
    row |= {"protocol": item.protocol, "sees_labels": item.sees_labels, "kind": item.kind}
    for name in item.scores:
        row |= interval_numbers(name, entry.scores.get(name))
    return row | standing_numbers(entry.standing) | {"withheld": entry.withheld}
