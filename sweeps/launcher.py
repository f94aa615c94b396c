"""Launch: the plan minus what the store holds, run by an executor, every record written as it arrives."""

from __future__ import annotations

import signal
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from benchmark import Scene, Trial, group_trials
from benchmark.computing import check_device_name
from results import ResultStore, RunRecord
from sweeps.executors.base import Executor
from sweeps.progress import Progress
from sweeps.stopping import StopSignals
from sweeps.sweep import Sweep, plan
from sweeps.watching.front_runner import candidate_accuracy


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
    resume: str = "",
) -> Outcome:
    """Run what of ``work`` is missing in ``store`` or failed there, and write each record as it arrives.

    A failed record does not replace the result of another sweep that finished the trial meanwhile.

    Args:
        work: a sweep or planned trials.
        store: where records go and where finished ones are found.
        scenes: scenes by name; all that the trials name.
        executor: runs the trials.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        stream: where progress goes, or None for silence.
        label: what progress calls the run; a sweep's name where not given.
        resume: the command that goes on after an interruption, for the user to read.

    Returns:
        Counts. An interruption (Ctrl-C) is told there, not raised; a second one ends the process at once.

    Raises:
        SystemExit: SIGTERM has stopped the run as cleanly as Ctrl-C does; the exit status is 143, as shells have it.
        UserError: the plan or the executor's settings are wrong; nothing has run.
        StoreError: the store cannot be written or read.
    """
    if isinstance(work, Sweep):
        label = label or work.name
        work = plan(work, scenes)
    planned = list(dict.fromkeys(work))
    check_device_name(device)
    store.check_writable()
    identified = {trial.trial_id: trial for trial in planned}
    accuracies = _finished_accuracies(store, identified)
    finished = [trial for trial_id, trial in identified.items() if trial_id in accuracies]
    groups = group_trials(trial for trial_id, trial in identified.items() if trial_id not in accuracies)
    progress = Progress(groups, stream, finished=finished, accuracies=accuracies, label=label)

    def keep(record: RunRecord) -> None:
        # Another sweep into this store may have finished what failed here: a result is not replaced by a failure.
        if record.status == "ok" or not store.is_ok(record.trial_id):
            store.write(record)
        progress.add(record)

    interrupted = False
    signals = StopSignals(progress.note_stopping)
    try:
        with signals:
            progress.start()
            if groups:
                executor.execute(groups, scenes, device=device, on_record=keep, on_load=progress.note_load)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        progress.finish(interrupted=interrupted, resume=resume)
    if interrupted and signals.received == signal.SIGTERM:
        raise SystemExit(128 + signal.SIGTERM)
    n_ran = progress.n_ended if interrupted else len(planned) - len(finished)
    return Outcome(
        n_planned=len(planned),
        n_skipped=len(finished),
        n_ok=progress.n_ok,
        n_failed=n_ran - progress.n_ok,
        interrupted=interrupted,
    )


def _finished_accuracies(store: ResultStore, wanted: Container[str]) -> dict[str, float | None]:
    """Return trial_id -> validation OA of the ``wanted`` that are ok; None for those that are no candidates."""
    if not store.exists():
        return {}
    table = store.read(["trial_id", "status", "sees_labels", "confusion_val"])
    ids, statuses, sees_labels = (table.column(name).to_pylist() for name in ("trial_id", "status", "sees_labels"))
    confusion_val = table.column("confusion_val")
    return {
        trial_id: candidate_accuracy(sees_labels[row], confusion_val[row].as_py())
        for row, trial_id in enumerate(ids)
        if trial_id in wanted and statuses[row] == "ok"
    }
