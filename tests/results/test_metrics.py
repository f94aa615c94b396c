"""Scores from confusion matrices: by hand, and against scikit-learn."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from results.metrics import (
    SCORES,
    average_accuracy,
    confusion_matrix,
    f1_per_class,
    kappa,
    overall_accuracy,
    recall_per_class,
)

# Ten pixels of class 0, five of 1, five of 2.
BY_HAND = [[8, 1, 1], [2, 3, 0], [0, 1, 4]]


def test_by_hand() -> None:
    # Right: 8 + 3 + 4 of 20. Columns: 10, 5, 5. Chance: (10 * 10 + 5 * 5 + 5 * 5) / 400 = 0.375.
    assert overall_accuracy(BY_HAND) == pytest.approx(15 / 20)
    assert recall_per_class(BY_HAND) == pytest.approx([0.8, 0.6, 0.8])
    assert average_accuracy(BY_HAND) == pytest.approx((0.8 + 0.6 + 0.8) / 3)
    assert kappa(BY_HAND) == pytest.approx((0.75 - 0.375) / (1 - 0.375))
    assert f1_per_class(BY_HAND) == pytest.approx([16 / 20, 6 / 10, 8 / 10])


def test_rows_are_true_and_columns_predicted() -> None:
    assert confusion_matrix([0, 0, 2, 2, 2], [1, 0, 2, 0, 0], 3).tolist() == [[1, 1, 0], [0, 0, 0], [2, 0, 1]]
    assert confusion_matrix([], [], 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(("true", "predicted"), [([0, -1], [0, 0]), ([0, 1], [0, -1]), ([0, 2], [0, 0]), ([0], [2])])
def test_a_class_that_does_not_exist_is_refused(true: list[int], predicted: list[int]) -> None:
    # -1 beside 1 would count as a pixel of class 0 taken for 1.
    with pytest.raises(ValueError, match=r"they must lie in 0\.\.1"):
        confusion_matrix(true, predicted, 2)


def test_a_class_without_pixels_is_left_out() -> None:
    confusion = [[6, 2, 0], [1, 1, 0], [0, 0, 0]]
    recall = recall_per_class(confusion)
    assert recall[:2] == pytest.approx([0.75, 0.5])
    assert math.isnan(recall[2])
    assert average_accuracy(confusion) == pytest.approx(0.625)
    assert math.isnan(f1_per_class(confusion)[2])
    # Predicted, but never true: no recall, an F1 of 0.
    confusion = [[6, 2], [0, 0]]
    assert average_accuracy(confusion) == pytest.approx(0.75)
    assert f1_per_class(confusion) == pytest.approx([12 / 14, 0])


def test_nothing_has_no_score() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for score in SCORES.values():
            assert math.isnan(score([[0, 0], [0, 0]]))


def test_kappa_at_its_corners() -> None:
    assert kappa([[5, 0], [0, 5]]) == 1
    assert kappa([[0, 5], [5, 0]]) == pytest.approx(-1)
    # Independent of the truth: no better than chance.
    assert kappa([[4, 2], [8, 4]]) == pytest.approx(0, abs=1e-12)
    # All of one class: predicted so, and not.
    assert kappa([[7, 0], [0, 0]]) == 1
    assert kappa([[0, 7], [0, 0]]) == 0


LABELS = st.integers(2, 5).flatmap(
    lambda n: st.tuples(
        st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), min_size=1, max_size=40)
    )
)


@settings(max_examples=150, deadline=None)
@given(LABELS)
def test_equal_scikit_learn(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    n_classes, pairs = drawn
    true, predicted = np.array(pairs).T
    confusion = confusion_matrix(true, predicted, n_classes)
    classes = range(n_classes)
    assert confusion.tolist() == sk.confusion_matrix(true, predicted, labels=classes).tolist()
    assert overall_accuracy(confusion) == pytest.approx(sk.accuracy_score(true, predicted))
    with warnings.catch_warnings():
        # scikit-learn warns of predicted classes that are never true; they have no recall there either.
        warnings.filterwarnings("ignore", message="y_pred contains classes not in y_true")
        warnings.filterwarnings("ignore", message="A single label was found")
        assert average_accuracy(confusion) == pytest.approx(sk.balanced_accuracy_score(true, predicted))
    recall = sk.recall_score(true, predicted, labels=classes, average=None, zero_division=np.nan)
    np.testing.assert_allclose(recall_per_class(confusion), recall)
    f1 = sk.f1_score(true, predicted, labels=classes, average=None, zero_division=np.nan)
    np.testing.assert_allclose(f1_per_class(confusion), f1)


@settings(max_examples=100, deadline=None)
@given(LABELS)
def test_kappa_equals_scikit_learn(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    n_classes, pairs = drawn
    true, predicted = np.array(pairs).T
    # 0/0 by the formula; scikit-learn gives NaN there.
    assume(len({*true.tolist(), *predicted.tolist()}) > 1)
    expected = sk.cohen_kappa_score(true, predicted)
    assert kappa(confusion_matrix(true, predicted, n_classes)) == pytest.approx(expected, abs=1e-12)
