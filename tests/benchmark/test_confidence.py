"""What each protocol calls confidence, computed once more by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from benchmark import PROTOCOLS
from benchmark.protocols.base import Chosen

CLASSES = np.array([1, 4, 7])


def draw(n_per_class: int, seed: int, n_classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = np.repeat(np.eye(3)[:n_classes] * 2, n_per_class, axis=0) + generator.normal(size=(n_classes * n_per_class, 3))
    return x.astype(np.float32), np.repeat(CLASSES[:n_classes], n_per_class)


def choose(name: str, *, n_classes: int = 3, **parameters: object) -> tuple[Chosen, np.ndarray, np.ndarray, np.ndarray]:
    """Return what was chosen without preparation, the training part and 40 more pixels."""
    (train, train_y), (val, val_y) = draw(6, 0, n_classes), draw(6, 1, n_classes)
    chosen = PROTOCOLS.get(name)(**parameters).choose(train, train_y, val, val_y)
    return chosen, train, train_y, np.random.default_rng(2).normal(size=(40, 3)).astype(np.float32) * 2


def test_nearest_neighbours_count_votes() -> None:
    chosen, train, train_y, x = choose("knn", neighbours=(5,))
    for row, predicted, confidence in zip(x, chosen.predict(x), chosen.confidence(x), strict=True):
        cosine = [float(row @ other) / math.sqrt(float(row @ row) * float(other @ other)) for other in train]
        nearest = sorted(range(len(train)), key=lambda index: -cosine[index])[:5]
        votes = [sum(train_y[index] == label for index in nearest) for label in CLASSES]
        assert predicted == CLASSES[votes.index(max(votes))]
        assert confidence == pytest.approx(max(votes) / 5)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_linear_probe_gives_the_probability_of_what_it_predicts(n_classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    chosen, train, train_y, x = choose("linear", n_classes=n_classes, inverse_penalties=(1.0,))
    model = LogisticRegression(C=1.0, max_iter=2000).fit(train, train_y)
    logits = x.astype(float) @ model.coef_.T + model.intercept_
    if n_classes == 2:
        # One logit, of the second class.
        logits = np.hstack([np.zeros_like(logits), logits])
    for row, predicted, confidence in zip(logits, chosen.predict(x), chosen.confidence(x), strict=True):
        shares = [math.exp(value) / sum(math.exp(other) for other in row) for value in row]
        assert predicted == CLASSES[shares.index(max(shares))]
        assert confidence == pytest.approx(max(shares), rel=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_svm_measures_the_narrowest_win_of_the_class(n_classes: int) -> None:
    from sklearn.svm import SVC

    chosen, train, train_y, x = choose("svm", n_classes=n_classes, penalties=(10.0,), widths=(1.0,))
    pairs = {}
    for first, second in itertools.combinations(CLASSES[:n_classes], 2):
        # One against one is nothing but an SVM of two classes, per pair.
        rows = (train_y == first) | (train_y == second)
        model = SVC(C=10.0, gamma=1 / 3).fit(train[rows], train_y[rows] == first)
        pairs[first, second] = model.decision_function(x)
        pairs[second, first] = -pairs[first, second]
    sure = 0
    for index, (predicted, confidence) in enumerate(zip(chosen.predict(x), chosen.confidence(x), strict=True)):
        wins = [pairs[predicted, other][index] for other in CLASSES[:n_classes] if other != predicted]
        assert confidence == pytest.approx(1 / (1 + math.exp(-min(wins))), abs=2e-3)
        sure += confidence > 0.5
    assert sure > 35


def test_own_scores_give_the_softmax_of_what_is_predicted() -> None:
    scores = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32) * 300
    protocol = PROTOCOLS.get("own_classifier")()
    labels = np.zeros(20, dtype=np.int64)
    chosen = protocol.choose(scores, labels, scores, labels)
    for row, predicted, confidence in zip(
        scores.tolist(), chosen.predict(scores), chosen.confidence(scores), strict=True
    ):
        assert row[predicted] == max(row)
        assert confidence == pytest.approx(1 / sum(math.exp(value - max(row)) for value in row))


def test_what_is_predicted_does_not_depend_on_the_confidence() -> None:
    # The numbers of released results: the plain scikit-learn classifiers of the same parameters.
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    for name, options, model in (
        ("knn", {"neighbours": (3,)}, KNeighborsClassifier(3, metric="cosine")),
        ("svm", {"penalties": (10.0,), "widths": (1.0,)}, SVC(C=10.0, gamma=1 / 3)),
    ):
        chosen, train, train_y, x = choose(name, **options)
        assert np.array_equal(chosen.predict(x), model.fit(train, train_y).predict(x)), name
