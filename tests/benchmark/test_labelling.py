"""Methods that label before they mine: the source gets what it declares and no more, and options reach the labels."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import METHODS, InvalidValueError, SplitSpec, Trial, UnknownNameError, plan_trial, run_trial
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods._labelling import LabellingMethod
from benchmark.methods.base import FitData
from benchmark.methods.mined_few_label import MinedFewLabel
from benchmark.methods.mined_negatives import MinedNegatives
from benchmark.planning import group_trials, split_of
from hsicl_core import KMeansPseudoLabeler
from hsicl_core.observing import SilentObserver
from hsicl_core.preprocessing import principal_components, standardize, window_mean
from hsicl_core.pseudolabels.super_pixels import SuperPixelPseudoLabeler
from hsicl_core.registries import PSEUDO_LABELERS
from tests.benchmark.entrants import tiny_params
from tests.scene_factory import tiny_scene

SCENE = tiny_scene()
TRUTH = torch.from_numpy(SCENE.labels.reshape(-1).copy()).long()
SPLIT = SplitSpec(rule="random", labels_per_class=5, val_per_class=3, patch_size=5)
LABEL_FREE = [name for name in PSEUDO_LABELERS.names() if PSEUDO_LABELERS.get(name).sees_labels == "none"]
SEEING = [name for name in PSEUDO_LABELERS.names() if name not in LABEL_FREE]


def make(kind: type[LabellingMethod] = MinedNegatives, **params: Any) -> LabellingMethod:
    return kind(**{**tiny_params(kind), **params})


def data(*, labels: Tensor | None = None, seed: int = 0, memo: ScopedMemo | None = None) -> FitData:
    """Return what a fit is given; no label is shown unless given."""
    return FitData(
        cube=torch.from_numpy(SCENE.cube.copy()), pixels=torch.arange(len(TRUTH)),
        labels=torch.full_like(TRUTH, -1) if labels is None else labels, seed=seed,
        device=torch.device("cpu"), observer=SilentObserver(), memo=memo or ScopedMemo(Memo()),
    )  # fmt: skip


def labels_of(method: LabellingMethod, given: FitData | None = None) -> Tensor:
    given = given or data()
    return method.label(given, standardize(given.cube, given.pixels)).labels


def few_labels(index: int = 0) -> Tensor:
    train = torch.from_numpy(split_of(SCENE, dataclasses.replace(SPLIT, index=index)).train)
    shown = torch.full_like(TRUTH, -1)
    shown[train] = TRUTH[train]
    return shown


def trial(method: str, params: dict[str, Any] | None = None, *, index: int = 0, seed: int = 0) -> Trial:
    given = {**tiny_params(METHODS.get(method)), **(params or {})}
    split = dataclasses.replace(SPLIT, index=index)
    return plan_trial(SCENE, method=method, params=given, protocol="knn", split=split, seed=seed)


def test_the_default_is_k_means_on_the_window_means_of_whitened_components() -> None:
    assert (MinedNegatives().pseudolabels, MinedNegatives().features) == ("k_means", "whitened_pca")
    given = data(seed=4)
    image = standardize(given.cube, given.pixels)
    components = principal_components(image, given.pixels, 4, whiten=True)
    expected = KMeansPseudoLabeler(n_clusters=6, seed=4).fit(window_mean(components, 5).flatten(0, 1)).labels_
    assert torch.equal(labels_of(make(), given), expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("spectra", lambda image, pixels: image),
        ("pca", lambda image, pixels: principal_components(image, pixels, 4)),
        ("whitened_pca", lambda image, pixels: principal_components(image, pixels, 4, whiten=True)),
    ],
)
@pytest.mark.parametrize("window", [1, 3])
def test_the_features_are_those_named(name: str, expected: Any, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def spy(self: KMeansPseudoLabeler, features: Tensor) -> KMeansPseudoLabeler:
        seen.append(features.clone())
        return fit(self, features)

    fit = KMeansPseudoLabeler.fit
    monkeypatch.setattr(KMeansPseudoLabeler, "fit", spy)
    given = data()
    labels_of(make(features=name, cluster_window=window), given)
    image = standardize(given.cube, given.pixels)
    assert torch.equal(seen[0], window_mean(expected(image, given.pixels), window).flatten(0, 1))


@pytest.mark.parametrize("name", LABEL_FREE)
def test_every_source_that_sees_no_label_can_be_mined_by(name: str) -> None:
    options: dict[str, Any] = {"pseudolabels": name}
    if "n_superpixels" in inspect.signature(PSEUDO_LABELERS.get(name)).parameters:
        pytest.importorskip("skimage")
        options["pseudolabel_options"] = {"n_superpixels": 60}
    record = run_trial(trial("mined_negatives", options), SCENE)
    assert record.status == "ok", record.error
    assert record.sees_labels == "none"
    assert name in record.params_json


def test_superpixels_are_given_rows_and_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def spy(self: SuperPixelPseudoLabeler, features: Tensor, *, positions: Tensor) -> SuperPixelPseudoLabeler:
        seen.append(positions.tolist())
        self.labels_ = torch.zeros(len(features), dtype=torch.int64)
        self.confidence_ = torch.ones(len(features))
        return self

    monkeypatch.setattr(SuperPixelPseudoLabeler, "fit", spy)
    given = dataclasses.replace(data(), pixels=torch.tensor([0, 47, 48, 1919]))
    found = make(pseudolabels="super_pixels").label(given, given.cube).labels
    # The scene is 40 x 48.
    assert seen == [[[0, 0], [0, 47], [1, 0], [39, 47]]]
    assert found.shape == (4,)


@pytest.mark.parametrize("name", SEEING)
def test_a_source_that_sees_labels_is_refused_where_the_method_may_not(name: str) -> None:
    with pytest.raises(InvalidValueError, match=f"pseudolabels='{name}' sees labels.*may see none") as caught:
        trial("mined_negatives", {"pseudolabels": name})
    assert "\n" not in str(caught.value)


def test_training_labels_do_not_open_the_way_to_all() -> None:
    with pytest.raises(
        InvalidValueError, match=r"pseudolabels='oracle' sees labels \(all\), this method may see train"
    ):
        make(MinedFewLabel, pseudolabels="oracle")
    assert make(MinedFewLabel, pseudolabels="k_means").sees_labels == "train"


def test_few_labels_keep_what_is_known_and_tell_the_rest() -> None:
    shown = few_labels()
    found = labels_of(make(MinedFewLabel, n_components=8), data(labels=shown))
    known = shown >= 0
    assert int(known.sum()) == 20
    assert torch.equal(found[known], shown[known])
    hidden = (TRUTH >= 0) & ~known
    assert float((found[hidden] == TRUTH[hidden]).double().mean()) > 0.9
    sure = make(MinedFewLabel, pseudolabel_options={"min_confidence": 0.95})
    assert 0 < int((labels_of(sure, data(labels=shown)) == -1).sum()) < len(TRUTH) - 20


def test_splits_that_share_a_memo_do_not_share_few_labels() -> None:
    memo = ScopedMemo(Memo())
    method = make(MinedFewLabel)
    alone = [labels_of(method, data(labels=few_labels(index))) for index in (0, 1)]
    together = [labels_of(method, data(labels=few_labels(index), memo=memo)) for index in (0, 1, 0)]
    assert not torch.equal(*alone)
    for index, found in zip((0, 1, 0), together, strict=True):
        assert torch.equal(found, alone[index])


def test_a_few_label_fit_belongs_to_its_split() -> None:
    trials = [trial("mined_few_label", {"n_components": 8}, index=index) for index in (0, 1)]
    assert [len(group) for group in group_trials(trials)] == [1, 1]
    assert [len(group) for group in group_trials([trial("mined_negatives", index=index) for index in (0, 1)])] == [2]
    record = run_trial(trials[0], SCENE)
    assert record.status == "ok", record.error
    assert record.sees_labels == "train"
    assert record.diagnostics["pair_precision"] > 0.8


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_noise_replaces_its_share_and_shares_the_clustering(share: float) -> None:
    memo = ScopedMemo(Memo())
    clean = labels_of(make(), data(memo=memo)).clone()
    noisy = labels_of(make(label_noise=share), data(memo=memo))
    n_names = len(clean.unique())
    changed = float((noisy != clean).double().mean())
    assert changed == pytest.approx(share * (1 - 1 / n_names), abs=0.03)
    # What is shared stays clean.
    assert torch.equal(labels_of(make(), data(memo=memo)), clean)
    if share:
        again, other = (labels_of(make(label_noise=share), data(seed=seed)) for seed in (0, 1))
        assert torch.equal(again, noisy)
        assert not torch.equal(other, noisy)


@pytest.mark.parametrize(
    "change",
    [
        {"features": "pca"}, {"features": "spectra"}, {"cluster_window": 1}, {"n_clusters": 5}, {"n_components": 3},
        {"pseudolabels": "mini_batch_k_means"}, {"pseudolabel_options": {"max_iter": 1}}, {"label_noise": 0.5},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_changes_the_labels_is_not_taken_from_the_memo(change: dict[str, Any]) -> None:
    memo = ScopedMemo(Memo())
    usual = labels_of(make(), data(memo=memo)).clone()
    changed = make(**change)
    assert not torch.equal(labels_of(changed, data(memo=memo)), usual)
    assert torch.equal(labels_of(changed, data(memo=memo)), labels_of(changed))


def test_confidence_comes_from_the_source_and_is_shared_with_its_labels() -> None:
    memo = ScopedMemo(Memo())
    given = data(memo=memo)
    image = standardize(given.cube, given.pixels)
    found = make().label(given, image)
    source = KMeansPseudoLabeler(n_clusters=6, seed=0).fit(make().features_of(given, image))
    assert torch.equal(found.confidence, source.confidence_)
    assert torch.equal(make(label_noise=0.5).label(given, image).confidence, source.confidence_)
    assert found.relabel is found.refresh_epochs is None


def test_a_refresh_labels_the_embeddings_that_it_is_given() -> None:
    embeddings = torch.randn(len(TRUTH), 3, generator=torch.Generator().manual_seed(0))
    for seed in (0, 4):
        given = data(seed=seed)
        found = make(refresh_epochs=0.5).label(given, standardize(given.cube, given.pixels))
        assert found.refresh_epochs == 0.5
        assert torch.equal(found.labels, labels_of(make(), given))
        source = KMeansPseudoLabeler(n_clusters=6, seed=seed).fit(embeddings)
        labels, confidence = found.relabel(embeddings)
        assert torch.equal(labels, source.labels_)
        assert torch.equal(confidence, source.confidence_)
        noisy = make(refresh_epochs=0.5, label_noise=0.3).label(given, given.cube).relabel(embeddings)[0]
        assert 0.2 < float((noisy != labels).double().mean()) < 0.3


def test_few_labels_are_learnt_anew_from_the_embeddings() -> None:
    shown = few_labels()
    given = data(labels=shown)
    found = make(MinedFewLabel, refresh_epochs=1.0).label(given, standardize(given.cube, given.pixels))
    labels, _ = found.relabel(torch.eye(4)[TRUTH.clamp(min=0)])
    labelled = TRUTH >= 0
    assert torch.equal(labels[labelled], TRUTH[labelled])


def test_with_embeddings_nothing_is_labelled_before_the_first_refresh() -> None:
    given = data()
    found = make(features="embeddings", refresh_epochs=0.01).label(given, given.cube)
    assert (found.labels == -1).all()
    assert (found.confidence == 0).all()
    assert found.relabel is not None


def test_embeddings_that_would_never_be_labelled_are_refused() -> None:
    # 1920 pixels in batches of 16 are 120 steps an epoch: the third step is the last, and nothing comes after.
    for epochs, due in ((1.0, 120), (3 / 120, 3)):
        with pytest.raises(InvalidValueError, match=f"every {due} steps for 1920 pixels, training has 3") as caught:
            make(features="embeddings", refresh_epochs=epochs).fit(data())
        assert "\n" not in str(caught.value)
    assert make(features="embeddings", refresh_epochs=2 / 120).fit(data()).embed().isfinite().all()
    # Where something is labelled before, a refresh that never comes harms nobody.
    assert make(refresh_epochs=1.0).fit(data()).embed().isfinite().all()


def test_options_must_be_the_sources_own() -> None:
    with pytest.raises(UnknownNameError, match=r"'k_means'.*'max_itr'.*did you mean 'max_iter'"):
        make(pseudolabel_options={"max_itr": 3})
    with pytest.raises(UnknownNameError, match="'n_clusters'"):
        make(pseudolabel_options={"n_clusters": 3})
    with pytest.raises(InvalidValueError, match="max_iter=0"):
        make(pseudolabel_options={"max_iter": 0})
    with pytest.raises(UnknownNameError, match="k_meanz"):
        make(pseudolabels="k_meanz")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"features": "waves"}, "features='waves'"),
        ({"label_noise": 1.5}, r"label_noise=1\.5"),
        ({"cluster_window": 7}, "cluster_window=7 exceeds patch_size=5"),
        ({"n_clusters": 0}, "n_clusters=0"),
    ],
)
def test_bad_parameters_are_named(params: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        make(**params)


def test_more_clusters_than_pixels_is_a_failed_record_in_one_line() -> None:
    record = run_trial(trial("mined_negatives", {"n_clusters": SCENE.labels.size + 1}), SCENE)
    assert (record.status, record.error_type) == ("failed", "InvalidValueError")
    assert "use fewer clusters" in record.error
    assert "\n" not in record.error


def test_a_source_that_needs_memory_says_so_where_the_features_are_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.methods._labelling.resident_limit", lambda: 2**10)
    assert labels_of(make(pseudolabels="k_means")).shape == TRUTH.shape
    with pytest.raises(InvalidValueError, match=r"HSICL_RESIDENT_MIB, or use one of: .*k_means.*random") as caught:
        labels_of(make(pseudolabels="gaussian_mixture"))
    assert "\n" not in str(caught.value)
    assert f"GaussianMixturePseudoLabeler needs all {len(TRUTH)} x" in str(caught.value)
