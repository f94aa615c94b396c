"""Runs configurations as search trials, gives each its mean scores, and chooses among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from benchmark import InvalidValueError, Scene, Trial
from results import ResultStore
from results.metrics import overall_accuracy
from sweeps.launcher import Outcome
from sweeps.search.settings import SearchSettings
from sweeps.sweep import Sweep, plan_configuration

Configuration = dict[str, Any]


class Score(NamedTuple):
    """Means over the trials of one configuration, NaN where one of them failed.

    Attributes:
        accuracy: validation OA, a fraction.
        seconds: what the fit took, as stored.
    """

    accuracy: float
    seconds: float


# What --objective may name -> the scores that count, each with its direction in Optuna's words.
OBJECTIVES: dict[str, dict[str, str]] = {
    "accuracy": {"accuracy": "maximize"},
    "accuracy,seconds": {"accuracy": "maximize", "seconds": "minimize"},
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """One search on one scene: what to launch with, and by what to choose.

    Attributes:
        sweep: its axes hold the values to choose from.
        scene: where it runs.
        launch_batch: ``sweeps.launcher.launch`` of trials with a label.
        store: where their records are.
        settings: of the search.
    """

    sweep: Sweep
    scene: Scene
    launch_batch: Callable[..., Outcome]
    store: ResultStore
    settings: SearchSettings

    def scores(self, configurations: Sequence[Configuration], progress: str = "") -> list[Score]:
        """Run all trials of ``configurations`` as search trials and return their mean scores, in order.

        Args:
            configurations: the method's parameters; equal ones cost nothing twice.
            progress: what the label says of the search so far.

        Raises:
            KeyboardInterrupt: the user stopped the launch.
        """
        planned = [
            plan_configuration(self.sweep, self.sweep.swept, params, self.scene, purpose="search")
            for params in configurations
        ]
        label = f"{self.sweep.name}: search on {self.scene.name}{progress}"
        outcome = self.launch_batch([trial for trials in planned for trial in trials], label=label)
        if outcome.interrupted:
            raise KeyboardInterrupt
        measured = _measured(self.store)
        return [_mean(trials, measured) for trials in planned]

    def values(self, score: Score) -> list[float]:
        """Return what of ``score`` counts for the objective; [] where any of it is NaN, so that nothing is known."""
        counted = [float(getattr(score, name)) for name in OBJECTIVES[self.settings.objective]]
        return [] if np.isnan(counted).any() else counted

    def ranked(self, scored: Sequence[tuple[Configuration, Score]]) -> list[Configuration]:
        """Return the configurations with a score, the most accurate first; of equal ones the earlier.

        Raises:
            InvalidValueError: none has a score.
        """
        return [params for params, _ in self._by_accuracy(scored)]

    def chosen(self, scored: Sequence[tuple[Configuration, Score]]) -> list[Configuration]:
        """Return the most accurate configuration, or the Pareto front where seconds count too, none twice.

        Raises:
            InvalidValueError: none has a score.
        """
        ranked = self._by_accuracy(scored)
        if len(OBJECTIVES[self.settings.objective]) == 1:
            return [ranked[0][0]]
        front = pareto_front([score for _, score in ranked])
        unique: list[Configuration] = []
        for index in front:
            if ranked[index][0] not in unique:
                unique.append(ranked[index][0])
        return unique

    def _by_accuracy(self, scored: Sequence[tuple[Configuration, Score]]) -> list[tuple[Configuration, Score]]:
        finite = [pair for pair in scored if self.values(pair[1])]
        if not finite:
            raise InvalidValueError(
                f"search on {self.scene.name!r}: no configuration could be scored, every one has a failed trial: see "
                "the errors above and in the store, mend them and give the same command again"
            )
        # Stable: of equal scores the earlier suggestion wins.
        return sorted(finite, key=lambda pair: -pair[1].accuracy)


def pareto_front(scores: Sequence[Score]) -> list[int]:
    """Return the indices of the scores that no other one beats: none is as accurate and as fast, and better in one.

    Args:
        scores: no NaN.
    """
    return [
        index
        for index, score in enumerate(scores)
        if not any(
            other.accuracy >= score.accuracy and other.seconds <= score.seconds and other != score for other in scores
        )
    ]


def validation_accuracies(store: ResultStore) -> dict[str, float]:
    """Return trial_id -> validation OA of all trials of the store that are ok."""
    return {trial_id: score.accuracy for trial_id, score in _measured(store).items()}


def _measured(store: ResultStore) -> dict[str, Score]:
    table = store.read(["trial_id", "status", "confusion_val", "fit_s"])
    return {
        row["trial_id"]: Score(overall_accuracy(row["confusion_val"]), _seconds(row["fit_s"]))
        for row in table.to_pylist()
        if row["status"] == "ok"
    }


def _seconds(fit_s: float | None) -> float:
    return float("nan") if fit_s is None else fit_s


def _mean(trials: Sequence[Trial], measured: Mapping[str, Score]) -> Score:
    # A trial without a score makes the mean NaN: what fails is no lucky configuration.
    failed = Score(float("nan"), float("nan"))
    accuracy, seconds = np.mean([measured.get(trial.trial_id, failed) for trial in trials], axis=0)
    return Score(float(accuracy), float(seconds))
