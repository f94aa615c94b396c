"""What must hold for every label map, checked by brute force on maps that Hypothesis draws."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmark.split import Split, covered_share, leakage, make_split
from benchmark.splits.base import MIN_TEST
from hsicl_core.errors import SplitError


@st.composite
def label_maps(draw: st.DrawFn) -> np.ndarray:
    """Maps of rectangular fields over background, some of them speckled, as irregular as real ones."""
    height, width = draw(st.integers(4, 40)), draw(st.integers(4, 40))
    labels = np.full((height, width), -1)
    for _ in range(draw(st.integers(1, 8))):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        bottom, right = draw(st.integers(top + 1, height)), draw(st.integers(left + 1, width))
        labels[top:bottom, left:right] = draw(st.integers(-1, 4))
    if draw(st.booleans()):
        speckle = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        hit = speckle.random(labels.shape) < 0.2
        labels[hit] = speckle.integers(-1, 5, size=int(hit.sum()))
    assume(labels.max() >= 0)
    return labels


def patch_pixels(pixel: int, shape: tuple[int, int], patch_size: int) -> set[int]:
    """The image's pixels in one patch as a method sees it, including what reflection at the edge repeats."""
    radius = patch_size // 2
    flat = np.arange(shape[0] * shape[1]).reshape(shape)
    padded = np.pad(flat, radius, mode="reflect")
    row, column = divmod(int(pixel), shape[1])
    return set(padded[row : row + patch_size, column : column + patch_size].ravel().tolist())


def covered(pixels: np.ndarray, shape: tuple[int, int], patch_size: int) -> set[int]:
    return set().union(*(patch_pixels(pixel, shape, patch_size) for pixel in pixels))


def asked(budget: Mapping[str, Any], count: int) -> int:
    """Training pixels of a class, in decimal arithmetic."""
    if "labels_per_class" in budget:
        return budget["labels_per_class"]
    share = Decimal(str(budget["labels_percent"])) * count / 100
    return max(1, int(share.quantize(Decimal(1), rounding=ROUND_HALF_UP)))


budgets = st.integers(1, 6)
percents = st.one_of(st.integers(1, 60), st.floats(0.01, 60).map(lambda percent: round(percent, 2)))
any_budget = st.one_of(
    st.builds(lambda n: {"labels_per_class": n}, budgets), st.builds(lambda p: {"labels_percent": p}, percents)
)
patch_sizes = st.sampled_from([1, 3, 5, 7, 9])


@pytest.mark.parametrize("rule", ["block", "buffered_random"])
@settings(deadline=None, max_examples=80)
@given(label_maps(), any_budget, budgets, patch_sizes, st.integers(0, 3))
def test_guarding_rules_keep_their_promises(
    rule: str, labels: np.ndarray, budget: dict[str, Any], n_val: int, patch_size: int, index: int
) -> None:
    arguments = {**budget, "val_per_class": n_val, "patch_size": patch_size, "index": index}
    try:
        split = make_split(labels, rule, **arguments)
    except SplitError:
        return
    parts = np.concatenate([split.train, split.val, split.test])
    assert len(np.unique(parts)) == len(parts)
    assert all((np.diff(part) > 0).all() for part in (split.train, split.val, split.test))

    classes = set(np.unique(labels[labels >= 0]).tolist())
    served = classes - set(split.unsupported)
    assert set(labels.flat[parts].tolist()) == served
    assert set(split.unsupported) <= classes
    assert set(split.unvalidated) < served
    assert all(split.unvalidated.values())
    for label in served:
        assert (labels.flat[split.train] == label).sum() == asked(budget, (labels == label).sum())
        n_validated = (labels.flat[split.val] == label).sum()
        assert (n_validated == 0) == (label in split.unvalidated)
        assert n_validated <= n_val
        assert (labels.flat[split.test] == label).sum() >= MIN_TEST

    shape = labels.shape
    by_train, by_val = covered(split.train, shape, patch_size), covered(split.val, shape, patch_size)
    assert not by_train & by_val
    seen = by_train | by_val
    assert not seen & covered(split.test, shape, patch_size)
    assert leakage(split, shape) == leakage(split, shape, part="val") == 0

    # The same by distances, without patches.
    places = [np.stack(np.divmod(part, shape[1]), axis=1) for part in (split.train, split.val, split.test)]
    for first, second in itertools.combinations(places, 2):
        assert abs(first[:, None] - second).max(axis=2).min() >= patch_size

    # No test pixel is given away without need: what is in no part meets a train or val patch.
    idle = np.setdiff1d(np.flatnonzero(np.isin(labels, list(served))), parts)
    assert all(seen & patch_pixels(pixel, shape, patch_size) for pixel in idle)
    assert_all_is_accounted_for(labels, split)

    again = make_split(labels.copy(), rule, **arguments)
    assert all(np.array_equal(getattr(split, part), getattr(again, part)) for part in ("train", "val", "test"))
    assert again.unvalidated == split.unvalidated


def assert_all_is_accounted_for(labels: np.ndarray, split: Split) -> None:
    n_parts = split.train.size + split.val.size + split.test.size
    n_unsupported = np.isin(labels, list(split.unsupported)).sum()
    assert n_parts + sum(split.dropped.values()) + n_unsupported == (labels >= 0).sum()


@settings(deadline=None, max_examples=80)
@given(label_maps(), any_budget, budgets, patch_sizes, st.integers(0, 3))
def test_buffered_random_trains_as_random_and_takes_for_validation_what_it_may_and_no_more(
    labels: np.ndarray, budget: dict[str, Any], n_val: int, patch_size: int, index: int
) -> None:
    arguments = {**budget, "val_per_class": n_val, "patch_size": patch_size, "index": index}
    try:
        split = make_split(labels, "buffered_random", **arguments)
    except SplitError:
        return
    shape, flat = labels.shape, labels.ravel()
    served = sorted(set(flat[split.train].tolist()))
    try:
        random = make_split(labels, "random", **arguments)
    except SplitError:
        pass
    else:
        assert np.array_equal(split.train, random.train[np.isin(flat[random.train], served)])

    by_train = covered(split.train, shape, patch_size)
    patches = {pixel: patch_pixels(pixel, shape, patch_size) for pixel in np.flatnonzero(np.isin(flat, served))}
    left = {k: sum(flat[pixel] == k and not by_train & patch for pixel, patch in patches.items()) for k in served}
    floor = {k: max(MIN_TEST, -(-left[k] // 2)) for k in served}
    kept = {k: int((flat[split.test] == k).sum()) for k in served}
    assert all(kept[k] >= floor[k] for k in served)
    for label in served:
        n_free = (flat == label).sum() - asked(budget, (flat == label).sum())
        if (flat[split.val] == label).sum() == min(n_val, n_free // 2):
            continue
        # It has fewer than wanted, so that any other pixel of it would take too much.
        for pixel in split.test[flat[split.test] == label]:
            lost = [k for k in served for other in split.test[flat[split.test] == k] if patches[pixel] & patches[other]]
            assert any(kept[k] - lost.count(k) < floor[k] for k in served)


@settings(deadline=None, max_examples=50)
@given(label_maps(), budgets, patch_sizes, st.integers(0, 3))
def test_leakage_counts_exactly_the_patches_that_meet(
    labels: np.ndarray, n_train: int, patch_size: int, index: int
) -> None:
    try:
        split = make_split(labels, "random", labels_per_class=n_train, patch_size=patch_size, index=index)
    except SplitError:
        return
    shape = labels.shape
    seen = covered(split.train, shape, patch_size)
    for part in ("test", "val"):
        meets = [bool(seen & patch_pixels(pixel, shape, patch_size)) for pixel in getattr(split, part)]
        assert leakage(split, shape, part=part) == np.mean(meets)
    train = set(split.train.tolist())
    inside = [bool(train & patch_pixels(pixel, shape, patch_size)) for pixel in split.test]
    assert covered_share(split, shape) == np.mean(inside)


@settings(deadline=None, max_examples=50)
@given(label_maps(), any_budget, budgets, st.integers(0, 3))
def test_random_gives_exact_counts_and_uses_every_labelled_pixel(
    labels: np.ndarray, budget: dict[str, Any], n_val: int, index: int
) -> None:
    classes, counts = np.unique(labels[labels >= 0], return_counts=True)
    wanted = [asked(budget, count) for count in counts]
    arguments = {**budget, "val_per_class": n_val, "index": index}
    lacking = [n_train + 2 - count for n_train, count in zip(wanted, counts, strict=True)]
    if max(lacking) > 0:
        worst = int(np.argmax(lacking))
        with pytest.raises(SplitError, match=f"class {classes[worst]} has {counts[worst]} labelled pixels"):
            make_split(labels, "random", **arguments)
        return
    split = make_split(labels, "random", **arguments)
    for label, count, n_train in zip(classes, counts, wanted, strict=True):
        n = [(labels.flat[part] == label).sum() for part in (split.train, split.val, split.test)]
        assert n[0] == n_train
        assert n[1] == min(n_val, (count - n_train) // 2)
        assert sum(n) == count
    parts = np.concatenate([split.train, split.val, split.test])
    assert np.array_equal(np.sort(parts), np.flatnonzero(labels.ravel() >= 0))


@settings(deadline=None, max_examples=50)
@given(label_maps(), budgets, patch_sizes, st.booleans(), st.integers(0, 2**32 - 1))
def test_given_accounts_for_every_pixel_of_map_and_masks(
    labels: np.ndarray, n_val: int, patch_size: int, has_val: bool, seed: int
) -> None:
    where = np.random.default_rng(seed).integers(0, 4, size=labels.shape)
    names = ("train_mask", "test_mask", "val_mask") if has_val else ("train_mask", "test_mask")
    masks = {name: np.where(where == k, 1 + labels % 3, 0) for k, name in enumerate(names)}
    try:
        split = make_split(labels, "given", val_per_class=n_val, patch_size=patch_size, **masks)
    except SplitError:
        return
    served = set(np.unique(labels[labels >= 0]).tolist()) - set(split.unsupported)
    parts = [set(part.tolist()) for part in (split.train, split.val, split.test)]
    for label in served:
        of_class = set(np.flatnonzero(labels == label).tolist())
        expected = [of_class & set(np.flatnonzero(mask).tolist()) for mask in masks.values()]
        n_drawn = 0 if has_val else min(n_val, len(expected[0]) // 2)
        found = [part & of_class for part in parts]
        assert found[2] == expected[1]
        assert found[1] == expected[2] if has_val else len(found[1]) == n_drawn
        assert found[0] | (found[1] if not has_val else set()) == expected[0]
        assert (label in split.unvalidated) == (not found[1])
    for name, mask in masks.items():
        n_unlabelled = int(((mask > 0) & (labels < 0)).sum())
        assert split.dropped.pop(f"{name}: unlabelled in the label map", 0) == n_unlabelled
    assert_all_is_accounted_for(labels, split)


@settings(deadline=None, max_examples=50)
@given(label_maps(), budgets, patch_sizes)
def test_random_draw_depends_on_the_map_and_the_index_only(labels: np.ndarray, n_train: int, patch_size: int) -> None:
    try:
        large = make_split(labels, "random", labels_per_class=n_train, patch_size=patch_size)
    except SplitError:
        return
    small = make_split(labels, "random", labels_per_class=1, val_per_class=1, patch_size=13)
    assert set(small.train.tolist()) <= set(large.train.tolist())
