"""What every registered protocol must do."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark import PROTOCOLS, protocols
from benchmark.protocols.base import Chosen, Network, Problem, Protocol
from benchmark.trial import canonical_json

each = pytest.mark.parametrize("name", PROTOCOLS.names())
# Directions in which the classes 1, 4 and 7 lie; class indices need not be contiguous.
CLASSES = np.array([1, 4, 7])
CENTRES = np.eye(3) * 4
# Centres that differ in every dimension.
APART = np.array([[8, 4, 0], [0, 8, 4], [4, 0, 8]])
# What a class that a network or method never learnt scores.
NEVER = -1000


# Parameters that make a protocol cheap, of those that it has.
CHEAP: dict[str, Any] = {"n_trees": 7, "exponents": (0.5,)}


def make(name: str) -> Protocol:
    member = PROTOCOLS.get(name)
    return member(**{key: value for key, value in CHEAP.items() if key in member.__dataclass_fields__})


def draw(
    n_per_class: int, seed: int, noise: float = 0.1, centres: np.ndarray = CENTRES
) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds (n, 3) and their labels."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(CLASSES, n_per_class)
    return np.repeat(centres, n_per_class, axis=0) + generator.normal(size=(3 * n_per_class, 3)) * noise, labels


def scores_of(x: np.ndarray) -> np.ndarray:
    """Scores (n, 8) of a method that learnt the three classes."""
    scores = np.full((len(x), 8), NEVER, dtype=np.float32)
    scores[:, CLASSES] = x
    return scores


def network_of(x: np.ndarray) -> Network:
    """A network that is trained by remembering the mean of every class."""

    def fine_tune(pixels: np.ndarray, classes: np.ndarray, steps: int, rate: float) -> np.ndarray:
        scores = np.full((len(x), 8), NEVER, dtype=np.float32)
        for label in np.unique(classes):
            scores[:, label] = -((x - x[pixels[classes == label]].mean(axis=0)) ** 2).sum(axis=1)
        return scores

    return Network(len(x), fine_tune)


READ = {"embedding": lambda x: x.astype(np.float32), "scores": scores_of, "network": network_of}


def as_read(name: str, x: np.ndarray) -> Any:
    """Return what the runner gives to ``prepare`` when the pixels are x (n, 3)."""
    return READ[make(name).reads](x)


def ready(name: str, *parts: np.ndarray) -> tuple[Protocol, list[Any]]:
    """Return a protocol that was prepared with the pixels of all parts, and what it prepared of each part."""
    protocol = make(name)
    x = np.concatenate(parts)
    prepared = protocol.prepare(as_read(name, x), np.arange(len(x)))
    return protocol, [prepared[rows] for rows in np.split(np.arange(len(x)), np.cumsum([len(part) for part in parts]))]


@each
@pytest.mark.parametrize("n_per_class", [1, 2, 10])
def test_tells_apart_what_is_far_apart(name: str, n_per_class: int) -> None:
    # One or two pixels of a class do not tell which dimensions matter, so then all of them do.
    centres = APART if n_per_class <= 2 else CENTRES
    parts = [draw(n, seed, centres=centres) for seed, n in enumerate((n_per_class, 4, 20))]
    (train, train_y), (val, val_y), (x, labels) = parts
    protocol, (train, val, x, _) = ready(name, train, val, x)
    predicted = protocol.choose(train, train_y, val, val_y).predict(x)
    assert predicted.shape == (60,)
    assert np.issubdtype(predicted.dtype, np.integer)
    assert np.array_equal(predicted, labels)


@each
def test_predicts_classes_that_it_was_trained_on(name: str) -> None:
    (train, train_y), (val, val_y), (x, _) = draw(3, 0, noise=4), draw(3, 1, noise=4), draw(50, 2, noise=8)
    protocol, (train, val, x, _) = ready(name, train, val, x)
    chosen = protocol.choose(train, train_y, val, val_y)
    assert set(chosen.predict(x).tolist()) <= set(CLASSES.tolist())
    assert chosen.predict(x[:1]).shape == (1,)


@each
def test_the_same_data_give_the_same_choice(name: str) -> None:
    (train, train_y), (val, val_y), (x, _) = draw(5, 0, noise=2), draw(5, 1, noise=2), draw(50, 2, noise=2)
    found = []
    for seed in (0, 1):
        np.random.seed(seed)  # noqa: NPY002 - the global generator is the one that must not matter
        protocol, (a, b, c, _) = ready(name, train, val, x)
        found.append((protocol.choose(a, train_y, b, val_y), c))
    (first, c), (again, d) = found
    assert first.parameters == again.parameters
    assert np.array_equal(first.predict(c), again.predict(d))
    assert (first.confidence is None) == (again.confidence is None)
    if first.confidence is not None:
        assert np.array_equal(first.confidence(c), again.confidence(d))


@each
def test_it_reads_what_a_fit_gives(name: str) -> None:
    assert make(name).reads in READ


@each
def test_preparation_looks_at_its_pixels_only(name: str) -> None:
    x, _ = draw(8, 0, noise=2)
    pixels, others = np.arange(0, 24, 2), np.arange(1, 24, 2)
    before = x.copy()
    prepared = make(name).prepare(as_read(name, x), pixels)
    rows = prepared[np.arange(24)]
    assert np.array_equal(x, before)
    assert len(rows) == 24
    x[others] = np.random.default_rng(1).normal(size=(12, 1)) * 1e4
    changed = make(name).prepare(as_read(name, x), pixels)
    assert np.array_equal(changed[pixels], rows[pixels])
    if rows.dtype.kind == "f":
        assert rows.dtype == np.float32
        # What is far from all pixels stays far.
        assert np.abs(changed[others]).max() > np.abs(rows[pixels]).max()


@each
def test_a_dimension_that_never_varies_is_no_error(name: str) -> None:
    x, _ = draw(8, 0)
    x[:, 1] = 3
    assert np.isfinite(make(name).prepare(as_read(name, x), np.arange(24))[np.arange(24)]).all()


@each
def test_the_data_are_left_as_they_were(name: str) -> None:
    (train, train_y), (val, val_y), (x, _) = draw(5, 0), draw(5, 1), draw(5, 2)
    protocol, (train, val, x, _) = ready(name, train, val, x)
    arrays = (train, train_y, val, val_y, x)
    before = [array.copy() for array in arrays]
    chosen = protocol.choose(train, train_y, val, val_y)
    chosen.predict(x)
    if chosen.confidence is not None:
        chosen.confidence(x)
    for array, was in zip(arrays, before, strict=True):
        assert np.array_equal(array, was)


@each
def test_the_choice_is_the_best_on_validation(name: str) -> None:
    # Other validation parts make it choose other candidates of the same training; none may be better on this one.
    train, train_y = draw(6, 0, noise=5)
    parts = [draw(20, seed, noise=5) for seed in range(1, 8)]
    protocol, (train, *vals, _) = ready(name, train, *(x for x, _ in parts))
    chosen = [protocol.choose(train, train_y, val, y) for val, (_, y) in zip(vals, parts, strict=True)]
    right = [(candidate.predict(vals[0]) == parts[0][1]).sum() for candidate in chosen]
    assert max(right) == right[0]


@each
def test_a_validation_part_of_one_class_is_no_error(name: str) -> None:
    (train, train_y), (x, labels) = draw(5, 0), draw(5, 1)
    protocol, (train, x, _) = ready(name, train, x)
    chosen = protocol.choose(train, train_y, x[labels == 4], labels[labels == 4])
    assert chosen.predict(x).shape == (15,)


@each
def test_a_constant_embedding_is_no_error(name: str) -> None:
    _, labels = draw(4, 0)
    protocol, (constant, _) = ready(name, np.ones((12, 3)))
    predicted = protocol.choose(constant, labels, constant, labels).predict(constant)
    assert set(predicted.tolist()) <= set(CLASSES.tolist())


@each
def test_confidence_is_a_share_for_every_pixel_by_itself(name: str) -> None:
    (train, train_y), (val, val_y), (x, _) = draw(4, 0, noise=2), draw(4, 1, noise=2), draw(10, 2, noise=2)
    protocol, (train, val, x, _) = ready(name, train, val, x)
    measure = protocol.choose(train, train_y, val, val_y).confidence
    if measure is None:
        return
    confidence = measure(x)
    assert (confidence.shape, confidence.dtype) == ((30,), np.float32)
    assert np.isfinite(confidence).all()
    assert confidence.min() >= 0
    assert confidence.max() <= 1
    alone = np.concatenate([measure(x[row : row + 1]) for row in range(30)])
    np.testing.assert_allclose(alone, confidence, atol=1e-5)


@each
def test_confidence_is_no_higher_between_two_classes_than_in_them(name: str) -> None:
    (train, train_y), (val, val_y) = draw(6, 0), draw(6, 1)
    inside, between = np.eye(3) * 4, np.array([[2, 2, 0], [0, 2, 2], [2, 0, 2]])
    protocol, (train, val, inside, between, _) = ready(name, train, val, inside, between)
    chosen = protocol.choose(train, train_y, val, val_y)
    assert chosen.predict(inside).tolist() == CLASSES.tolist()
    if chosen.confidence is not None:
        assert chosen.confidence(inside).min() >= chosen.confidence(between).max()


# A small grid holds the same vector often, also for different classes.
VECTORS = st.tuples(*[st.integers(0, 2)] * 3)
LABELLED = st.lists(st.tuples(VECTORS, st.sampled_from(CLASSES.tolist())), min_size=1, max_size=8)


def with_two_classes(rows: list[tuple[Any, int]]) -> bool:
    return len({label for _, label in rows}) > 1


@each
@settings(max_examples=25, deadline=None)
@given(train=LABELLED.filter(with_two_classes), val=LABELLED, rest=st.lists(VECTORS, min_size=1, max_size=8))
def test_few_labels_missing_classes_and_equal_vectors(name: str, train: Any, val: Any, rest: Any) -> None:
    train_y, val_y = (np.array([label for _, label in rows]) for rows in (train, val))
    parts = [np.array(rows, dtype=float) for rows in ([x for x, _ in train], [x for x, _ in val], rest)]
    protocol, (train_x, val_x, x, _) = ready(name, *parts)
    chosen = protocol.choose(train_x, train_y, val_x, val_y)
    predicted = chosen.predict(x)
    # Scores are of a method that may know classes which these labels lack.
    known = CLASSES if protocol.reads == "scores" else train_y
    assert set(predicted.tolist()) <= set(known.tolist())
    if chosen.confidence is not None:
        confidence = chosen.confidence(x)
        assert confidence.shape == predicted.shape
        assert ((confidence >= 0) & (confidence <= 1)).all()


@each
def test_many_problems_are_chosen_for_as_each_alone_in_any_order(name: str) -> None:
    # Sizes and classes differ; of one class alone there may be nothing to learn.
    parts = [draw(n, n, noise=3) for n in (1, 2, 2, 5, 9)]
    protocol, (*prepared, _) = ready(name, *(x for x, _ in parts))
    labels = [y for _, y in parts]
    labels[2] = np.full(6, CLASSES[0])
    labels[3] = np.where(labels[3] == CLASSES[2], CLASSES[1], labels[3])
    val, val_y = prepared[-1], labels[-1]
    problems = [Problem(train_x=x, train_y=y, val_x=val, val_y=val_y) for x, y in zip(prepared, labels, strict=True)]
    together, backwards = protocol.choose_together(problems), protocol.choose_together(problems[::-1])[::-1]
    assert len(together) == len(problems)
    for problem, *found in zip(problems, together, backwards, strict=True):
        found += protocol.choose_together([problem])
        try:
            found.append(protocol.choose(problem.train_x, problem.train_y, val, val_y))
        except Exception as error:
            found.append(error)
        first = found[0]
        for other in found[1:]:
            if isinstance(first, Exception):
                assert (type(other), str(other)) == (type(first), str(first))
                continue
            assert isinstance(other, Chosen)
            assert other.parameters == first.parameters
            assert np.array_equal(other.predict(val), first.predict(val))
            if first.confidence is not None:
                assert other.confidence is not None
                assert np.array_equal(other.confidence(val), first.confidence(val))


@each
def test_what_was_chosen_and_the_parameters_are_plain_values(name: str) -> None:
    (train, train_y), (val, val_y) = draw(3, 0), draw(3, 1)
    protocol, (train, val, _) = ready(name, train, val)
    chosen = protocol.choose(train, train_y, val, val_y)
    assert canonical_json(chosen.parameters)
    assert canonical_json(dataclasses.asdict(protocol))


@each
def test_its_file_tells_source_and_differences(name: str) -> None:
    module = sys.modules[PROTOCOLS.get(name).__module__]
    if Path(str(module.__file__)).parent != Path(str(protocols.__file__)).parent:
        # What other packages add is documented where they are.
        return
    text = inspect.getdoc(module) or ""
    assert "Source: " in text
    assert "Differs: " in text
