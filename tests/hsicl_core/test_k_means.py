"""k-means pseudolabels: clusters that are plain to see, confidences by their formula, what cannot be clustered."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from hsicl_core import InvalidValueError, KMeansPseudoLabeler, MissingPackageError
from hsicl_core.pseudolabels import _clustering
from hsicl_core.pseudolabels._lloyd import k_means
from hsicl_core.pseudolabels.base import PseudoLabeler
from hsicl_core.pseudolabels.mini_batch_k_means import MiniBatchKMeansPseudoLabeler

CENTRES = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 30.0]])


def blobs(n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.arange(n) % 3
    return CENTRES[truth] + torch.randn(n, 2, generator=torch.Generator().manual_seed(0)), truth


def is_same_partition(first: Tensor, second: Tensor) -> bool:
    return torch.equal(first[:, None] == first, second[:, None] == second)


def test_finds_separate_blobs() -> None:
    features, truth = blobs()
    found = KMeansPseudoLabeler(n_clusters=3, n_init=5).fit(features).labels_
    pairs = set(zip(truth.tolist(), found.tolist(), strict=True))
    assert len(pairs) == 3
    assert {cluster for _, cluster in pairs} == {0, 1, 2}
    assert found.dtype == torch.int64


def test_confidence_compares_the_two_nearest_centres() -> None:
    features, _ = blobs()
    labeler = KMeansPseudoLabeler(n_clusters=3, n_init=5).fit(features)
    # A converged centre is the mean of its members.
    centres = torch.stack([features[labeler.labels_ == cluster].mean(dim=0) for cluster in range(3)])
    distances = torch.cdist(features, centres).sort(dim=1).values
    torch.testing.assert_close(labeler.confidence_, 1 - distances[:, 0] / distances[:, 1], rtol=1e-4, atol=1e-4)


def test_confidence_on_a_centre_and_half_way() -> None:
    features = torch.tensor([[0.0], [0.0], [0.0], [4.0], [4.0], [4.0]])
    labeler = KMeansPseudoLabeler(n_clusters=2, n_init=5).fit(features)
    assert labeler.confidence_.tolist() == [1.0] * 6
    assert (KMeansPseudoLabeler(n_clusters=1).fit(features).confidence_ == 1).all()


def test_the_seed_decides() -> None:
    features = torch.rand(200, 4, generator=torch.Generator().manual_seed(3))
    first, again, other = (KMeansPseudoLabeler(n_clusters=12, seed=seed).fit(features).labels_ for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert KMeansPseudoLabeler(n_clusters=2, seed=2**62).fit(features).labels_.unique().tolist() == [0, 1]


def test_more_clusters_than_vectors_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="n_clusters=4 exceeds the 3 pixels to cluster: use fewer clusters"):
        KMeansPseudoLabeler(n_clusters=4).fit(torch.rand(3, 2))
    assert sorted(KMeansPseudoLabeler(n_clusters=3).fit(torch.eye(3)).labels_.tolist()) == [0, 1, 2]


def test_coinciding_vectors_give_fewer_clusters_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    features = torch.tensor([[0.0], [1.0]]).repeat(10, 1)
    with caplog.at_level(logging.WARNING):
        labeler = KMeansPseudoLabeler(n_clusters=5).fit(features)
    assert labeler.n_clusters_ == 2
    assert len(labeler.labels_.unique()) == 2
    assert labeler.confidence_.isfinite().all()
    assert "2 of 5 clusters" in caplog.text


def test_takes_arrays_and_other_dtypes() -> None:
    features, _ = blobs()
    expected = KMeansPseudoLabeler(n_clusters=3).fit(features).labels_
    assert torch.equal(KMeansPseudoLabeler(n_clusters=3).fit(features.double()).labels_, expected)
    assert torch.equal(KMeansPseudoLabeler(n_clusters=3).fit(np.asarray(features)).labels_, expected)


@pytest.mark.parametrize("name", ["n_clusters", "n_init", "max_iter"])
def test_bad_parameters_are_named(name: str) -> None:
    with pytest.raises(InvalidValueError, match=f"{name}=0"):
        KMeansPseudoLabeler(**{"n_clusters": 2, name: 0})


def test_without_scikit_learn_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(MissingPackageError, match=r"'scikit-learn' is not installed.*pip install scikit-learn"):
        KMeansPseudoLabeler(n_clusters=2).fit(torch.rand(4, 2))


# The source, made to use torch on the CPU.


@pytest.fixture
def torch_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsicl_core.pseudolabels.k_means._BY_TORCH", frozenset({"cpu"}))
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)


@pytest.mark.usefixtures("torch_on_cpu")
def test_the_source_by_torch(caplog: pytest.LogCaptureFixture) -> None:
    features, truth = blobs()
    source = KMeansPseudoLabeler(n_clusters=3, n_init=5)
    assert source.fit(features.double().requires_grad_()) is source
    assert is_same_partition(source.labels_, truth)
    assert source.n_clusters_ == 3
    assert source.labels_.dtype == torch.int64
    assert source.confidence_.dtype == torch.float32
    assert not source.confidence_.requires_grad
    means = torch.stack([features[source.labels_ == cluster].mean(dim=0) for cluster in range(3)])
    distances = torch.cdist(features, means).sort(dim=1).values
    torch.testing.assert_close(source.confidence_, 1 - distances[:, 0] / distances[:, 1], rtol=1e-4, atol=1e-4)
    assert is_same_partition(source.fit(features.half()).labels_, truth)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        source = KMeansPseudoLabeler(n_clusters=5).fit(torch.tensor([[0.0], [4.0]]).repeat(10, 1))
    assert source.n_clusters_ == len(source.labels_.unique()) == 2
    assert source.confidence_.isfinite().all()
    assert "k-means found 2 of 5 clusters: vectors coincide" in caplog.text


@pytest.mark.usefixtures("torch_on_cpu")
def test_the_source_hands_its_settings_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        "hsicl_core.pseudolabels.k_means.k_means",
        lambda vectors, n_clusters, **given: (
            seen.update(n_clusters=n_clusters, dtype=vectors.dtype, **given)
            or k_means(vectors, n_clusters, seed=0, n_init=1, max_iter=9)
        ),
    )
    settings = {"n_clusters": 3, "seed": 5, "n_init": 7, "max_iter": 11}
    KMeansPseudoLabeler(**settings).fit(torch.rand(20, 5, dtype=torch.float64))
    assert seen == settings | {"dtype": torch.float32}


@pytest.mark.usefixtures("torch_on_cpu")
def test_what_cannot_be_clustered_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="n_clusters=4 exceeds the 3 pixels to cluster: use fewer clusters"):
        KMeansPseudoLabeler(n_clusters=4).fit(torch.rand(3, 2))
    for value in (float("nan"), float("inf")):
        with pytest.raises(InvalidValueError, match="must be finite") as caught:
            KMeansPseudoLabeler(n_clusters=2).fit(torch.tensor([[0.0], [1.0], [value]]))
        assert "\n" not in str(caught.value)


def test_features_on_cuda_are_clustered_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Tensor] = []
    monkeypatch.setattr(KMeansPseudoLabeler, "_fit_by_torch", lambda self, features: given.append(features) or self)
    with FakeTensorMode():
        KMeansPseudoLabeler(n_clusters=2).fit(torch.empty(5, 3, device="cuda"))
    assert [features.device.type for features in given] == ["cuda"]
    KMeansPseudoLabeler(n_clusters=2).fit(torch.rand(5, 3))
    assert len(given) == 1


@pytest.mark.parametrize("member", [KMeansPseudoLabeler, MiniBatchKMeansPseudoLabeler])
def test_of_many_vectors_some_find_the_centres_and_all_are_labelled(
    member: type[PseudoLabeler], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    truth = np.repeat(np.arange(3), 100)
    vectors = torch.from_numpy((np.eye(3)[truth] * 20 + generator.normal(size=(300, 3))).astype(np.float32))
    monkeypatch.setattr(_clustering, "MOST_FITTED", 60)
    monkeypatch.setattr(_clustering, "_CHUNK", 32)
    assert len(_clustering.fitted_on(vectors.numpy(), seed=1)) == 60
    found = member(n_clusters=3, seed=1).fit(vectors)
    # Those that find the centres come from all three groups, which lie in this order: every group is one label.
    groups = [set(found.labels_[truth == group].tolist()) for group in range(3)]
    assert [len(group) for group in groups] == [1, 1, 1]
    assert set.union(*groups) == {0, 1, 2}
    assert found.confidence_.shape == (300,)
    assert float(found.confidence_.min()) > 0.5
    again = member(n_clusters=3, seed=1).fit(vectors)
    assert torch.equal(again.labels_, found.labels_)
    assert torch.equal(again.confidence_, found.confidence_)
    assert not np.array_equal(_clustering.fitted_on(vectors.numpy(), 1), _clustering.fitted_on(vectors.numpy(), 2))
