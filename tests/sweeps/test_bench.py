"""The leaderboard's plan: every method under every protocol that can score it."""

from __future__ import annotations

import pytest

from benchmark import METHODS, PROTOCOLS, InvalidValueError, SplitSpec
from sweeps.bench import plan_bench
from tests.scene_factory import tiny_scene

SPLIT = SplitSpec(rule="random", labels_per_class=3, val_per_class=3, patch_size=9)
SCENES = {"tiny": tiny_scene()}
# What a protocol may read, and whether a method gives it.
GIVEN = {
    "embedding": lambda method: True,
    "scores": lambda method: method.classifies,
    "network": lambda m: m.fine_tunes,
}


def test_all_methods_meet_all_protocols_that_can_score_them() -> None:
    trials = plan_bench(SCENES, split=SPLIT, n_splits=1)
    planned = {(trial.method, trial.protocol) for trial in trials}
    reading = {kind: {name for name in PROTOCOLS.names() if PROTOCOLS.get(name).reads == kind} for kind in GIVEN}
    assert all(reading.values())
    for name in METHODS.names():
        met = {protocol for method, protocol in planned if method == name}
        assert met == set().union(*(reading[kind] for kind, is_given in GIVEN.items() if is_given(METHODS.get(name))))
    for is_given in GIVEN.values():
        assert any(is_given(METHODS.get(name)) for name in METHODS.names())


def test_a_method_that_no_given_protocol_can_score_is_named() -> None:
    with pytest.raises(InvalidValueError, match="'own_classifier' reads scores, which method 'nt_xent'"):
        plan_bench(SCENES, methods=["nt_xent"], protocols=["own_classifier"], split=SPLIT)
    trials = plan_bench(SCENES, methods=["nt_xent"], protocols=["own_classifier", "knn"], split=SPLIT, n_splits=1)
    assert [trial.protocol for trial in trials] == ["knn"]
