"""The rule ``buffered_random`` on hand-made maps."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.label_budget import LabelBudget
from benchmark.pixel_order import hashed_order
from benchmark.split import Split, leakage, make_split
from benchmark.splits.base import MIN_TEST
from benchmark.splits.buffered_random import BufferedRandomSplitRule
from hsicl_core.errors import SplitError
from tests.scene_factory import tiny_labels


def of_class(labels: np.ndarray, pixels: np.ndarray, label: int) -> list[int]:
    return pixels[labels.flat[pixels] == label].tolist()


def test_trains_on_the_pixels_of_random_and_tests_on_what_is_left_of_its_test_pixels() -> None:
    labels = tiny_labels(80, 96)
    for index in range(3):
        guarded, plain = (make_split(labels, rule, patch_size=5, index=index) for rule in ("buffered_random", "random"))
        assert np.array_equal(guarded.train, plain.train)
        assert set(guarded.test) < set(plain.test) | set(plain.val)
        assert leakage(plain, labels.shape) > 0
        assert leakage(guarded, labels.shape) == leakage(guarded, labels.shape, part="val") == 0
        assert guarded.rule == "buffered_random"


def test_validates_with_the_pixels_of_random_that_do_not_leak_then_with_the_next_ones() -> None:
    labels = tiny_labels(80, 96)
    guarded, plain = (make_split(labels, rule, patch_size=5) for rule in ("buffered_random", "random"))
    assert [len(of_class(labels, guarded.val, label)) for label in range(4)] == [10] * 4
    rows, columns = np.divmod(guarded.train, 96)

    def meets(pixel: int) -> bool:
        row, column = divmod(pixel, 96)
        return bool((np.maximum(abs(rows - row), abs(columns - column)) < 5).any())

    for label in range(4):
        kept = {pixel for pixel in of_class(labels, plain.val, label) if not meets(pixel)}
        assert kept <= set(of_class(labels, guarded.val, label))
        assert len(kept) < 10


def split_with(labels: np.ndarray, seed: int, n_train: int, patch_size: int, n_val: int = 1) -> Split:
    counts = np.bincount(labels[labels >= 0])
    return BufferedRandomSplitRule().split(
        labels, budget=LabelBudget.per_class(counts, n_train), val_per_class=n_val, patch_size=patch_size, seed=seed
    )


def test_a_class_given_up_frees_what_it_took_from_another() -> None:
    # Class 1 lies within reach of all of class 0 and is itself too small to be tested beside its own training pixel.
    labels = np.full((1, 300), -1)
    labels[0, :40], labels[0, 40:48], labels[0, 100:200] = 0, 1, 2
    alone = labels.copy()
    alone[labels == 1] = -1
    with_it, without = (split_with(each, 7, 1, 15) for each in (labels, alone))
    assert list(with_it.unsupported) == [1]
    assert "of its 8 pixels are 15 pixels from all training pixels, 5 are needed to test" in with_it.unsupported[1]
    assert with_it.test.tolist() == without.test.tolist()
    assert with_it.train.tolist() == without.train.tolist()


def test_classes_are_given_up_one_at_a_time_so_that_the_rest_may_stay() -> None:
    labels = np.full((1, 300), -1)
    labels[0, :40:2], labels[0, 1:40:2], labels[0, 100:200] = 0, 1, 2
    even, odd = np.arange(0, 40, 2), np.arange(1, 40, 2)
    # Both train in the same field, 0 to its left and 1 to its right: together they leave nothing of it, either alone
    # would leave enough.
    seed = next(s for s in range(9999) if hashed_order(even, s)[0] == 10 and hashed_order(odd, s)[0] == 29)
    split = split_with(labels, seed, 1, 13)
    assert list(split.unsupported) == [0]
    assert "only 0 of its 20 pixels" in split.unsupported[0]
    assert of_class(labels, split.train, 1) == [29]
    assert len(of_class(labels, np.concatenate([split.test, split.val]), 1)) >= MIN_TEST


def test_validation_takes_at_most_half_of_what_training_leaves() -> None:
    labels = np.full((1, 400), -1)
    labels[0, :40], labels[0, 100:140], labels[0, 200:240] = 0, 1, 2
    split = split_with(labels, 11, 1, 9, n_val=20)
    for label in range(3):
        pixels = np.flatnonzero(labels.ravel() == label)
        left = int((np.abs(pixels[:, None] - of_class(labels, split.train, label)).min(axis=1) >= 9).sum())
        n_test = len(of_class(labels, split.test, label))
        assert n_test >= left / 2
        # And it takes what it may: 20 would fit in less than half of these pixels, were it not for their guards.
        assert 1 <= len(of_class(labels, split.val, label)) < 20


def test_names_what_it_cannot_validate() -> None:
    labels = np.full((3, 300), -1)
    labels[0, :12] = 0  # trains on one of 12: at most 7 are left, of which any takes more than half with a reach of 4
    labels[2, 100:300] = 1
    seed = next(s for s in range(99) if hashed_order(np.arange(12), s)[0] in (0, 11))
    split = split_with(labels, seed, 1, 5)
    assert split.unvalidated == {
        0: "the guard around any of its 7 pixels that are 5 pixels from all training pixels would leave a class less "
        "than half of its test pixels, or fewer than 5"
    }
    assert of_class(labels, split.val, 0) == []
    labels[2, 112:] = -1
    with pytest.raises(SplitError, match=r"can serve . of 2 classes|validate none"):
        split_with(labels, seed, 1, 5)


def test_refuses_patches_that_leave_less_than_two_classes() -> None:
    with pytest.raises(SplitError, match=r"can serve [01] of 4 classes with .* and patch_size=41.*rule='block'"):
        make_split(tiny_labels(), "buffered_random", patch_size=41)


def test_a_class_with_too_few_pixels_is_named_and_not_an_error() -> None:
    labels = tiny_labels(80, 96)
    labels[0, :9] = 4
    split = make_split(labels, "buffered_random", labels_per_class=5, patch_size=5)
    assert split.unsupported == {4: "only 9 pixels, but 5 train and 5 test pixels are needed"}


def test_takes_no_masks() -> None:
    with pytest.raises(SplitError, match="rule 'buffered_random' takes no masks, got train_mask"):
        make_split(tiny_labels(), "buffered_random", train_mask=tiny_labels())
