"""The rule for published masks."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.files.array_files import list_arrays
from benchmark.fixed_split import FixedSplit
from benchmark.registries import SCENES
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


def test_given_rule_takes_a_fixed_split() -> None:
    labels, train, test = given_masks()
    val = np.zeros_like(labels)
    val[:4] = train[:4]
    train[:4] = 0
    for own_val in (None, val):
        fixed = FixedSplit(train=train * 9, test=test, val=own_val)
        found = make_split(labels, "given", val_per_class=6, fixed=fixed)
        masks = {} if own_val is None else {"val_mask": own_val}
        expected = make_split(labels, "given", val_per_class=6, train_mask=train, test_mask=test, **masks)
        for part in ("train", "val", "test"):
            assert np.array_equal(getattr(found, part), getattr(expected, part))
        assert not found.noted
    with pytest.raises(SplitError, match="got fixed=FixedSplit, train_mask: give one of the two"):
        make_split(labels, "given", fixed=fixed, train_mask=train)
    with pytest.raises(SplitError, match="got fixed=str: give"):
        make_split(labels, "given", fixed="contest")
    with pytest.raises(SplitError, match="rule 'block' takes no masks, got fixed"):
        make_split(labels, "block", fixed=fixed)


def test_given_rule_counts_pixels_of_another_class_and_keeps_them_as_the_map_has_them() -> None:
    labels, train, test = given_masks()
    to_id = np.array([40, 10, 30, 20])
    train, test = np.where(train > 0, to_id[labels], 0), np.where(test > 0, to_id[labels], 0)
    classes = {40: 0, 10: 1, 30: 2, 20: 3}
    plain = make_split(labels, "given", train_mask=train, test_mask=test)
    agreeing = make_split(labels, "given", train_mask=train, test_mask=test, classes=classes)
    assert not plain.noted
    assert not agreeing.noted
    test.flat[np.flatnonzero(test == 40)[:3]] = 10
    train.flat[np.flatnonzero(train == 20)[:2]] = 30
    train[0, 0] = 40  # unlabelled in the map: of no class, not of another
    split = make_split(labels, "given", train_mask=train, test_mask=test, classes=classes)
    assert split.noted == {
        "test_mask: of another class in the label map": 3,
        "train_mask: of another class in the label map": 2,
    }
    assert split.dropped == {"train_mask: unlabelled in the label map": 1}
    for part in ("train", "val", "test"):
        assert np.array_equal(getattr(split, part), getattr(plain, part))
    with pytest.raises(SplitError, match=r"test_mask holds the id 10, for which .* it has \[20, 30, 40"):
        make_split(labels, "given", train_mask=train, test_mask=test, classes={20: 3, 30: 2, 40: 0})


def test_given_rule_names_what_it_cannot_validate() -> None:
    labels, train, test = given_masks()
    of_two = np.flatnonzero((labels == 2) & (train > 0))
    val = np.zeros_like(labels)
    val[:4] = np.where(labels[:4] != 2, train[:4], 0)
    with_mask = make_split(labels, "given", train_mask=np.where(val, 0, train), test_mask=test, val_mask=val)
    assert list(with_mask.unvalidated) == sorted(set(range(4)) - set(labels[val > 0].tolist()))
    assert set(with_mask.unvalidated.values()) == {"the masks give it no validation pixel"}
    train.flat[of_two[1:]] = 0
    drawn = make_split(labels, "given", train_mask=train, test_mask=test)
    assert drawn.unvalidated == {2: "the train mask gives it 1 pixel, which trains"}
    assert counts(labels, drawn.train)[2] == 1
    assert drawn.dropped == {"labelled, but in no mask": len(of_two) - 1}


def label_ids(path: str) -> np.ndarray:
    """The one array of a label file, ids as they are, 0 = unlabelled."""
    file = data_root() / path
    if not file.is_file():
        pytest.skip(f"{path} is not in HSICL_DATA")
    return list_arrays(file)[0].read().astype(int)


def test_published_pavia_split_with_its_background_pixels() -> None:
    truth, train, test = (label_ids(f"labels_only/{name}.mat") for name in ("PaviaU_gt", "TRpaviaU_3921", "TSpaviaU"))
    classes = {mask_id: mask_id - 1 for mask_id in range(1, 10)}
    fixed = FixedSplit(train=train, test=test, classes=classes)
    split = make_split(truth - 1, "given", patch_size=9, fixed=fixed)
    assert split.dropped["train_mask: unlabelled in the label map"] == 1147
    assert split.train.size + split.val.size == 2774
    rest = label_ids("labels_only/TRpaviaU_2774_gt_subset.mat")
    assert np.array_equal(np.sort(np.concatenate([split.train, split.val])), np.flatnonzero(rest))
    assert not split.noted
    assert not split.unvalidated


def test_published_indian_pines_split_has_ids_of_its_own_and_pixels_that_the_map_leaves_unlabelled() -> None:
    labels = SCENES.get("indian_pines").load().labels
    train, test = (label_ids(f"IndianPines_splits/Indian{part}123_temp123.tif") for part in ("TR", "TE"))
    assert ((train > 0).sum(), (test > 0).sum()) == (695, 9671)
    usual = (2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16, 1, 7, 9)
    classes = {mask_id: usual_id - 1 for mask_id, usual_id in enumerate(usual, start=1)}
    split = make_split(labels, "given", patch_size=9, fixed=FixedSplit(train=train, test=test, classes=classes))
    # 96.3 % and 97.6 % of the masks agree with the map, counted elsewhere: all that is left is unlabelled there.
    n_train = split.train.size + split.val.size
    assert (n_train / 695, split.test.size / 9671) == pytest.approx((0.963, 0.976), abs=5e-4)
    assert split.dropped == {
        "test_mask: unlabelled in the label map": 9671 - split.test.size,
        "train_mask: unlabelled in the label map": 695 - n_train,
        "labelled, but in no mask": 10249 - n_train - split.test.size,
    }
    assert not split.noted
    assert not split.unsupported
    unmapped = FixedSplit(train=train, test=test, classes={k: k - 1 for k in range(1, 17)})
    wrong = make_split(labels, "given", patch_size=9, fixed=unmapped).noted
    assert wrong["train_mask: of another class in the label map"] == n_train


def test_published_houston_split() -> None:
    train, test = (label_ids(f"Houston2013_labels/{part}Label_map.mat") for part in ("TR", "TS"))
    fixed = FixedSplit(train=train, test=test, classes={k: k - 1 for k in range(1, 16)})
    split = make_split(train + test - 1, "given", fixed=fixed)
    assert (split.train.size + split.val.size, split.test.size, split.val.size) == (2832, 12197, 150)
    assert split.dropped == split.unsupported == split.unvalidated == split.noted == {}
