"""The splits that scenes are published with: what their files hold, and what a scene makes of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmark.files.file_search import FileSearch
from benchmark.fixed_split import FixedSplit
from benchmark.registries import SCENES
from benchmark.scenes.base import FixedSplitFiles, SceneCard, SceneFile, data_root
from hsicl_core.errors import SceneError
from tests.scene_factory import tiny_scene

# As counted in the files by the naive loop below and, for training and test, as published.
REAL = [
    ("indian_pines", "mini_gcn", (695, 9671), (26, 230)),
    ("pavia_university", "fixed", (3921, 40002), (1147, 0)),
    ("pavia_university", "fixed_2774", (2774, 40002), (0, 0)),
    ("houston_2013", "contest", (2832, 12197), (0, 0)),
]


@pytest.fixture
def card(tmp_path: Path) -> SceneCard:
    scene = tiny_scene()
    train, test = np.zeros((40, 48), dtype=np.uint8), np.zeros((40, 48), dtype=np.uint8)
    train[2:6, 2:6], test[25:30, 2:6] = 7, 9
    for name, array in (("cube", scene.cube), ("gt", scene.labels + 1), ("tr", train), ("ts", test)):
        np.save(tmp_path / f"{name}.npy", array)
    masks = {"train": SceneFile(path="tr.npy"), "test": SceneFile(path="ts.npy")}
    return SceneCard(
        name="fields",
        title="Fields",
        shape=(40, 48, 12),
        class_names=scene.class_names,
        class_counts=(360,) * 4,
        label_ids=(1, 2, 3, 4),
        files={"cube": SceneFile(path="cube.npy"), "labels": SceneFile(path="gt.npy")},
        source="the moon",
        credit="nobody",
        fixed_splits={
            "old": FixedSplitFiles(files=masks, classes={7: 0, 9: 2}, source="somebody", known_defects="few"),
            "lost": FixedSplitFiles(files={**masks, "val": SceneFile(path="no.npy")}, classes=None, source="nobody"),
        },
    )


def test_a_scene_has_the_fixed_splits_whose_files_are_at_hand(card: SceneCard, tmp_path: Path) -> None:
    scene = card.load(tmp_path)
    assert list(scene.fixed_splits) == ["old"]
    split = scene.fixed_splits["old"]
    assert np.array_equal(split.train, np.load(tmp_path / "tr.npy"))
    assert np.array_equal(split.test, np.load(tmp_path / "ts.npy"))
    assert (split.val, split.classes, split.known_defects) == (None, {7: 0, 9: 2}, "few")
    assert split.source.startswith("somebody; no identity of tr.npy is known")
    np.save(tmp_path / "no.npy", np.ones((40, 48), dtype=bool))
    assert card.load(tmp_path).fixed_splits["lost"].val.sum() == 40 * 48


def test_fixed_splits_are_no_part_of_the_hash(card: SceneCard, tmp_path: Path) -> None:
    scene = card.load(tmp_path)
    (tmp_path / "tr.npy").unlink()
    without = card.load(tmp_path)
    assert not without.fixed_splits
    assert without.hash == scene.hash


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((48, 40)),
        np.zeros((40, 48, 2)),
        np.full((40, 48), 0.5),
        np.full((40, 48), "x"),
        np.full((40, 48), np.nan),
    ],
)
def test_a_mask_that_is_none_is_refused_in_one_line(card: SceneCard, tmp_path: Path, mask: np.ndarray) -> None:
    np.save(tmp_path / "tr.npy", mask)
    with pytest.raises(SceneError, match=r"tr\.npy: holds .* must be whole numbers of shape \(40, 48\)") as caught:
        card.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_damaged_mask_is_named(card: SceneCard, tmp_path: Path) -> None:
    (tmp_path / "ts.npy").write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(SceneError, match=r"ts\.npy"):
        card.load(tmp_path)


def test_the_digest_is_of_the_pixels() -> None:
    train, test = np.eye(4, dtype=np.uint8), np.fliplr(np.eye(4, dtype=np.uint8)) * 3
    split = FixedSplit(train, test)
    assert len(bytes.fromhex(split.digest)) == 8
    # Another numbering, type or order in memory is the same split.
    assert FixedSplit(np.asfortranarray(train.astype(np.int64) * 5), test > 0, source="x").digest == split.digest
    more = train.copy()
    more[0, 3] = 1
    others = [
        FixedSplit(test, train), FixedSplit(more, test), FixedSplit(train, test, np.zeros_like(train)),
        FixedSplit(train.reshape(2, 8), test.reshape(2, 8)),
    ]  # fmt: skip
    assert len({split.digest, *(other.digest for other in others)}) == 5


@pytest.mark.parametrize(("scene", "name", "sizes", "n_unlabelled"), REAL)
def test_published_splits_hold_what_their_cards_say(
    scene: str, name: str, sizes: tuple[int, int], n_unlabelled: tuple[int, int]
) -> None:
    card: SceneCard = SCENES.get(scene)
    search = FileSearch(data_root())
    found = {role: card.find(role, search) for role in card.files if role != "cube"}
    split = card.load_fixed_splits(search).get(name)
    if split is None or None in found.values():
        pytest.skip(f"split or label map of {scene} is not in HSICL_DATA")
    # Unchanged, it is the known files.
    assert split.source == card.fixed_splits[name].source
    _, truth = card.assemble({"cube": None, **{role: file.read() for role, file in found.items()}})
    for mask, size, n_missing in zip((split.train, split.test), sizes, n_unlabelled, strict=True):
        there = [(int(mask[at]), int(truth[at])) for at in zip(*np.nonzero(mask), strict=True)]
        assert len(there) == size
        assert sum(label == 0 for _, label in there) == n_missing
        # Where both speak they agree: that the classes are named in the right order.
        assert all(card.label_ids[split.classes[raw]] == label for raw, label in there if label != 0)
        assert {raw for raw, _ in there} == set(split.classes)
    assert not (np.minimum(split.train, split.test) > 0).any()
    for n_missing in n_unlabelled:
        assert n_missing == 0 or str(n_missing) in split.known_defects


def test_replacing_a_scene_keeps_its_splits(card: SceneCard, tmp_path: Path) -> None:
    scene = card.load(tmp_path)
    assert dataclasses.replace(scene, name="other").fixed_splits == scene.fixed_splits
