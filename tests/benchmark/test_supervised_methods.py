"""Methods that learn from labels: from the training pixels only, and scored by their own classifier."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import METHODS, InvalidValueError, Scene, SplitSpec, Trial, fitting, plan_trial, run_group, run_trial
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods.base import FitData
from benchmark.planning import group_trials, split_of
from hsicl_core.observing import SilentObserver
from results import RunRecord
from tests.benchmark.entrants import tiny_params
from tests.scene_factory import tiny_scene

SCENE = tiny_scene()
SPLIT = SplitSpec(rule="random", labels_per_class=6, val_per_class=3, patch_size=5)
# The one that contrasts too. Networks of labels alone: test_supervised_networks.py; all in tests/contracts/.
CLASSIFIERS = ["mined_joint"]
OTHERS = [name for name in METHODS.names() if not METHODS.get(name).classifies]
CPU = torch.device("cpu")

each = pytest.mark.parametrize("name", CLASSIFIERS)


@pytest.fixture(autouse=True)
def fresh_memo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_MEMO", Memo(size=16))


def trial(
    name: str, params: dict[str, Any] | None = None, *, scene: Scene = SCENE, index: int = 0, **given: Any
) -> Trial:
    split = dataclasses.replace(SPLIT, index=index)
    chosen = {**tiny_params(METHODS.get(name)), **(params or {})}
    return plan_trial(scene, method=name, params=chosen, **{"split": split, "protocol": "own_classifier", **given})


def accuracy(record: RunRecord) -> float:
    assert record.status == "ok", record.error
    confusion = np.array(record.confusion_test)
    return float(np.trace(confusion) / confusion.sum())


def test_what_classifies_has_seen_labels() -> None:
    names = [name for name in METHODS.names() if METHODS.get(name).classifies]
    assert {"mined_joint", "cnn_1d", "cnn_2d", "cnn_3d", "hybrid_sn", "ssrn"} <= set(names)
    assert {METHODS.get(name).sees_labels for name in names} <= {"train", "all"}


@each
def test_only_training_labels_reach_embedding_and_scores(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = trial(name)
    split = split_of(SCENE, planned.split)
    labels = SCENE.labels.reshape(-1).copy()
    for part in (split.val, split.test):
        labels[part] = (labels[part] + 1) % SCENE.n_classes
    other = dataclasses.replace(SCENE, labels=labels.reshape(SCENE.labels.shape))
    # A split depends on all labels; here both scenes have the same.
    monkeypatch.setattr(fitting, "split_of", lambda *_: split)
    first = fitting.fit_scene(planned, SCENE, CPU)
    second = fitting.fit_scene(trial(name, scene=other), other, CPU)
    assert np.array_equal(first.embedding, second.embedding)
    assert first.scores is not None
    assert np.array_equal(first.scores, second.scores)
    # Those that it may see do reach it.
    labels[split.train] = (labels[split.train] + 1) % SCENE.n_classes
    third = dataclasses.replace(SCENE, labels=labels.reshape(SCENE.labels.shape))
    found = fitting.fit_scene(trial(name, scene=third), third, CPU)
    assert not np.array_equal(first.scores, found.scores)
    assert not np.array_equal(first.embedding, found.embedding)


@each
def test_its_scores_are_scored_as_they_are(name: str) -> None:
    planned = trial(name)
    fitted = fitting.fit_scene(planned, SCENE, CPU)
    assert fitted.scores is not None
    assert fitted.scores.shape == (SCENE.labels.size, SCENE.n_classes)
    assert fitted.scores.dtype == np.float32
    split = split_of(SCENE, planned.split)
    record = run_trial(planned, SCENE, device="cpu")
    found = fitted.scores.argmax(axis=1)[split.test]
    expected = np.zeros((4, 4), dtype=int)
    np.add.at(expected, (SCENE.labels.reshape(-1)[split.test], found), 1)
    assert record.confusion_test == expected.tolist()
    assert record.chosen_json == "{}"
    assert record.sees_labels == "train"


@each
def test_with_some_steps_it_tells_the_classes(name: str) -> None:
    params = {"steps": 100, "learning_rate": 0.02, "n_components": 8, "contrastive_weight": 0.1}
    assert accuracy(run_trial(trial(name, params), SCENE)) > 0.8


@each
def test_protocols_share_its_fit_and_splits_do_not(name: str) -> None:
    trials = [trial(name), trial(name, protocol="linear"), trial(name, index=1)]
    assert [len(group) for group in group_trials(trials)] == [2, 1]
    own, linear = run_group(trials[:2], SCENE)
    assert own.status == linear.status == "ok"
    assert own.confusion_test != linear.confusion_test


@each
def test_the_classifier_is_counted(name: str) -> None:
    plain = run_trial(trial("mined_negatives", protocol="knn"), SCENE)
    assert plain.n_parameters
    # From 16 dimensions to 4 classes, and a bias each.
    assert run_trial(trial(name), SCENE).n_parameters == plain.n_parameters + 16 * 4 + 4


@each
def test_its_curves_tell_what_it_learnt(name: str) -> None:
    names = {point["name"] for point in run_trial(trial(name), SCENE).curves}
    assert {"loss", "cross_entropy"} <= names


@each
def test_one_label_of_one_class_is_enough(name: str) -> None:
    labels = torch.full((SCENE.labels.size,), -1)
    labels[500] = 2
    method = METHODS.get(name)(**tiny_params(METHODS.get(name)))
    fit = method.fit(given(labels))
    assert fit.classify is not None
    assert fit.classify(fit.embed()).shape == (SCENE.labels.size, 3)
    assert fit.classify(fit.embed()).isfinite().all()
    assert not fit.classify(fit.embed()).requires_grad


@each
def test_without_a_label_it_says_so(name: str) -> None:
    method = METHODS.get(name)(**{**tiny_params(METHODS.get(name)), "pseudolabels": "k_means"})
    with pytest.raises(InvalidValueError, match="no label may be seen, supervision needs at least one") as caught:
        method.fit(given(torch.full((SCENE.labels.size,), -1)))
    assert "\n" not in str(caught.value)


def given(labels: torch.Tensor) -> FitData:
    return FitData(
        cube=torch.from_numpy(SCENE.cube.copy()), pixels=torch.arange(SCENE.labels.size), labels=labels, seed=0,
        device=CPU, observer=SilentObserver(), memo=ScopedMemo(Memo()),
    )  # fmt: skip


@each
def test_labels_of_pixels_that_the_fit_is_not_given_are_not_learnt_from(name: str) -> None:
    truth = torch.from_numpy(SCENE.labels.reshape(-1).copy())
    shown = torch.full_like(truth, -1)
    shown[::17] = truth[::17]
    pixels = torch.nonzero(torch.arange(SCENE.labels.size) % 48 < 20)[:, 0]
    inside = torch.full_like(truth, -1)
    inside[pixels] = shown[pixels]
    # The same number of classes, so that the networks start from the same weights.
    assert inside.max() == shown.max()
    method = METHODS.get(name)(**tiny_params(METHODS.get(name)))
    fits = [method.fit(dataclasses.replace(given(labels), pixels=pixels)) for labels in (shown, inside)]
    assert torch.equal(fits[0].embed(), fits[1].embed())


@pytest.mark.parametrize("name", OTHERS)
def test_a_method_that_does_not_classify_is_refused_at_planning(name: str) -> None:
    with pytest.raises(InvalidValueError, match=f"'own_classifier' reads scores.*'{name}' does not") as caught:
        trial(name)
    assert "\n" not in str(caught.value)


def test_a_method_that_promised_scores_and_gave_none_is_a_failed_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS.get("raw_spectra"), "classifies", True)
    record = run_trial(trial("raw_spectra"), SCENE)
    assert (record.status, record.error_type) == ("failed", "InvalidValueError")
    assert re.search("'raw_spectra' gave no scores: choose another protocol", record.error or "")
