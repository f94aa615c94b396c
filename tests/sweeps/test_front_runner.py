"""The best configuration so far: like is compared with like, and what is told says of how many."""

from __future__ import annotations

import dataclasses
import random
from collections import defaultdict

import pytest

from benchmark import Trial
from sweeps.watching.front_runner import FrontRunners, candidate_accuracy
from tests.record_factory import confusion
from tests.sweeps.progress_factory import record_of, trial_of

LEVELS = (0.0, 1.0, 8.0)


def trials_of_levels(scene: str = "tiny") -> list[Trial]:
    return [trial_of(scene=scene, level=level, index=index) for level in LEVELS for index in range(3)]


@pytest.mark.parametrize("seed", range(20))
def test_the_best_mean_of_those_with_the_most_trials_wins(seed: int) -> None:
    draw = random.Random(seed)
    trials = trials_of_levels()
    best = FrontRunners(trials)
    seen: dict[float, list[float]] = defaultdict(list)
    for trial in draw.sample(trials, draw.randint(1, len(trials))):
        oa = draw.choice([None, *(number / 1000 for number in range(1, 1000))])
        best.add_record(record_of(trial, oa=oa))
        if oa is not None:
            seen[float(trial.method_params()["level"])].append(oa)
    if not seen:
        assert best.texts() == []
        return
    most = max(map(len, seen.values()))
    means = {level: sum(values) / most for level, values in seen.items() if len(values) == most}
    level = max(means, key=means.__getitem__)
    times = f"mean of {most}" if most > 1 else "one trial"
    field = "all 3" if len(means) == 3 else f"{len(means)} of 3"
    expected = (
        f"best on validation: {100 * means[level]:.1f}% OA ({times}; {field} compared), noisy level={level} on tiny"
    )
    assert best.texts() == [expected]


def test_a_lucky_split_beats_nobody() -> None:
    trials = trials_of_levels()
    best = FrontRunners(trials)
    best.add_record(record_of(trials[0], oa=1.0))
    for trial in trials[3:5]:
        best.add_record(record_of(trial, oa=0.4))
    assert best.texts() == ["best on validation: 40.0% OA (mean of 2; 1 of 3 compared), noisy level=1.0 on tiny"]


def test_a_bound_is_neither_best_nor_counted() -> None:
    bound, honest = trial_of("oracle_negatives", patch_size=5, n_components=4), trial_of("raw_spectra")
    best = FrontRunners([bound, honest])
    best.add_record(record_of(bound, oa=1.0))
    assert best.texts() == []
    best.add_record(record_of(honest, oa=0.3))
    assert best.texts() == ["best on validation: 30.0% OA (one trial; all 1 compared), raw_spectra on tiny"]


def test_scenes_and_kinds_of_split_are_apart() -> None:
    trials = [trial_of(scene=scene, rule=rule) for scene in ("tiny", "other") for rule in ("random", "block")]
    best = FrontRunners(trials)
    for trial, oa in zip(trials, (0.9, 0.8, 0.7, 0.6), strict=True):
        best.add_record(record_of(trial, oa=oa))
    assert [text.partition("%")[0].rpartition(" ")[2] for text in best.texts()] == ["90.0", "80.0", "70.0", "60.0"]
    assert best.texts()[3].endswith("on other, block splits, 3 labels per class, 3 for validation, patch 5")


def test_only_what_varies_is_named_and_methods_apart() -> None:
    trials = [
        trial_of(level=1.0, note="a b", steps=2), trial_of(level=1.0, note="", steps=2),
        trial_of("raw_spectra"), dataclasses.replace(trial_of("raw_spectra"), protocol="linear", protocol_params="{}"),
    ]  # fmt: skip
    names = []
    for trial in trials:
        best = FrontRunners(trials)
        best.add_record(record_of(trial))
        names.append(best.texts()[0].partition("), ")[2])
    assert names[:2] == ["noisy note=a b on tiny", 'noisy note="" on tiny']
    assert names[2].startswith("raw_spectra protocol=knn")
    assert names[3] == "raw_spectra protocol=linear on tiny"


def test_what_was_finished_before_counts() -> None:
    trials = trials_of_levels()
    best = FrontRunners(trials)
    for trial in trials[:3]:
        best.add(trial.trial_id, 0.5)
    best.add(trials[3].trial_id, None)
    for trial in trials[4:6]:
        best.add_record(record_of(trial, oa=0.9))
    assert best.texts() == ["best on validation: 50.0% OA (mean of 3; 1 of 3 compared), noisy level=0.0 on tiny"]


def test_what_is_a_candidate() -> None:
    assert candidate_accuracy("none", confusion(0.25)) == 0.25
    assert candidate_accuracy("train", confusion(0.25)) == 0.25
    assert candidate_accuracy("all", confusion(0.25)) is None
    assert candidate_accuracy("none", None) is None
    assert candidate_accuracy("none", [[0, 0], [0, 0]]) is None
