"""The split rules on real label maps: no labelled pixel unaccounted for, no patch that meets another part's."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.leakage_table import NAMES, real_map
from benchmark.split import Split, leakage, make_split
from hsicl_core.errors import UserError

BLOCK_SERVES_ALL = ("pavia_university", "salinas", "ksc", "botswana", "trento")


def labels_of(name: str) -> np.ndarray:
    try:
        return real_map(name).labels
    except UserError as error:
        pytest.skip(f"{name} is not at hand: {error}")


def seen_by(pixels: np.ndarray, shape: tuple[int, int], patch_size: int) -> np.ndarray:
    """The pixels (n, patch * patch) that the patches see, what reflection at the edge repeats included."""
    radius = patch_size // 2
    image = np.pad(np.arange(shape[0] * shape[1]).reshape(shape), radius, mode="reflect")
    patches = np.lib.stride_tricks.sliding_window_view(image, (patch_size, patch_size))
    return patches[np.divmod(pixels, shape[1])].reshape(len(pixels), -1)


def leak_of(split: Split, shape: tuple[int, int], sources: tuple[str, ...], target: str) -> float:
    """The share of the target's patches that see a pixel which a patch of the sources sees."""
    touched = np.zeros(shape[0] * shape[1], dtype=bool)
    for source in sources:
        touched[seen_by(getattr(split, source), shape, split.patch_size)] = True
    return float(touched[seen_by(getattr(split, target), shape, split.patch_size)].any(axis=1).mean())


@pytest.mark.parametrize("budget", [{"labels_per_class": 10}, {"labels_percent": 1}], ids=["10 per class", "1 %"])
@pytest.mark.parametrize("rule", ["random", "buffered_random", "block"])
@pytest.mark.parametrize("name", NAMES)
def test_rules_on_real_maps(name: str, rule: str, budget: dict[str, float]) -> None:
    labels = labels_of(name)
    shape, flat = labels.shape, labels.ravel()
    split = make_split(labels, rule, patch_size=9, **budget)

    parts = np.concatenate([split.train, split.val, split.test])
    assert len(np.unique(parts)) == len(parts)
    n_labelled = np.bincount(flat[flat >= 0])
    served = np.setdiff1d(np.flatnonzero(n_labelled), list(split.unsupported))
    assert set(flat[parts].tolist()) == set(served.tolist())
    unsupported = n_labelled[list(split.unsupported)].sum()
    assert len(parts) + sum(split.dropped.values()) + unsupported == n_labelled.sum()

    n_train = np.bincount(flat[split.train], minlength=n_labelled.size)[served]
    asked = n_labelled[served] / 100 if "labels_percent" in budget else np.full(served.size, 10)
    assert (n_train == np.maximum(1, np.floor(asked + 0.5))).all()
    n_val = np.bincount(flat[split.val], minlength=n_labelled.size)
    assert set(np.flatnonzero(n_val[served] == 0)) == {served.tolist().index(label) for label in split.unvalidated}
    assert n_val.max() <= 10

    assert leak_of(split, shape, ("train",), "test") == leakage(split, shape)
    if rule == "random":
        assert leakage(split, shape) > 0
        assert not split.unsupported
        assert not split.dropped
    else:
        assert leak_of(split, shape, ("train", "val"), "test") == 0
        assert leak_of(split, shape, ("train",), "val") == 0
    if rule == "block" and name in BLOCK_SERVES_ALL and "labels_per_class" in budget:
        assert not split.unsupported
