"""The best configuration so far, on validation, told so that nobody takes it for more than it is."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark import METHODS, Trial
from results import RunRecord
from results.metrics import overall_accuracy

# Where configurations can be compared: one scene under one kind of split.
_Contest = tuple[str, str]


def candidate_accuracy(sees_labels: str, confusion_val: Any) -> float | None:
    """Return the validation OA that counts, None without a matrix, without validation pixels, or for a bound.

    Args:
        sees_labels: what the method sees; one that sees all labels is a bound and no candidate.
        confusion_val: matrix on the validation pixels, or None.
    """
    if sees_labels == "all" or not confusion_val:
        return None
    accuracy = overall_accuracy(confusion_val)
    return None if math.isnan(accuracy) else accuracy


class FrontRunners:
    """The best mean validation OA per scene and kind of split, among configurations with equally many scored trials.

    A mean over two lucky splits is not compared with one over ten: only configurations with the most trials are.
    ``add`` costs O(1), ``texts`` O(configurations).

    Args:
        planned: all trials of the launch, those that were finished before included.
    """

    def __init__(self, planned: Sequence[Trial]) -> None:
        self._contests: dict[_Contest, dict[str, str]] = defaultdict(dict)
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        configs = [trial.config_id for trial in planned]
        self._config_of = {trial.trial_id: config for trial, config in zip(planned, configs, strict=True)}
        name_of = _names(dict(zip(configs, planned, strict=True)))
        has_kinds = len({_kind_of_split(trial) for trial in planned}) > 1
        bounds = {name for name in {trial.method for trial in planned} if METHODS.get(name).sees_labels == "all"}
        for trial, config in zip(planned, configs, strict=True):
            if trial.method not in bounds:
                contest = trial.scene, f", {_kind_of_split(trial)}" if has_kinds else ""
                self._contests[contest][config] = name_of[config]

    def add(self, trial_id: str, accuracy: float | None) -> None:
        """Note the accuracy of one trial, as ``candidate_accuracy`` gives it."""
        if accuracy is not None:
            config = self._config_of[trial_id]
            self._sums[config] += accuracy
            self._counts[config] += 1

    def add_record(self, record: RunRecord) -> None:
        """Note the accuracy of a record."""
        self.add(record.trial_id, candidate_accuracy(record.sees_labels, record.confusion_val))

    def texts(self) -> list[str]:
        """Return a line per scene and kind of split where something was scored, in the plan's order."""
        return [self._text(*item) for item in self._contests.items() if any(map(self._counts.get, item[1]))]

    def _text(self, contest: _Contest, names: Mapping[str, str]) -> str:
        most = max(self._counts.get(config, 0) for config in names)
        compared = [config for config in names if self._counts.get(config, 0) == most]
        best = max(compared, key=self._sums.__getitem__)
        times = f"mean of {most}" if most > 1 else "one trial"
        field = f"{'all' if len(compared) == len(names) else f'{len(compared)} of'} {len(names)} compared"
        scene, kind = contest
        return (
            f"best on validation: {100 * self._sums[best] / most:.1f}% OA ({times}; {field}), {names[best]} on "
            f"{scene}{kind}"
        )


def _kind_of_split(trial: Trial) -> str:
    split = trial.split
    return f"{split.rule} splits, {split.budget}, {split.val_per_class} for validation, patch {split.patch_size}"


def _names(configurations: Mapping[str, Trial]) -> dict[str, str]:
    """Return config_id -> the method, and those of its settings that vary in this launch.

    Args:
        configurations: config_id -> any trial of it.
    """
    settings_of: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for config, trial in configurations.items():
        settings_of[trial.method][config] = _settings(trial)
    names = {}
    for method, settings in settings_of.items():
        values: dict[str, set[str]] = defaultdict(set)
        for given in settings.values():
            for key, value in given.items():
                values[key].add(value)
        for config, given in settings.items():
            varying = [f"{key}={value}" for key, value in given.items() if len(values[key]) > 1]
            names[config] = " ".join([method, *varying])
    return names


def _settings(trial: Trial) -> dict[str, str]:
    # A protocol has parameters of its own, whose names may be a method's too.
    own = {f"{trial.protocol}.{key}": value for key, value in trial.protocol_parameters().items()}
    given = {**trial.method_params(), "protocol": trial.protocol, **own}
    return {key: value if isinstance(value, str) and value else json.dumps(value) for key, value in given.items()}
