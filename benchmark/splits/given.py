"""Fixed training and test maps, such as the ones that some scenes are published with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.fixed_split import FixedSplit
from benchmark.label_budget import LabelBudget
from benchmark.pixel_order import hashed_order
from benchmark.split import Split
from benchmark.splits.base import SplitRule
from hsicl_core.errors import SplitError

NEEDED = {"train_mask", "test_mask"}


class GivenSplitRule(SplitRule):
    """Takes the split as it comes. ``labels`` stays the truth: masks say where, not what.

    A pixel whose mask names another class than ``labels`` keeps its place and the class of ``labels``: to drop it would
    test on other pixels than everyone who uses the published split, to believe it would train on what another edition
    of the ground truth says. ``Split.noted`` says how many there are.
    """

    takes_masks: ClassVar[bool] = True

    def split(
        self, labels: NDArray[np.int64], *, budget: LabelBudget, val_per_class: int, patch_size: int, seed: int,
        **masks: Any,
    ) -> Split:  # fmt: skip
        """Return the pixels of the masks that ``labels`` knows, and count the others in ``Split.dropped``.

        Args:
            labels: (height, width), -1 = unlabelled.
            budget: has no meaning here; the training mask decides.
            val_per_class: validation pixels taken from the training mask per class where there is no ``val_mask``, at
                most half of the class's training pixels.
            patch_size: side of the patches, kept in the split for its leakage.
            seed: which training pixels become validation pixels.
            **masks: ``fixed``, a ``FixedSplit``; or its parts: ``train_mask``, ``test_mask`` and, if wanted,
                ``val_mask``, maps (height, width) of booleans or of class ids, in which values > 0 select, and
                ``classes``, class index by the masks' ids. Published masks use ids of their own: they are read only to
                count where they differ from ``labels``, and only with ``classes``.

        Raises:
            SplitError: a mask is missing, unknown, of another shape, empty, or overlaps another, or ``classes`` lacks
                one of its ids.
        """
        if "fixed" in masks:
            fixed = masks.pop("fixed")
            if masks or not isinstance(fixed, FixedSplit):
                got = ", ".join([f"fixed={type(fixed).__name__}", *masks])
                raise SplitError(f"rule 'given' takes a FixedSplit as fixed, or masks, got {got}: give one of the two")
            masks = {f"{part}_mask": getattr(fixed, part) for part in ("train", "test", "val")}
            masks["classes"] = fixed.classes
        masks = {name: value for name, value in masks.items() if value is not None}
        classes = masks.pop("classes", None)
        if wrong := sorted(NEEDED - set(masks)) + sorted(set(masks) - NEEDED - {"val_mask"}):
            raise SplitError(
                "rule 'given' needs train_mask and test_mask and may take val_mask and classes, or takes fixed; "
                f"missing or unknown: {', '.join(wrong)}"
            )
        dropped: dict[str, int] = {}
        noted: dict[str, int] = {}
        chosen = {}
        for name in sorted(masks):
            chosen[name], n_unlabelled, n_other = _selected(name, masks[name], labels, classes)
            if n_unlabelled:
                dropped[f"{name}: unlabelled in the label map"] = n_unlabelled
            if n_other:
                noted[f"{name}: of another class in the label map"] = n_other
        for first, second in (("train_mask", "test_mask"), ("train_mask", "val_mask"), ("val_mask", "test_mask")):
            common = np.intersect1d(chosen.get(first, []), chosen.get(second, []))
            if common.size:
                raise SplitError(
                    f"{first} and {second} have {common.size} pixels in common, they must be disjoint: "
                    f"clear them in one of the two (first: flat index {int(common[0])})"
                )
        train, test = chosen["train_mask"], chosen["test_mask"]
        val = chosen.get("val_mask")
        why_none = "the masks give it no validation pixel"
        if val is None:
            why_none = "the train mask gives it 1 pixel, which trains"
            val = _drawn_val(train, labels, val_per_class, seed)
            train = np.setdiff1d(train, val, assume_unique=True)
        n_labelled = np.bincount(labels[labels >= 0])
        n_parts = {
            name: np.bincount(labels.ravel()[pixels], minlength=n_labelled.size)
            for name, pixels in (("train", train), ("test", test), ("val", val))
        }
        unsupported, unvalidated = {}, {}
        for label in np.flatnonzero(n_labelled).tolist():
            absent = [name for name in ("train", "test") if not n_parts[name][label]]
            if absent:
                unsupported[label] = f"the masks give it no {' and no '.join(absent)} pixel"
            elif not n_parts["val"][label]:
                unvalidated[label] = why_none
        train, val, test = (p[~np.isin(labels.ravel()[p], list(unsupported))] for p in (train, val, test))
        if 0 in (train.size, val.size, test.size):
            raise SplitError(
                f"the masks leave {train.size} train, {val.size} val and {test.size} test pixels, none may be empty: "
                "give masks that share their classes, with two training pixels of a class at least"
            )
        n_served = int(n_labelled.sum() - n_labelled[list(unsupported)].sum())
        if n_unmasked := n_served - train.size - val.size - test.size:
            dropped["labelled, but in no mask"] = n_unmasked
        return Split(
            train, val, test, rule="given", patch_size=patch_size,
            unsupported=unsupported, dropped=dropped, unvalidated=unvalidated, noted=noted,
        )  # fmt: skip


def _selected(
    name: str, mask: Any, labels: NDArray[np.int64], classes: Mapping[int, int] | None
) -> tuple[NDArray[np.int64], int, int]:
    """Return the mask's labelled pixels, the number of the others, and how many labelled ones are of another class."""
    mask = np.asarray(mask)
    if mask.shape != labels.shape or mask.dtype.kind not in "biuf":
        raise SplitError(
            f"{name} has shape {mask.shape} and dtype {mask.dtype}, it must be a map of numbers of shape "
            f"{labels.shape}: give the mask of the same image, untransposed"
        )
    pixels = np.flatnonzero(mask > 0)
    truth = labels.ravel()[pixels]
    n_other = 0
    if classes is not None:
        ids, which = np.unique(mask.ravel()[pixels], return_inverse=True)
        if unknown := [mask_id for mask_id in ids.tolist() if mask_id not in classes]:
            raise SplitError(
                f"{name} holds the id {unknown[0]:g}, for which classes has no class, it has {sorted(classes)}: "
                "name the class of every id"
            )
        named = np.array([classes[mask_id] for mask_id in ids.tolist()], dtype=np.int64)
        n_other = int(((truth >= 0) & (named[which] != truth)).sum())
    return pixels[truth >= 0], int((truth < 0).sum()), n_other


def _drawn_val(train: NDArray[np.int64], labels: NDArray[np.int64], val_per_class: int, seed: int) -> NDArray[np.int64]:
    of_train = labels.flat[train]
    drawn = [np.empty(0, dtype=np.int64)]
    for label in np.unique(of_train):
        order = hashed_order(train[of_train == label], seed)
        drawn.append(order[: min(val_per_class, len(order) // 2)])
    return np.sort(np.concatenate(drawn))
