"""What a user sees of a run: the plan before it, one line of progress during it, one line after it."""

from __future__ import annotations

import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence, Set
from typing import TextIO

from benchmark import Trial, group_trials
from results import RunRecord
from results.metrics import overall_accuracy
from sweeps.executors.base import Group

# A log gets at most one line in this time, so that a thousand short trials do not fill it.
_LOG_INTERVAL_S = 5.0


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
    """One line that a terminal rewrites, or one line per finished group, every few seconds at most, for a log.

    Args:
        groups: what is about to run.
        n_skipped: trials that were finished before.
        stream: where the lines go, or None for silence.
        label: what is run, at the head of each line.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        n_skipped: int,
        stream: TextIO | None,
        *,
        label: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.statuses: dict[str, str] = {}
        self._group_of = {trial.trial_id: index for index, group in enumerate(groups) for trial in group}
        self._left = Counter(self._group_of.values())
        self._n_groups = len(groups)
        self._n_skipped = n_skipped
        self._stream = stream
        self._label = f"{label}: " if label else ""
        self._clock = clock
        self._start_s = clock()
        self._printed_s = self._start_s
        self._startup_s: float | None = None
        self._accuracies: dict[str, list[float]] = defaultdict(list)
        self._methods: dict[str, str] = {}
        self._errors: set[str] = set()
        self._rewrites = bool(stream and stream.isatty())

    def start(self) -> None:
        """Say how much there is to do."""
        skipped = f", {self._n_skipped} finished before" if self._n_skipped else ""
        self._say(f"{self._label}{len(self._group_of)} trials in {self._n_groups} fits{skipped}")

    def add(self, record: RunRecord) -> None:
        """Count ``record`` and show where the run stands."""
        self.statuses[record.trial_id] = record.status
        self._left[self._group_of[record.trial_id]] -= 1
        self._note_startup(record)
        self._note_accuracy(record)
        self._say_error(record)
        if self._stream is None:
            return
        group_done = not self._left[self._group_of[record.trial_id]]
        if self._rewrites:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[K{self._line()[:width]}")
            self._stream.flush()
        elif group_done and self._clock() - self._printed_s >= _LOG_INTERVAL_S:
            self._printed_s = self._clock()
            self._say(self._line())

    def finish(self, *, interrupted: bool = False) -> None:
        """Say how the run ended; after an interruption, how to go on."""
        if self._group_of:
            self._say(self._line())
        if interrupted:
            self._say("stopped: what is finished is stored; the same command goes on from here")

    @property
    def n_ok(self) -> int:
        """Trials that ended well."""
        return sum(status == "ok" for status in self.statuses.values())

    def _line(self) -> str:
        n_total, n_seen = len(self._group_of), len(self.statuses)
        elapsed_s = self._clock() - self._start_s
        parts = [f"{n_seen}/{n_total} trials", f"{n_seen - self.n_ok} failed", f"{_duration(elapsed_s)} elapsed"]
        n_done = self._n_groups - sum(left > 0 for left in self._left.values())
        if 0 < n_done < self._n_groups:
            worked_s = elapsed_s - (self._startup_s or 0)
            parts.append(f"{_duration(worked_s / n_done * (self._n_groups - n_done))} left")
        if self._accuracies:
            means = {config: sum(values) / len(values) for config, values in self._accuracies.items()}
            best = max(means, key=means.__getitem__)
            parts.append(f"best validation OA {100 * means[best]:.1f}% ({self._methods[best]})")
        return self._label + " · ".join(parts)

    def _note_startup(self, record: RunRecord) -> None:
        # What passed before the first fit began (starting Ray and its workers) is not paid again for the next groups.
        if self._startup_s is None and record.fit_s is not None:
            worked_s = sum(seconds or 0 for seconds in (record.fit_s, record.embed_s, record.protocol_s))
            self._startup_s = max(0.0, self._clock() - self._start_s - worked_s)

    def _note_accuracy(self, record: RunRecord) -> None:
        # A bound sees all labels: it is no candidate for the best.
        if record.confusion_val and record.sees_labels != "all":
            self._accuracies[record.config_id].append(overall_accuracy(record.confusion_val))
            self._methods[record.config_id] = record.method

    def _say_error(self, record: RunRecord) -> None:
        # Forty trials that fail alike are one message.
        error = f"{record.error_type}: {record.error}"
        if record.status == "ok" or error in self._errors:
            return
        self._errors.add(error)
        where = f"{record.method} on {record.scene}, seed {record.seed}, split {record.split_index}"
        first_line = " ".join(error.split())[:300]
        self._say(f"{record.status}: {where} (trial {record.trial_id}): {first_line}")

    def _say(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(f"\r\x1b[K{text}\n" if self._rewrites else f"{text}\n")
            self._stream.flush()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
