"""Budgets in labels per class and in per cent of each class."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmark.label_budget import LabelBudget
from benchmark.split import leakage, make_split
from hsicl_core.errors import InvalidValueError, SplitError
from tests.scene_factory import tiny_labels

INDIAN_PINES = np.array([46, 1428, 830, 237, 483, 730, 28, 478, 20, 972, 2455, 593, 205, 1265, 386, 93])


def test_ten_per_cent_of_indian_pines_is_what_tables_of_it_print_but_for_three_halves() -> None:
    # Stratified sampling of scikit-learn 1.4 gives 1024: of the four halves (2455, 205, 1265) three fall.
    expected = [5, 143, 83, 24, 48, 73, 3, 48, 2, 97, 246, 59, 21, 127, 39, 9]
    assert LabelBudget.per_cent(INDIAN_PINES, 10).train.tolist() == expected
    assert sum(expected) == 1027


def test_every_class_keeps_one_and_an_absent_one_none() -> None:
    budget = LabelBudget.per_cent(np.array([3, 0, 1000, 49, 50]), 1)
    assert budget.train.tolist() == [1, 0, 10, 1, 1]
    assert LabelBudget.per_class(np.array([3, 0, 9]), 4).train.tolist() == [4, 0, 4]


@example(2900, 50)
@given(st.integers(1, 9999), st.integers(1, 10**6))
def test_a_share_is_rounded_as_a_decimal_number(basis_points: int, count: int) -> None:
    # In binary arithmetic, 29 % of 50 pixels are 14.499999999999998.
    found = int(LabelBudget.per_cent(np.array([count]), basis_points / 100).train[0])
    exact = Fraction(basis_points * count, 10**4)
    assert found == 1 if exact < Fraction(1, 2) else abs(exact - found) <= Fraction(1, 2)
    if (exact - Fraction(1, 2)).denominator == 1:
        assert found == exact + Fraction(1, 2)


@pytest.mark.parametrize("percent", [0, 100, -1, 1e9, float("nan"), float("inf"), True, "10"])
def test_refuses_what_is_no_share(percent: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"labels_percent must be a number above 0 and below 100, got"):
        make_split(tiny_labels(), "random", labels_percent=percent)


@pytest.mark.parametrize("rule", ["random", "block", "buffered_random"])
def test_rules_take_per_cent_and_the_other_budget_has_no_say(rule: str) -> None:
    labels = tiny_labels(80, 96)
    labels[labels == 3] = np.where(np.arange((labels == 3).sum()) % 4, -1, 3)
    split = make_split(labels, rule, labels_percent=0.5, labels_per_class=30, patch_size=5)
    counts = np.bincount(labels[labels >= 0])
    expected = np.floor(0.005 * counts + 0.5).astype(int)
    assert len(set(expected.tolist())) == 2
    assert np.bincount(labels.flat[split.train]).tolist() == expected.tolist()


@pytest.mark.parametrize("rule", ["random", "block"])
def test_a_share_that_is_as_many_pixels_is_the_same_split(rule: str) -> None:
    labels = tiny_labels()
    per_class = make_split(labels, rule, labels_per_class=18, patch_size=5)
    per_cent = make_split(labels, rule, labels_percent=5.0, patch_size=5)
    for part in ("train", "val", "test"):
        assert np.array_equal(getattr(per_class, part), getattr(per_cent, part))


def test_random_says_which_share_is_too_much() -> None:
    with pytest.raises(SplitError, match=r"labels_percent=99.9, but class 0 has 360 .* use at most 358 of them"):
        make_split(tiny_labels(), "random", labels_percent=99.9)
    with pytest.raises(SplitError, match=r"labels_percent=99 is more than most classes have .* use at most 355 per"):
        make_split(tiny_labels(), "block", labels_percent=99)


def test_block_holds_the_share_of_a_large_class_in_larger_windows() -> None:
    labels = np.full((120, 250), -1)
    labels[10:110, 10:110], labels[10:110, 140:240] = 0, 1
    # Four patches square hold 144 pixels, three of them 432.
    split = make_split(labels, "block", labels_percent=10, patch_size=3)
    assert np.bincount(labels.flat[split.train]).tolist() == [1000, 1000]
    assert leakage(split, labels.shape) == leakage(split, labels.shape, part="val") == 0
    assert split.test.size > 0.8 * 20000
    with pytest.raises(SplitError, match="no window of 12 x 12 holds 1000 to train"):
        make_split(labels, "block", labels_per_class=1000, patch_size=3)
