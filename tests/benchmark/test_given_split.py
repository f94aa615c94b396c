"""The rule for published masks."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.array_files import list_arrays
from benchmark.scenes.base import data_root
from benchmark.split import make_split
from hsicl_core.errors import SplitError
from tests.scene_factory import tiny_labels


def counts(labels: np.ndarray, pixels: np.ndarray) -> list[int]:
    return np.bincount(labels.flat[pixels], minlength=labels.max() + 1).tolist()


def given_masks() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = tiny_labels()
    train, test = np.zeros_like(labels), np.zeros_like(labels)
    train[:, :24], test[:, 24:] = 1, 1
    train[labels < 0], test[labels < 0] = 0, 0
    return labels, train, test


def test_given_rule_takes_masks_whatever_ids_they_hold_and_draws_val_from_train() -> None:
    labels, train, test = given_masks()
    split = make_split(labels, "given", val_per_class=6, train_mask=train * 9, test_mask=test.astype(bool))
    assert np.array_equal(np.sort(np.concatenate([split.train, split.val])), np.flatnonzero(train))
    assert np.array_equal(split.test, np.flatnonzero(test))
    assert counts(labels, split.val) == [6] * 4
    other = make_split(labels, "given", val_per_class=6, index=1, train_mask=train, test_mask=test)
    assert not np.array_equal(split.val, other.val)


def test_given_rule_uses_a_val_mask() -> None:
    labels, train, test = given_masks()
    val = np.zeros_like(labels)
    val[:4] = train[:4]
    train[:4] = 0
    split = make_split(labels, "given", train_mask=train, test_mask=test, val_mask=val)
    assert np.array_equal(split.val, np.flatnonzero(val))
    assert np.array_equal(split.train, np.flatnonzero(train))


def test_given_rule_counts_masked_background_and_names_absent_classes() -> None:
    labels, train, test = given_masks()
    train[0, :3] = 5  # the map's border is unlabelled
    test[labels == 2] = 0
    split = make_split(labels, "given", train_mask=train, test_mask=test)
    assert split.dropped == {"train_mask: unlabelled in the label map": 3}
    assert split.unsupported == {2: "the masks give it no test pixel"}
    assert 2 not in labels.flat[np.concatenate([split.train, split.val, split.test])]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda m: m.update(test_mask=m["train_mask"]), "train_mask and test_mask have 720 pixels in common"),
        (lambda m: m.pop("test_mask"), "missing or unknown: test_mask"),
        (lambda m: m.update(mask=m["train_mask"]), "missing or unknown: mask"),
        (lambda m: m.update(train_mask=m["train_mask"].T), "must be a map of numbers of shape"),
        (lambda m: m.update(test_mask=0 * m["test_mask"]), "0 test pixels"),
    ],
)
def test_given_rule_refuses(break_it: object, message: str) -> None:
    labels, train, test = given_masks()
    masks = {"train_mask": train, "test_mask": test}
    break_it(masks)
    with pytest.raises(SplitError, match=message):
        make_split(labels, "given", **masks)


def label_map(name: str) -> np.ndarray:
    """The one array of a label file, ids as they are, 0 = unlabelled."""
    path = data_root() / "labels_only" / f"{name}.mat"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in HSICL_DATA")
    return list_arrays(path)[0].read().astype(int)


def test_published_pavia_split_with_its_background_pixels() -> None:
    truth, train, test = (label_map(name) for name in ("PaviaU_gt", "TRpaviaU_3921", "TSpaviaU"))
    split = make_split(truth - 1, "given", patch_size=9, train_mask=train, test_mask=test)
    assert split.dropped["train_mask: unlabelled in the label map"] == 1147
    assert split.train.size + split.val.size == 2774
