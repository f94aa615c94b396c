"""With transductive=False no held-out pixel reaches the fit: not its training, its statistics, nor the protocol's."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmark import METHODS, Scene, SplitSpec, Trial, fitting, plan_trial, run_group, run_trial
from benchmark.classifier import choose_classifier
from benchmark.memo import Memo
from benchmark.methods import _contrastive
from benchmark.planning import group_trials, split_of
from results import RunRecord
from tests.benchmark.entrants import SpyNone, tiny_params
from tests.scene_factory import tiny_scene

SCENE = tiny_scene()
SPLIT = SplitSpec(rule="block", labels_per_class=4, val_per_class=3, patch_size=5)
CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("entrants")


@pytest.fixture(autouse=True)
def fresh_memo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts as a fresh process does."""
    monkeypatch.setattr(fitting, "_MEMO", Memo(size=16))


def trial(
    method: str, params: dict[str, Any] | None = None, *, scene: Scene = SCENE, index: int = 0,
    transductive: bool = False, **options: Any,
) -> Trial:  # fmt: skip
    given = {**tiny_params(METHODS.get(method)), "transductive": transductive, **(params or {})}
    split = dataclasses.replace(SPLIT, index=index)
    return plan_trial(scene, method=method, params=given, **{"protocol": "linear", "split": split, **options})


def patch_pixels(pixel: int) -> set[int]:
    """The pixels of a 5 x 5 patch, the border mirrored, spelt out."""
    height, width = SCENE.labels.shape

    def mirrored(at: int, size: int) -> int:
        at = abs(at)
        return 2 * (size - 1) - at if at >= size else at

    row, column = divmod(pixel, width)
    window = range(-2, 3)
    return {mirrored(row + i, height) * width + mirrored(column + j, width) for i in window for j in window}


def changed(kind: str, *, val: bool = True) -> Scene:
    """The scene with other spectra at all test and, unless told, validation pixels, labels and all else the same."""
    cube = SCENE.cube.copy()
    split = split_of(SCENE, SPLIT)
    test = np.concatenate([split.test, split.val]) if val else split.test
    flat = cube.reshape(-1, cube.shape[2])
    generator = np.random.default_rng(0)
    values = {
        "noise": flat[test] + generator.normal(size=(len(test), 12)) * 3,
        "constant": np.full((len(test), 12), 500.0),
    }
    flat[test] = values[kind]
    return dataclasses.replace(SCENE, cube=cube)


def expected_pixels() -> NDArray[np.int64]:
    split = split_of(SCENE, SPLIT)
    held_out = {*split.test.tolist(), *split.val.tolist()}
    return np.array([pixel for pixel in range(SCENE.labels.size) if not patch_pixels(pixel) & held_out])


def test_the_fit_is_given_the_pixels_whose_patches_hold_no_held_out_pixel() -> None:
    SpyNone.pixels.clear()
    for transductive in (False, True):
        assert run_trial(trial("spy_none", transductive=transductive), SCENE).status == "ok"
    inductive, everything = SpyNone.pixels
    assert inductive.tolist() == expected_pixels().tolist()
    assert everything.tolist() == list(range(SCENE.labels.size))
    # The block rule leaves the training pixels among them.
    assert set(split_of(SCENE, SPLIT).train.tolist()) <= set(inductive.tolist())


CASES: list[tuple[str, dict[str, Any]]] = [
    ("raw_spectra", {}),
    ("nt_xent", {}),
    ("nt_xent", {"views": ["neighbour_pixel", "flip_rotate"], "view_options": {"neighbour_pixel": {"radius": 4}}}),
    ("mined_negatives", {"pseudolabels": "k_means"}),
    ("mined_negatives", {"pseudolabels": "k_means", "refresh_epochs": 0.05, "hardness": "frozen"}),
    ("mined_negatives", {"hardness": "spectral_angle", "bank_size": 20, "features": "spectra"}),
    ("prototypical", {"refresh_epochs": 0.05, "hardness": "frozen"}),
    ("mined_few_label", {}),
    ("mined_joint", {}),
    ("mined_negatives", {"hardness": "ema"}),
]


@pytest.mark.parametrize(("method", "params"), CASES, ids=[f"{name}-{params}" for name, params in CASES])
@pytest.mark.parametrize("kind", ["noise", "constant"])
def test_whatever_stands_at_the_held_out_pixels_the_fit_is_the_same(
    method: str, params: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: list[dict[str, torch.Tensor]] = []

    def spy(encoder: Any, head: Any, *given: Any, **options: Any) -> Any:
        curve = pretrain(encoder, head, *given, **options)
        weights.append({**encoder.state_dict(prefix="encoder."), **head.state_dict(prefix="head.")})
        return curve

    pretrain = _contrastive.pretrain
    monkeypatch.setattr(_contrastive, "pretrain", spy)
    other = changed(kind)
    fits = [fitting.fit_scene(trial(method, params, scene=scene), scene, CPU) for scene in (SCENE, other)]
    kept = expected_pixels()
    assert np.array_equal(fits[0].embedding[kept], fits[1].embedding[kept])
    assert not np.array_equal(fits[0].embedding, fits[1].embedding)
    if fits[0].scores is not None:
        assert fits[1].scores is not None
        assert np.array_equal(fits[0].scores[kept], fits[1].scores[kept])
    assert len(weights) == (0 if method == "raw_spectra" else 2)
    for name in weights[0] if weights else ():
        assert torch.equal(weights[0][name], weights[1][name]), name
    losses = [[point for point in fit.columns["curves"] if "loss" in point["name"]] for fit in fits]
    assert losses[0] == losses[1]
    assert fits[0].columns["diagnostics"].get("purity") == fits[1].columns["diagnostics"].get("purity")


@pytest.mark.parametrize("method", ["raw_spectra", "nt_xent", "mined_negatives"])
def test_a_transductive_fit_does_change(method: str) -> None:
    other = changed("noise")
    fits = [fitting.fit_scene(trial(method, transductive=True, scene=scene), scene, CPU) for scene in (SCENE, other)]
    kept = expected_pixels()
    assert not np.array_equal(fits[0].embedding[kept], fits[1].embedding[kept])


@pytest.mark.parametrize("method", ["raw_spectra", "nt_xent"])
@pytest.mark.parametrize("protocol", ["svm", "linear", "knn"])
def test_the_protocol_takes_its_statistics_from_the_same_pixels(method: str, protocol: str) -> None:
    split = split_of(SCENE, SPLIT)
    found = []
    # What is predicted of validation pixels is compared: these stay.
    for scene in (SCENE, changed("noise", val=False), changed("constant", val=False)):
        planned = trial(method, scene=scene, protocol=protocol)
        classifier = choose_classifier(planned, scene, fitting.fit_scene(planned, scene, CPU))
        read = classifier.rows[np.concatenate([split.train, split.val])]
        found.append((read, classifier.predict(split.val), classifier.chosen.parameters))
        record = run_trial(planned, scene)
        assert record.status == "ok"
        assert record.confusion_val == run_trial(trial(method, protocol=protocol), SCENE).confusion_val
    for read, predicted, parameters in found[1:]:
        assert np.array_equal(read, found[0][0])
        assert np.array_equal(predicted, found[0][1])
        assert parameters == found[0][2]


def test_the_record_says_which_it_was() -> None:
    for transductive in (True, False):
        record = run_trial(trial("nt_xent", transductive=transductive), SCENE)
        assert record.status == "ok", record.error
        assert record.transductive is transductive
        assert f'"transductive":{str(transductive).lower()}' in record.params_json


def test_splits_do_not_share_an_inductive_fit_but_a_transductive_one() -> None:
    for method in ("nt_xent", "raw_spectra", "mined_negatives"):
        for transductive, sizes in ((False, [2, 1]), (True, [3])):
            given = {"transductive": transductive}
            trials = [trial(method, **given), trial(method, index=1, **given), trial(method, protocol="knn", **given)]
            assert [len(group) for group in group_trials(trials)] == sizes


@pytest.mark.parametrize("method", ["nt_xent", "mined_negatives", "raw_spectra"])
def test_what_another_split_left_in_the_memo_is_not_taken(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fits(*which: tuple[int, bool]) -> list[NDArray[np.float32]]:
        monkeypatch.setattr(fitting, "_MEMO", Memo(size=64))
        planned = [trial(method, index=index, transductive=transductive) for index, transductive in which]
        return [fitting.fit_scene(one, SCENE, CPU).embedding for one in planned]

    wanted = [(0, True), (0, False), (1, False)]
    alone = [fits(one)[0] for one in wanted]
    assert not np.array_equal(alone[0], alone[1])
    assert not np.array_equal(alone[1], alone[2])
    for order in (wanted, wanted[::-1]):
        for one, found in zip(order, fits(*order), strict=True):
            assert np.array_equal(found, alone[wanted.index(one)])


@pytest.mark.parametrize("method", ["nt_xent", "raw_spectra", "mined_joint"])
def test_a_split_that_leaves_no_pixel_is_a_failed_record_in_one_line(method: str) -> None:
    # At random all but a few labelled pixels are tested on: every patch of the scene holds one.
    split = SplitSpec(rule="random", labels_per_class=4, val_per_class=3, patch_size=5)
    record: RunRecord = next(run_group([trial(method, split=split)], SCENE))
    assert (record.status, record.error_type) == ("failed", "SplitError")
    assert record.error is not None
    assert (
        "transductive=False leaves no pixel to train on: all patches of 5 x 5 hold a test or validation pixel"
        in record.error
    )
    assert "use a smaller patch_size or another rule" in record.error
    assert "\n" not in record.error
    assert run_trial(trial(method, split=split, transductive=True), SCENE).status == "ok"
