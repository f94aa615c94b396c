"""Launch: the plan minus what the store holds, run by an executor, every record written as it arrives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from benchmark import Scene, Trial, group_trials
from benchmark.computing import check_device_name
from results import ResultStore, RunRecord
from sweeps.executors.base import Executor
from sweeps.progress import Progress
from sweeps.sweep import Sweep, plan


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a launch ended.

    Attributes:
        n_planned: trials asked for.
        n_skipped: trials that the store held already.
        n_ok: trials that ran and ended well.
        n_failed: trials that ran and failed or diverged.
        interrupted: whether the user stopped it; the rest is then left for the same command.
    """

    n_planned: int
    n_skipped: int
    n_ok: int
    n_failed: int
    interrupted: bool = False

    def describe(self) -> str:
        """Return the counts in one line."""
        return (
            f"{self.n_planned} trials planned, {self.n_skipped} finished before, {self.n_ok} ok, {self.n_failed} failed"
        )


def launch(
    work: Sweep | Sequence[Trial],
    store: ResultStore,
    scenes: Mapping[str, Scene],
    executor: Executor,
    *,
    device: str = "auto",
    stream: TextIO | None = None,
    label: str = "",
) -> Outcome:
    """Run what of ``work`` is missing in ``store`` or failed there, and write each record as it arrives.

    Args:
        work: a sweep or planned trials.
        store: where records go and where finished ones are found.
        scenes: scenes by name; all that the trials name.
        executor: runs the trials.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        stream: where progress goes, or None for silence.
        label: what progress calls the run; a sweep's name where not given.

    Returns:
        Counts. An interruption (Ctrl-C) is told there, not raised.

    Raises:
        UserError: the plan or the executor's settings are wrong; nothing has run.
        StoreError: the store cannot be written or read.
    """
    if isinstance(work, Sweep):
        label = label or work.name
        work = plan(work, scenes)
    planned = list(dict.fromkeys(work))
    check_device_name(device)
    store.check_writable()
    finished = store.finished_ids()
    missing = [trial for trial in planned if trial.trial_id not in finished]
    n_skipped = len(planned) - len(missing)
    groups = group_trials(missing)
    progress = Progress(groups, n_skipped, stream, label=label)

    def keep(record: RunRecord) -> None:
        store.write(record)
        progress.add(record)

    interrupted = False
    progress.start()
    try:
        if groups:
            executor.execute(groups, scenes, device=device, on_record=keep)
    except KeyboardInterrupt:
        interrupted = True
    progress.finish(interrupted=interrupted)
    n_ran = len(progress.statuses) if interrupted else len(missing)
    return Outcome(
        n_planned=len(planned),
        n_skipped=n_skipped,
        n_ok=progress.n_ok,
        n_failed=n_ran - progress.n_ok,
        interrupted=interrupted,
    )
