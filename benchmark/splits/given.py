"""Fixed training and test maps, such as the ones that some scenes are published with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.pixel_order import hashed_order
from benchmark.split import Split
from benchmark.splits.base import SplitRule
from hsicl_core.errors import SplitError


class GivenSplitRule(SplitRule):
    """Takes the split as it comes. ``labels`` stays the truth: masks say where, not what."""

    def split(
        self, labels: NDArray[np.int64], *, labels_per_class: int, val_per_class: int, patch_size: int, seed: int,
        **masks: NDArray[np.generic],
    ) -> Split:  # fmt: skip
        """Return the pixels of the masks that ``labels`` knows, and count the others in ``Split.dropped``.

        Args:
            labels: (height, width), -1 = unlabelled.
            labels_per_class: has no meaning here; the training mask decides.
            val_per_class: validation pixels taken from the training mask per class where there is no ``val_mask``, at
                most half of the class's training pixels.
            patch_size: side of the patches, kept in the split for its leakage.
            seed: which training pixels become validation pixels.
            **masks: ``train_mask``, ``test_mask`` and, if wanted, ``val_mask``: maps (height, width) of booleans or of
                class ids, in which values > 0 select. Class ids are not read: published masks use ids of their own.

        Raises:
            SplitError: a mask is missing, unknown, of another shape, empty, or overlaps another.
        """
        wrong = sorted({"train_mask", "test_mask"} - set(masks)) + sorted(
            set(masks) - {"train_mask", "test_mask", "val_mask"}
        )
        if wrong:
            raise SplitError(
                "rule 'given' needs train_mask and test_mask and may take val_mask; "
                f"missing or unknown: {', '.join(wrong)}"
            )
        dropped: dict[str, int] = {}
        chosen = {name: _selected(name, masks[name], labels, dropped) for name in sorted(masks)}
        for first, second in (("train_mask", "test_mask"), ("train_mask", "val_mask"), ("val_mask", "test_mask")):
            common = np.intersect1d(chosen.get(first, []), chosen.get(second, []))
            if common.size:
                raise SplitError(
                    f"{first} and {second} have {common.size} pixels in common, they must be disjoint: "
                    f"clear them in one of the two (first: flat index {int(common[0])})"
                )
        train, test = chosen["train_mask"], chosen["test_mask"]
        if "val_mask" in chosen:
            val = chosen["val_mask"]
        else:
            val = _drawn_val(train, labels, val_per_class, seed)
            train = np.setdiff1d(train, val)
        present = {name: set(labels.flat[pixels].tolist()) for name, pixels in (("train", train), ("test", test))}
        unsupported = {}
        for label in np.unique(labels[labels >= 0]).tolist():
            absent = [name for name, seen in present.items() if label not in seen]
            if absent:
                unsupported[label] = f"the masks give it no {' and no '.join(absent)} pixel"
        train, val, test = (p[~np.isin(labels.flat[p], list(unsupported))] for p in (train, val, test))
        if 0 in (train.size, val.size, test.size):
            raise SplitError(
                f"the masks leave {train.size} train, {val.size} val and {test.size} test pixels, none may be empty: "
                "give masks that share their classes, with two training pixels of a class at least"
            )
        return Split(train, val, test, rule="given", patch_size=patch_size, unsupported=unsupported, dropped=dropped)


def _selected(
    name: str, mask: NDArray[np.generic], labels: NDArray[np.int64], dropped: dict[str, int]
) -> NDArray[np.int64]:
    mask = np.asarray(mask)
    if mask.shape != labels.shape or mask.dtype.kind not in "biuf":
        raise SplitError(
            f"{name} has shape {mask.shape} and dtype {mask.dtype}, it must be a map of numbers of shape "
            f"{labels.shape}: give the mask of the same image, untransposed"
        )
    pixels = np.flatnonzero(mask.astype(np.float64) > 0)
    known = labels.flat[pixels] >= 0
    if not known.all():
        dropped[f"{name}: unlabelled in the label map"] = int((~known).sum())
    return pixels[known]


def _drawn_val(train: NDArray[np.int64], labels: NDArray[np.int64], val_per_class: int, seed: int) -> NDArray[np.int64]:
    of_train = labels.flat[train]
    drawn = [np.empty(0, dtype=np.int64)]
    for label in np.unique(of_train):
        order = hashed_order(train[of_train == label], seed)
        drawn.append(order[: min(val_per_class, len(order) // 2)])
    return np.sort(np.concatenate(drawn))
