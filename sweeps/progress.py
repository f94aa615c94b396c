"""What a user sees of a run: the plan before it, where it stands during it, and how to go on after it."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from typing import TextIO

from benchmark import Trial, group_trials
from results import RunRecord
from sweeps.executors.base import Group, Load
from sweeps.watching.standing import Facts, Standing
from sweeps.watching.views import View, open_view

_log = logging.getLogger(__name__)


def describe_plan(trials: Sequence[Trial], finished: Set[str], *, question: str = "") -> str:
    """Return the plan as text: per scene and method the configurations, trials and fits, and how many are done.

    Args:
        trials: the planned trials.
        finished: trial_ids that need not run again.
        question: what the trials answer.
    """
    lines = [question] if question else []
    counts: dict[tuple[str, str, str], list[Trial]] = defaultdict(list)
    for trial in trials:
        counts[trial.scene, trial.method, trial.protocol].append(trial)
    heads = ("scene", "method", "protocol", "configurations", "trials", "fits", "done")
    rows = [heads, *((*key, *_counts(part, finished)) for key, part in counts.items())]
    rows.append(("all", "", "", *_counts(trials, finished)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        left = [text.ljust(width) for text, width in zip(row[:3], widths[:3], strict=True)]
        right = [text.rjust(width) for text, width in zip(row[3:], widths[3:], strict=True)]
        lines.append("  ".join([*left, *right]))
    return "\n".join(lines)


def _counts(trials: Sequence[Trial], finished: Set[str]) -> tuple[str, ...]:
    n_done = sum(trial.trial_id in finished for trial in trials)
    n_configurations = len({trial.config_id for trial in trials})
    return tuple(str(count) for count in (n_configurations, len(trials), len(group_trials(trials)), n_done))


class Progress:
    """Follows a run and shows where it stands. What goes wrong with showing ends the showing, never the run.

    Args:
        groups: what is about to run.
        stream: where progress goes, or None for silence; a live view if it is a terminal, plain lines otherwise.
        finished: trials of the launch that were finished before.
        accuracies: trial_id -> validation OA of those, None for those that are no candidates for the best.
        label: what is run.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        stream: TextIO | None,
        *,
        finished: Sequence[Trial] = (),
        accuracies: Mapping[str, float | None] | None = None,
        label: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._n_groups, self._n_finished = len(groups), len(finished)
        self._label = f"{label}: " if label else ""
        self._clock = clock
        self._start_s = clock()
        # The view may look from a thread of its own.
        self._lock = threading.Lock()
        planned = [*finished, *(trial for group in groups for trial in group)]
        self._standing = Standing(groups, planned, accuracies or {}, label)
        self._has_ended = False
        self._errors: set[str] = set()
        self._view: View | None = None
        with self._unharmed():
            self._view = None if stream is None else open_view(stream, self._facts, clock)

    def start(self) -> None:
        """Say how much there is to do."""
        before = f", {self._n_finished} finished before" if self._n_finished else ""
        self._say(f"{self._label}{self._standing.n_total} trials in {self._n_groups} fits{before}")
        with self._unharmed():
            if self._view and self._n_groups:
                self._view.start()

    def add(self, record: RunRecord) -> None:
        """Count ``record``."""
        with self._lock:
            self._standing.add(record, self._elapsed_s())
        self._say_error(record)
        self._note_change()

    def note_load(self, load: Load) -> None:
        """Note what is under way."""
        with self._lock:
            self._standing.note_load(load)
        self._note_change()

    def note_stopping(self) -> None:
        """Note that the run is being stopped; may be called from a signal handler."""
        self._standing.is_stopping = True

    def finish(self, *, interrupted: bool = False, resume: str = "") -> None:
        """Say how the run ended.

        Args:
            interrupted: whether it was stopped; then how to go on is said too.
            resume: the command that goes on.
        """
        self._has_ended = True
        with self._unharmed():
            if self._view and self._n_groups:
                self._view.close()
        if interrupted:
            command = f": {resume}" if resume else ""
            self._say(f"stopped: what is finished is stored; the same command goes on from here{command}")

    @property
    def n_ok(self) -> int:
        """Trials that ended well."""
        return self._standing.n_ok

    @property
    def n_ended(self) -> int:
        """Trials that ended, well or not."""
        return len(self._standing.statuses)

    def _facts(self) -> Facts:
        with self._lock:
            return self._standing.facts(self._elapsed_s(), has_ended=self._has_ended)

    def _elapsed_s(self) -> float:
        return self._clock() - self._start_s

    def _say_error(self, record: RunRecord) -> None:
        # Forty trials that fail alike are one message.
        error = f"{record.error_type}: {record.error}"
        if record.status == "ok" or error in self._errors:
            return
        self._errors.add(error)
        where = f"{record.method} on {record.scene}, seed {record.seed}, split {record.split_index}"
        first_line = " ".join(error.split())[:300]
        self._say(f"{record.status}: {where} (trial {record.trial_id}): {first_line}")

    def _note_change(self) -> None:
        with self._unharmed():
            if self._view:
                self._view.note_change()

    def _say(self, text: str) -> None:
        with self._unharmed():
            if self._view:
                self._view.say(text)

    @contextmanager
    def _unharmed(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            _log.debug("progress is shown no longer", exc_info=True)
            broken, self._view = self._view, None
            if broken:
                # It may have broken half-way into its start.
                with suppress(Exception):
                    broken.close()
