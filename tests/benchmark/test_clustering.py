"""The clustering protocol: how clusters get their classes, and what it takes to be right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark import METHODS, PROTOCOLS, SplitSpec, plan_trial, run_trial
from benchmark.protocols.base import Chosen
from benchmark.protocols.clustering import Clustering, by_majority, one_to_one
from hsicl_core.errors import InvalidValueError
from tests.benchmark.entrants import tiny_params
from tests.scene_factory import tiny_scene

SIZES = st.integers(1, 5).flatmap(lambda n_classes: st.tuples(st.integers(1, n_classes), st.just(n_classes)))


@settings(max_examples=150, deadline=None)
@given(SIZES.flatmap(lambda size: st.tuples(
    arrays(np.int64, size, elements=st.integers(0, 3)), arrays(np.float64, size, elements=st.integers(0, 20)),
)))  # fmt: skip
def test_one_to_one_is_the_best_of_all_permutations(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    counts, distances = drawn
    n_clusters, n_classes = counts.shape
    ways = [
        (sum(counts[i, c] for i, c in enumerate(way)), -sum(distances[i, c] for i, c in enumerate(way)))
        for way in itertools.permutations(range(n_classes), n_clusters)
    ]
    named = one_to_one(counts, distances)
    assert len(set(named.tolist())) == n_clusters
    rows = np.arange(n_clusters)
    assert (counts[rows, named].sum(), -distances[rows, named].sum()) == max(ways)


@settings(max_examples=100, deadline=None)
@given(
    arrays(np.int64, (6, 4), elements=st.integers(0, 3)),
    arrays(np.float64, (6, 4), elements=st.floats(0, 9, allow_nan=False)),
)
def test_a_majority_names_a_cluster_and_distance_breaks_ties(counts: np.ndarray, distances: np.ndarray) -> None:
    for cluster, label in enumerate(by_majority(counts, distances).tolist()):
        assert counts[cluster, label] == max(counts[cluster])
        tied = [c for c in range(4) if counts[cluster, c] == max(counts[cluster])]
        assert distances[cluster, label] == min(distances[cluster, c] for c in tied)


def clouds(n: int, seed: int, centres: list[tuple[float, float]]) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (np.repeat(centres, n, axis=0) + generator.normal(size=(n * len(centres), 2)) * 0.1).astype(np.float32)


# Class 5 lies in two places, class 2 in one.
CENTRES = [(0.0, 0.0), (10.0, 0.0), (5.0, 9.0)]
LABELS = np.array([5, 5, 2])


def chosen_on_clouds(**parameters: object) -> tuple[Chosen, np.ndarray, np.ndarray]:
    x, labels = clouds(30, 0, CENTRES), np.repeat(LABELS, 30)
    protocol = Clustering(**parameters)
    prepared = protocol.prepare(x, np.arange(90))
    train, val = np.arange(0, 90, 15), np.arange(1, 90, 15)
    rows = prepared[np.arange(90)]
    return protocol.choose(rows[train], labels[train], rows[val], labels[val]), rows, labels


def test_a_class_in_two_places_needs_more_clusters_than_classes() -> None:
    chosen, rows, labels = chosen_on_clouds()
    assert chosen.parameters == {"multiple": 2, "n_clusters": 4}
    assert np.array_equal(chosen.predict(rows), labels)
    # One to one, one of the three clouds must be wrong, or two share a cluster.
    single, rows, labels = chosen_on_clouds(multiples=(1,))
    assert single.parameters == {"multiple": 1, "n_clusters": 2}
    assert (single.predict(rows) == labels).mean() == pytest.approx(2 / 3)


def test_confidence_is_the_share_of_the_training_pixels_that_named_the_cluster() -> None:
    x = clouds(30, 0, [(0.0, 0.0), (10.0, 0.0)])
    protocol = Clustering(multiples=(1,))
    rows = protocol.prepare(x, np.arange(60))[np.arange(60)]
    # Of four training pixels in the first cloud one is of the other cloud's class.
    train, train_y = [0, 1, 2, 3, 30], np.array([3, 3, 3, 8, 8])
    chosen = protocol.choose(rows[train], train_y, rows[train], train_y)
    assert np.array_equal(chosen.predict(rows), np.repeat([3, 8], 30))
    assert chosen.confidence(rows).tolist() == [0.75] * 30 + [1.0] * 30


def test_as_many_clusters_as_classes_are_matched_one_to_one_and_more_by_majority() -> None:
    x = clouds(30, 0, [(0.0, 0.0), (10.0, 0.0)])
    # Class 3 has the majority in both clouds.
    train, train_y = [0, 1, 2, 30, 31, 32], np.array([3, 3, 3, 3, 3, 8])
    found = []
    for multiple in (1, 2):
        protocol = Clustering(multiples=(multiple,))
        rows = protocol.prepare(x, np.arange(60))[np.arange(60)]
        found.append(protocol.choose(rows[train], train_y, rows[train], train_y).predict(rows[[0, 1, 2, 30, 31]]))
    assert found[0].tolist() == [3, 3, 3, 8, 8]
    assert found[1].tolist() == [3, 3, 3, 3, 3]


def test_matching_on_the_scored_pixels_is_an_upper_bound() -> None:
    generator = np.random.default_rng(3)
    labels = np.repeat(np.arange(4), 50)
    x = (np.eye(4)[labels] * 2 + generator.normal(size=(200, 4))).astype(np.float32)
    protocol = Clustering(multiples=(1,))
    rows = protocol.prepare(x, np.arange(200))[np.arange(200)]
    train, test = np.arange(0, 200, 25), np.setdiff1d(np.arange(200), np.arange(0, 200, 25))
    predicted = protocol.choose(rows[train], labels[train], rows[train], labels[train]).predict(rows[test])
    ours = (predicted == labels[test]).mean()
    # Any renaming of the clusters that keeps them apart, the best of which is the clustering accuracy.
    best = max((np.array(way)[predicted] == labels[test]).mean() for way in itertools.permutations(range(4)))
    assert 0.25 < ours <= best


def test_only_pixels_of_the_fit_are_clustered() -> None:
    x = clouds(30, 0, [*CENTRES, (1e4, 1e4)])
    protocol = Clustering(multiples=(1,))
    seen = np.arange(60)
    rows = protocol.prepare(x, seen)[np.arange(120)]
    chosen = protocol.choose(rows[[0, 30]], np.array([0, 1]), rows[[1, 31]], np.array([0, 1]))
    # Else the far cloud would be a cluster of its own and these two one.
    assert np.array_equal(chosen.predict(rows[seen]), np.repeat([0, 1], 30))


def test_more_pixels_than_asked_for_are_thinned() -> None:
    x = clouds(500, 0, CENTRES)
    protocol = Clustering(n_pixels=50)
    rows = protocol.prepare(x, np.arange(1500))[np.arange(1500)]
    assert len(protocol.__dict__["_rows"]) == 50
    train, val = [0, 500, 1000], [1, 501, 1001]
    chosen = protocol.choose(rows[train], np.arange(3), rows[val], np.arange(3))
    assert np.array_equal(chosen.predict(rows), np.repeat(np.arange(3), 500))


def test_it_must_be_prepared_and_its_parameters_are_checked() -> None:
    x, y = np.eye(2, dtype=np.float32), np.array([0, 1])
    with pytest.raises(ValueError, match="call it before choose"):
        Clustering().choose(x, y, x, y)
    for wrong in ({"multiples": (0,)}, {"n_starts": 0}, {"n_pixels": 0}):
        with pytest.raises(InvalidValueError):
            Clustering(**wrong)


def test_a_trial_with_it_gives_the_same_numbers_again() -> None:
    scene = tiny_scene()
    trial = plan_trial(
        scene, method="raw_spectra", params=tiny_params(METHODS.get("raw_spectra")), protocol="clustering",
        split=SplitSpec(labels_per_class=5, patch_size=5),
    )  # fmt: skip
    first, again = run_trial(trial, scene), run_trial(trial, scene)
    assert first.status == "ok", first.error
    assert first.confusion_test == again.confusion_test
    assert first.chosen_json == again.chosen_json
    assert "clustering" in PROTOCOLS.names()
