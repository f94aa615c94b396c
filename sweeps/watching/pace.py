"""Pace: how long the rest of a run takes, from the seconds that its methods took so far; unknown stays unknown."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from results import RunRecord
from sweeps.executors.base import Group

# What takes about as long: fits of one method on one scene.
_Kind = tuple[str, str]


@dataclass
class _Cost:
    """Seconds seen and work left of one kind."""

    fit_s: float = 0.0
    protocol_s: float = 0.0
    n_fits: int = 0
    n_trials: int = 0
    n_fits_left: int = 0
    n_trials_left: int = 0

    @property
    def is_known(self) -> bool:
        return self.n_trials > 0

    @property
    def left_s(self) -> float:
        """Seconds of one worker; a fit that ended counts as done before its last trial is scored."""
        fits_s = self.n_fits_left * self.fit_s / self.n_fits if self.n_fits else 0.0
        return fits_s + self.n_trials_left * self.protocol_s / self.n_trials


@dataclass(frozen=True)
class TimeLeft:
    """Seconds to the end; at least these where kinds of fits are to come that were not timed yet."""

    seconds: float
    is_lower_bound: bool


class Pace:
    """Estimates the time left: the work that is left, in seconds of the kinds seen so far, over the work done a second.

    Work done a second covers workers side by side and what lies between trials. Costs O(1) per record.

    Args:
        groups: what is about to run.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self._costs: dict[_Kind, _Cost] = defaultdict(_Cost)
        self._group_of = {trial.trial_id: index for index, group in enumerate(groups) for trial in group}
        self._trials_left = [len(group) for group in groups]
        self._fitted: set[int] = set()
        self._n_groups_left = len(groups)
        self._work_s = 0.0
        self._first_group: int | None = None
        self._startup_s = 0.0
        self._noted_s = 0.0
        for group in groups:
            cost = self._costs[group[0].scene, group[0].method]
            cost.n_fits_left += 1
            cost.n_trials_left += len(group)

    def add(self, record: RunRecord, elapsed_s: float) -> None:
        """Note what ``record`` took. A failed trial is done, but says nothing about others.

        Args:
            record: of one of the trials.
            elapsed_s: seconds since the run began.
        """
        group = self._group_of[record.trial_id]
        cost = self._costs[record.scene, record.method]
        self._trials_left[group] -= 1
        self._n_groups_left -= not self._trials_left[group]
        self._noted_s = elapsed_s
        cost.n_trials_left -= 1
        is_new_fit = group not in self._fitted
        self._fitted.add(group)
        cost.n_fits_left -= is_new_fit
        if record.fit_s is None or record.protocol_s is None:
            return
        fit_s = record.fit_s + (record.embed_s or 0.0) if is_new_fit else 0.0
        cost.n_fits += is_new_fit
        cost.n_trials += 1
        cost.fit_s += fit_s
        cost.protocol_s += record.protocol_s
        self._work_s += fit_s + record.protocol_s
        if self._first_group is None:
            self._first_group = group
        if self._first_group == group and len(self._fitted) == 1:
            # What passed before the first fit began (starting Ray and its workers) is not paid again.
            self._startup_s = max(0.0, elapsed_s - self._work_s)

    def time_left(self, elapsed_s: float) -> TimeLeft | None:
        """Return the time left ``elapsed_s`` after the start, None where nothing is known about it."""
        worked_s = self._noted_s - self._startup_s
        if worked_s <= 0:
            return None
        unfinished = [cost for cost in self._costs.values() if cost.n_trials_left]
        left_s = sum(cost.left_s for cost in unfinished if cost.is_known)
        # A group is one worker's: the last few cannot be done faster than side by side.
        work_per_s = min(self._work_s / worked_s, float(self._n_groups_left))
        seconds = left_s / work_per_s - (elapsed_s - self._noted_s) if work_per_s else 0.0
        if not math.isfinite(seconds) or seconds <= 0:
            return None
        return TimeLeft(seconds, any(not cost.is_known for cost in unfinished))
