"""Standing: where a run is, as facts in words that any view may show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark import Trial
from results import RunRecord
from sweeps.executors.base import Group, Load
from sweeps.watching.front_runner import FrontRunners
from sweeps.watching.pace import Pace

# Scenes and kinds of split whose best configuration is shown; more would fill the screen.
_N_BEST = 3


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a view shows.

    Attributes:
        label: what is run; may be empty.
        share: of the trials, those that have ended, 0..1.
        counts: trials by state and times, a few words each.
        load: how busy the machines are, a few words each; none where a single worker runs.
        best: the best configurations on validation, a line each.
    """

    label: str
    share: float
    counts: tuple[str, ...]
    load: tuple[str, ...]
    best: tuple[str, ...]

    def line(self) -> str:
        """Return all of it as one line, for a log."""
        head = f"{self.label}: " if self.label else ""
        return head + " · ".join([*self.counts, *self.load, *self.best])


class Standing:
    """Counts what has come of a run. Not safe for several threads by itself.

    Args:
        groups: what is about to run.
        planned: all trials of the launch, those that were finished before included.
        accuracies: trial_id -> validation OA of finished ones, None for those that are no candidates for the best.
        label: what is run.
    """

    def __init__(
        self, groups: Sequence[Group], planned: Sequence[Trial], accuracies: Mapping[str, float | None], label: str
    ) -> None:
        self.statuses: dict[str, str] = {}
        self.n_total = sum(map(len, groups))
        self.n_ok = 0
        self.is_stopping = False
        self._label = label
        self._pace = Pace(groups)
        self._best = FrontRunners(planned)
        self._load = Load(n_running=0)
        self._n_running = 0
        for trial_id, accuracy in accuracies.items():
            self._best.add(trial_id, accuracy)

    def add(self, record: RunRecord, elapsed_s: float) -> None:
        """Count ``record``, which came ``elapsed_s`` seconds after the start."""
        self.statuses[record.trial_id] = record.status
        self.n_ok += record.status == "ok"
        self._pace.add(record, elapsed_s)
        self._best.add_record(record)
        # Until the executor tells the load anew.
        self._n_running = max(0, self._n_running - 1)

    def note_load(self, load: Load) -> None:
        """Note what is under way."""
        self._load = load
        self._n_running = load.n_running

    def facts(self, elapsed_s: float, *, has_ended: bool = False) -> Facts:
        """Return the facts ``elapsed_s`` seconds after the start.

        Args:
            elapsed_s: seconds since the start.
            has_ended: whether nothing runs any more; then there is neither a load nor a time left.
        """
        n_ended = len(self.statuses)
        n_running = 0 if has_ended else min(self._n_running, self.n_total - n_ended)
        n_left = self.n_total - n_ended - n_running
        counts = [f"{self.n_ok}/{self.n_total} trials done", f"{n_ended - self.n_ok} failed"]
        counts += [f"{n_running} running"] if n_running else []
        counts += [f"{n_left} left"] if n_left or n_running else []
        counts += [f"{duration(elapsed_s)} elapsed"]
        if not has_ended and n_ended < self.n_total:
            counts.append("stopping (Ctrl-C again: at once)" if self.is_stopping else self._time_left(elapsed_s))
        best = self._best.texts()
        more = len(best) - _N_BEST
        if more > 0:
            best[_N_BEST:] = [f"and of {more} more scenes or kinds of split"]
        load = () if has_ended else _describe_load(self._load)
        share = n_ended / self.n_total if self.n_total else 1.0
        return Facts(label=self._label, share=share, counts=tuple(counts), load=load, best=tuple(best))

    def _time_left(self, elapsed_s: float) -> str:
        left = self._pace.time_left(elapsed_s)
        if left is None:
            return "time left unknown"
        return f"{'over ' if left.is_lower_bound else ''}{duration(left.seconds)} to go"


def _describe_load(load: Load) -> tuple[str, ...]:
    parts = [f"{load.n_nodes} nodes"] if load.n_nodes > 1 else []
    for name, (used, total) in (("CPU", load.cpus), ("GPU", load.gpus)):
        # A single processor is busy whenever something runs.
        if total > 1 or (name == "GPU" and total):
            parts.append(f"{name} {used:.4g}/{total:.4g}")
    return tuple(parts)


def duration(seconds: float) -> str:
    """Return ``seconds`` in words, to the second below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
