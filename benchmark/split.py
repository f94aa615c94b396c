"""Split: which labelled pixels train, validate and test, and how much they leak into each other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmark.label_budget import LabelBudget
from benchmark.registries import SPLIT_RULES
from benchmark.trial import derived_seed
from hsicl_core.errors import InvalidValueError, SplitError


@dataclass(frozen=True)
class Split:
    """Flat pixel indices (row * width + column) of the three parts, sorted and disjoint.

    Attributes:
        train: (n_train,) int64.
        val: (n_val,) int64.
        test: (n_test,) int64.
        rule: name of the rule that made it.
        patch_size: side in pixels of the patches it was made for.
        unsupported: class index -> reason, for classes that the rule could not serve; they are in no part.
        dropped: reason -> labelled or masked pixels that are in no part for this reason.
        unvalidated: class index -> reason, for classes that the rule could train and test, but not validate: they have
            no pixel in ``val``.
        noted: remark -> pixels that it holds for, wherever they are: masks of ``"given"`` that name another class.
    """

    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]
    rule: str
    patch_size: int
    unsupported: dict[int, str] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    unvalidated: dict[int, str] = field(default_factory=dict)
    noted: dict[str, int] = field(default_factory=dict)


def make_split(
    labels: NDArray[np.integer],
    rule: str = "block",
    labels_per_class: int = 10,
    patch_size: int = 13,
    index: int = 0,
    val_per_class: int = 10,
    labels_percent: float | None = None,
    **masks: Any,
) -> Split:
    """Divide the labelled pixels of a scene into train, validation and test.

    The seed depends on the label map, the rule and ``index`` only, so that every method sees the same split and one
    index means one draw at all label budgets.

    Args:
        labels: (height, width) integers, -1 = unlabelled, else class indices >= 0.
        rule: registered name: ``"block"`` (no two patches of different parts share a pixel), ``"random"`` (the field's
            habit, which leaks), ``"buffered_random"`` (the same training pixels, tested on only where nothing leaks) or
            ``"given"`` (fixed masks).
        labels_per_class: training pixels per class, >= 1; ``"given"`` takes what its masks hold.
        patch_size: side in pixels of the patches that the classifier will see, odd, >= 1.
        index: which of the rule's splits, >= 0.
        val_per_class: validation pixels per class, >= 1; fewer where a class is small, and none where a guarding rule
            finds no place for them (``Split.unvalidated``).
        labels_percent: training pixels in per cent of each class, above 0 and below 100, instead of
            ``labels_per_class``: to the nearest pixel, halves upwards, one at least.
        **masks: what the rule takes besides: ``fixed``, or ``train_mask`` and ``test_mask``, of ``"given"``.

    Returns:
        The split. The same arguments give the same split on every platform.

    Raises:
        InvalidValueError: an argument outside its range.
        SplitError: the label map is not one, or cannot support what is asked.
        UnknownNameError: no such rule.
    """
    for name, value, least in (
        ("labels_per_class", labels_per_class, 1),
        ("val_per_class", val_per_class, 1),
        ("patch_size", patch_size, 1),
        ("index", index, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise InvalidValueError(f"{name} must be a whole number >= {least}, got {name}={value!r}")
    if patch_size % 2 == 0:
        raise InvalidValueError(
            f"patch_size must be odd, so that a patch has a central pixel, got patch_size={patch_size}: "
            f"use {patch_size - 1} or {patch_size + 1}"
        )
    chosen = SPLIT_RULES.get(rule)
    labels = _checked_labels(labels)
    counts = np.bincount(labels[labels >= 0])
    budget = (
        LabelBudget.per_class(counts, int(labels_per_class))
        if labels_percent is None
        else LabelBudget.per_cent(counts, labels_percent)
    )
    # Rules are registered as classes.
    return chosen().split(
        labels,
        budget=budget,
        val_per_class=int(val_per_class),
        patch_size=int(patch_size),
        seed=derived_seed("split", _label_digest(labels), chosen.draws_as or rule, int(index)),
        **masks,
    )


def leakage(split: Split, shape: tuple[int, int], *, part: str = "test") -> float:
    """Return the share of test pixels whose patch has at least one pixel in common with a training patch.

    Patches are windows clipped to the image. Two clipped windows of radius r meet exactly where their centres are at
    most 2r apart in rows and in columns: clipping removes no common pixel, because both centres lie inside the image.
    Padding adds none either: at depth k beyond the edge, reflection repeats the pixel at depth k inside, and a window
    that reaches k beyond the edge reaches at least k inside it.

    Args:
        split: the split; its ``patch_size`` is the side of the patches.
        shape: (height, width) of the image.
        part: ``"test"``, or ``"val"`` for the share of validation pixels.

    Returns:
        A share in 0..1; 0 for a part without pixels.

    Raises:
        InvalidValueError: no such part.
    """
    if part not in ("test", "val"):
        raise InvalidValueError(f"part must be 'test' or 'val', got part={part!r}")
    pixels = split.test if part == "test" else split.val
    return _share_near_train(split, pixels, shape, reach=split.patch_size - 1)


def covered_share(split: Split, shape: tuple[int, int]) -> float:
    """Return the share of test pixels that have a training pixel inside their own patch, the milder usual number.

    Args:
        split: the split; its ``patch_size`` is the side of the patches.
        shape: (height, width) of the image.

    Returns:
        A share in 0..1; 0 for a split without test pixels.
    """
    return _share_near_train(split, split.test, shape, reach=split.patch_size // 2)


def within_reach(pixels: NDArray[np.int64], shape: tuple[int, int], reach: int) -> NDArray[np.bool_]:
    """Return the mask (height, width) of all pixels at most ``reach`` rows and columns from one of ``pixels``.

    Args:
        pixels: (n,) flat indices.
        shape: (height, width) of the image.
        reach: Chebyshev distance in pixels, >= 0.
    """
    mask = np.zeros(shape, dtype=np.uint8)
    mask.ravel()[pixels] = 1
    return ndimage.maximum_filter(mask, size=2 * reach + 1, mode="constant", cval=0).astype(bool)


def _share_near_train(split: Split, pixels: NDArray[np.int64], shape: tuple[int, int], reach: int) -> float:
    if pixels.size == 0:
        return 0.0
    return float(within_reach(split.train, shape, reach).ravel()[pixels].mean())


def _checked_labels(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise SplitError(
            f"labels have shape {labels.shape} and dtype {labels.dtype}, they must be a (height, width) map of whole "
            "numbers: use scene.labels"
        )
    if labels.size == 0 or labels.min() < -1 or labels.max() < 0 or labels.max() > 32767:
        extent = f"from {labels.min()} to {labels.max()}" if labels.size else "over nothing"
        raise SplitError(
            f"labels run {extent}, they must be -1 (unlabelled) or class indices 0..32767, with at least one labelled "
            "pixel: use scene.labels"
        )
    # No rule writes to it.
    return labels.astype(np.int64, copy=False)


def _label_digest(labels: NDArray[np.int64]) -> str:
    sha = hashlib.sha256(repr(labels.shape).encode())
    sha.update(np.ascontiguousarray(labels, dtype="<i2").data)
    return sha.hexdigest()
