"""What every registered pseudolabel source must do."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
import torch

from hsicl_core import InvalidValueError, MissingPackageError
from hsicl_core.pseudolabels.base import PseudoLabeler
from hsicl_core.registries import PSEUDO_LABELERS

each = pytest.mark.parametrize("name", PSEUDO_LABELERS.names())


def make(name: str, **settings: Any) -> PseudoLabeler:
    """Return a source with those of the usual settings that it has."""
    source = PSEUDO_LABELERS.get(name)
    known = inspect.signature(source).parameters
    wanted = {"n_clusters": 4, "seed": 3, "n_superpixels": 12} | settings
    return source(**{key: value for key, value in wanted.items() if key in known})


def fit(source: PseudoLabeler, vectors: torch.Tensor, labels: torch.Tensor | None = None) -> PseudoLabeler:
    """Fit with what the source declares to need: pixels in rows of ten, every third of which is labelled."""
    index = torch.arange(len(vectors))
    given: dict[str, torch.Tensor] = {}
    if source.needs_positions:
        given["positions"] = torch.stack([index // 10, index % 10], dim=1)
    if source.sees_labels != "none":
        given["labels"] = torch.where(index % 3 == 0, index % 4, -1) if labels is None else labels
    try:
        return source.fit(vectors, **given)
    except MissingPackageError as error:
        pytest.skip(str(error))


def features(n: int = 50, dim: int = 3) -> torch.Tensor:
    return torch.rand(n, dim, generator=torch.Generator().manual_seed(0))


@each
def test_fit_gives_itself_labels_and_confidences(name: str) -> None:
    source = make(name)
    assert fit(source, features()) is source
    assert source.labels_.shape == source.confidence_.shape == (50,)
    assert source.labels_.dtype == torch.int64
    assert source.labels_.min() >= -1
    assert source.labels_.max() < 50
    assert source.confidence_.dtype == torch.float32
    assert ((source.confidence_ >= 0) & (source.confidence_ <= 1)).all()
    assert source.labels_.device == source.confidence_.device == torch.device("cpu")


@each
def test_it_declares_what_it_needs_and_names_it_when_it_is_missing(name: str) -> None:
    source = make(name)
    assert source.sees_labels in ("none", "train", "all")
    wanted = {"labels"} if source.sees_labels != "none" else set()
    wanted |= {"positions"} if source.needs_positions else set()
    assert set(inspect.signature(source.fit).parameters) == {"features", *wanted}
    for missing in wanted:
        with pytest.raises(InvalidValueError, match=rf"{name}.*needs {missing}.*fit\({missing}=") as caught:
            source.fit(features())
        assert "\n" not in str(caught.value)


@each
def test_the_constructor_does_no_work(name: str) -> None:
    source = make(name)
    assert not hasattr(source, "labels_")
    assert not hasattr(source, "confidence_")
    parameters = inspect.signature(type(source)).parameters.values()
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters)
    with pytest.raises(TypeError):
        type(source)(**vars(source), surprise=1)


@each
def test_the_same_seed_gives_the_same_labels(name: str) -> None:
    first, second = (fit(make(name), features()) for _ in range(2))
    assert torch.equal(first.labels_, second.labels_)
    assert torch.equal(first.confidence_, second.confidence_)


@each
def test_a_second_fit_forgets_the_first(name: str) -> None:
    source = fit(make(name), features(30))
    assert torch.equal(fit(source, features()).labels_, fit(make(name), features()).labels_)


@each
def test_what_it_is_given_is_left_as_it_was(name: str) -> None:
    given, labels = features(), torch.arange(50) % 4
    before = given.clone()
    found = fit(make(name), given, labels).labels_
    found.fill_(7)
    assert torch.equal(given, before)
    assert torch.equal(labels, torch.arange(50) % 4)


@each
def test_the_global_generators_are_left_alone(name: str) -> None:
    state = torch.get_rng_state()
    fit(make(name), features())
    assert torch.equal(torch.get_rng_state(), state)


@each
def test_one_vector_and_equal_vectors_are_no_error(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit(make(name, n_clusters=1), features(1)).labels_.shape == (1,)
        for vectors in (torch.ones(10, 3), torch.zeros(40, 2), features(2).repeat(20, 1)):
            source = fit(make(name, n_clusters=4), vectors)
            assert source.labels_.shape == (len(vectors),)
            assert source.confidence_.isfinite().all()
            assert ((source.confidence_ >= 0) & (source.confidence_ <= 1)).all()


@each
def test_scale_and_dtype_of_the_features_do_not_break_it(name: str) -> None:
    for scale in (1e-6, 1e6):
        source = fit(make(name), features().double() * scale)
        assert source.labels_.shape == (50,)
        assert source.confidence_.isfinite().all()
    assert fit(make(name), features().requires_grad_()).confidence_.requires_grad is False
