"""What every registered pseudolabel source must do."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from hsicl_core.pseudolabels.base import PseudoLabeler
from hsicl_core.registries import PSEUDO_LABELERS

each = pytest.mark.parametrize("name", PSEUDO_LABELERS.names())


def make(name: str, **settings: Any) -> PseudoLabeler:
    """Return a source with those of the usual settings that it has."""
    source = PSEUDO_LABELERS.get(name)
    known = inspect.signature(source).parameters
    wanted = {"n_clusters": 4, "seed": 3} | settings
    return source(**{key: value for key, value in wanted.items() if key in known})


def features(n: int = 50, dim: int = 3) -> torch.Tensor:
    return torch.rand(n, dim, generator=torch.Generator().manual_seed(0))


@each
def test_fit_gives_itself_labels_and_confidences(name: str) -> None:
    source = make(name)
    assert source.fit(features()) is source
    assert source.labels_.shape == source.confidence_.shape == (50,)
    assert source.labels_.dtype == torch.int64
    assert source.labels_.min() >= -1
    assert source.labels_.max() < 50
    assert source.confidence_.dtype == torch.float32
    assert ((source.confidence_ >= 0) & (source.confidence_ <= 1)).all()


@each
def test_the_constructor_does_no_work(name: str) -> None:
    source = make(name)
    assert not hasattr(source, "labels_")
    assert not hasattr(source, "confidence_")
    parameters = inspect.signature(type(source)).parameters.values()
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters)


@each
def test_the_same_seed_gives_the_same_labels(name: str) -> None:
    first, second = (make(name).fit(features()) for _ in range(2))
    assert torch.equal(first.labels_, second.labels_)
    assert torch.equal(first.confidence_, second.confidence_)


@each
def test_a_second_fit_forgets_the_first(name: str) -> None:
    source = make(name).fit(features(30))
    assert torch.equal(source.fit(features()).labels_, make(name).fit(features()).labels_)


@each
def test_the_features_are_left_as_they_were(name: str) -> None:
    given = features()
    before = given.clone()
    labels = make(name).fit(given).labels_
    labels.fill_(0)
    assert torch.equal(given, before)


@each
def test_the_global_generators_are_left_alone(name: str) -> None:
    state = torch.get_rng_state()
    make(name).fit(features())
    assert torch.equal(torch.get_rng_state(), state)


@each
def test_one_vector_and_equal_vectors_are_no_error(name: str) -> None:
    assert make(name, n_clusters=1).fit(features(1)).labels_.shape == (1,)
    assert make(name, n_clusters=2).fit(torch.ones(10, 3)).confidence_.isfinite().all()
