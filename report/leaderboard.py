"""The leaderboard of one group: one line per entrant, chosen on validation, ranked by mean test OA."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from report.groups import Configuration, Group, choose_by_validation, swept_names
from report.standings import REFERENCE, Entrant, Standing, entrant_of, reference_among, standings
from report.statistics import Interval, score_interval

RULES = (
    "One line per entrant (method, protocol, label access). All entrants are scored on the same splits, with the "
    "same validation labels. Where a search tuned an entrant on validation (hsicl bench: on a split of its own, "
    "whose labelled pixels are extra labels and mostly test pixels of the repeats), its choice is shown; else, of"
    " several configurations, the one with the highest mean validation OA. 'tried' counts both. Protocols choose "
    "their own settings on each repeat's validation pixels, some among many, some among none; 'tried' does not "
    "count these. Test scores play no part in a choice. An entrant ranks only with all splits and seeds of its "
    "group; otherwise its scores are withheld and the reason is given. A bound sees all labels: it is set apart "
    "and not ranked. Intervals are 95% intervals of the mean over the draws of splits and seeds in the scene "
    "(crossed where splits and seeds are); they say nothing about other scenes and are not adjusted for the "
    "number of comparisons. Mean rank is over the same draws, among entrants with all scores that are no bounds."
)

# What a score cannot fall below, where that is not 0.
LOWEST = {"kappa": -1.0}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a leaderboard.

    Attributes:
        rank: 1 is best, equal means share a rank; None for bounds and withheld entrants.
        shown: the configuration chosen on validation, or, if withheld, the one with the fewest holes.
        scores: score name to its interval, fractions; empty if withheld.
        chosen: its values of the parameters in which the configurations tried differ.
        n_tried: configurations tried, those of a search on validation among them.
        n_incomplete: of them, with holes; they cannot be chosen.
        n_failed: trials of the entrant that failed or diverged, over all configurations.
        withheld: why there are no scores, or None.
        standing: how it stands against the others; empty if withheld.
    """

    rank: int | None
    shown: Configuration
    scores: dict[str, Interval]
    chosen: dict[str, Any]
    n_tried: int
    n_incomplete: int
    n_failed: int
    withheld: str | None
    standing: Standing = field(default_factory=Standing)

    @property
    def name(self) -> str:
        """The entrant in words."""
        return f"{self.shown.method} ({self.shown.protocol})"


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """The entries of a group in the order they are shown: ranked, withheld, bounds.

    Attributes:
        reference: the entry that others are compared to, or None.
    """

    group: Group
    entries: tuple[Entry, ...]
    reference: Entry | None = None

    @property
    def ranked(self) -> tuple[Entry, ...]:
        """Entries with a rank, best first."""
        return tuple(entry for entry in self.entries if entry.rank is not None)

    @property
    def competitors(self) -> tuple[Entry, ...]:
        """All entries but the bounds."""
        return tuple(entry for entry in self.entries if not entry.shown.is_bound)

    @property
    def bounds(self) -> tuple[Entry, ...]:
        """Entries that saw all labels."""
        return tuple(entry for entry in self.entries if entry.shown.is_bound)


def build_leaderboard(group: Group, reference: str = REFERENCE) -> Leaderboard:
    """Return the leaderboard of a group.

    Args:
        group: comparable trials on one grid of splits and seeds.
        reference: METHOD or METHOD:PROTOCOL that the others are compared to.
    """
    by_entrant: dict[Entrant, list[Configuration]] = {}
    for item in group.configurations:
        # Label access is part of the entrant: were it not, a configuration that sees all labels could be chosen
        # on validation and stand for those that do not.
        by_entrant.setdefault(entrant_of(item), []).append(item)
    entries = [_entry(group, items) for items in by_entrant.values()]
    means = sorted((mean_oa(entry.scores) for entry in entries if _is_rankable(entry)), reverse=True)
    found = standings([{entrant_of(entry.shown): entry.shown for entry in entries if not entry.withheld}], reference)
    ranked = [
        replace(
            entry,
            rank=means.index(mean_oa(entry.scores)) + 1 if _is_rankable(entry) else None,
            standing=found.get(entrant_of(entry.shown), Standing()),
        )
        for entry in entries
    ]
    base = reference_among([entrant_of(entry.shown) for entry in ranked if _is_rankable(entry)], reference)
    return Leaderboard(
        group=group,
        entries=tuple(sorted(ranked, key=_order)),
        reference=next((entry for entry in ranked if entrant_of(entry.shown) == base), None),
    )


def _entry(group: Group, items: list[Configuration]) -> Entry:
    complete = [item for item in items if item.is_complete]
    n_failed = sum(int((~item.rows["is_usable"]).sum()) for item in items)
    withheld = None
    if complete:
        shown = choose_by_validation(complete)
        scores = {name: score_interval(matrix, LOWEST.get(name, 0.0)) for name, matrix in shown.scores.items()}
    else:
        shown = min(items, key=lambda item: (sum(item.holes.values()), item.config_id))
        scores, withheld = {}, _reason(group, shown)
    return Entry(
        rank=None,
        shown=shown,
        scores=scores,
        chosen={name: shown.params.get(name) for name in swept_names(items)},
        n_tried=len({item.config_id for item in items} | group.tuned.get(entrant_of(items[0]), frozenset())),
        n_incomplete=len(items) - len(complete),
        n_failed=n_failed,
        withheld=withheld,
    )


def _reason(group: Group, item: Configuration) -> str:
    parts = []
    for reason, count in item.holes.items():
        what = "not run" if reason == "not run" else f"failed: {reason}"
        parts.append(f"{count} of {group.n_cells} trials {what}")
    return "withheld: " + "; ".join(parts)


def mean_oa(scores: dict[str, Interval]) -> float:
    """Return the mean OA that ranks go by, rounded, so that ties share a rank.

    Means of equal scores summed in another order differ in the last bit.
    """
    return round(scores["OA"].mean, 12)


def _is_rankable(entry: Entry) -> bool:
    return not entry.shown.is_bound and entry.withheld is None


def _order(entry: Entry) -> tuple[bool, bool, float, str, str, str]:
    mean = -mean_oa(entry.scores) if entry.scores else 0.0
    shown = entry.shown
    return shown.is_bound, entry.withheld is not None, mean, shown.method, shown.protocol, shown.sees_labels
