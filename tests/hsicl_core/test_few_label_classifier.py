"""The few-label classifier: known labels are kept, others classified, the unsure left out, hidden labels unread."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from hsicl_core import InvalidValueError, MissingPackageError
from hsicl_core.pseudolabels.few_label_classifier import FewLabelClassifierPseudoLabeler

CENTRES = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 30.0]])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def few(n_known: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    truth = torch.arange(120) % 3
    features = CENTRES[truth] + torch.randn(120, 2, generator=rng())
    # Classes of a scene need not be numbered without gaps.
    truth = torch.tensor([2, 5, 9])[truth]
    known = torch.full_like(truth, -1)
    known[:n_known] = truth[:n_known]
    return features, truth, known


def test_few_labels_tell_blobs() -> None:
    features, truth, known = few()
    source = FewLabelClassifierPseudoLabeler().fit(features, labels=known)
    assert torch.equal(source.labels_, truth)
    assert source.converged_


def test_a_known_label_is_kept_even_where_the_classifier_says_another() -> None:
    features, truth, known = few(30)
    known[0], known[4] = 9, 2
    assert (truth[0], truth[4]) == (2, 5)
    source = FewLabelClassifierPseudoLabeler(min_confidence=1.0).fit(features, labels=known)
    assert torch.equal(source.labels_[:30], known[:30])
    assert (source.confidence_[:30] == 1).all()
    assert (source.confidence_[30:] < 1).all()


def test_the_least_confidence_parts_the_assigned_from_the_unassigned() -> None:
    features = torch.rand(200, 2, generator=rng())
    known = torch.where(torch.arange(200) % 20 == 0, (features[:, 0] > 0.5).long(), -1)
    every = FewLabelClassifierPseudoLabeler().fit(features, labels=known)
    sure = FewLabelClassifierPseudoLabeler(min_confidence=0.7).fit(features, labels=known)
    assert torch.equal(every.confidence_, sure.confidence_)
    assert (every.labels_ >= 0).all()
    expected = [
        label if confidence >= 0.7 else -1
        for label, confidence in zip(every.labels_.tolist(), every.confidence_.tolist(), strict=True)
    ]
    assert sure.labels_.tolist() == expected
    assert 20 < expected.count(-1) < 180
    assert every.confidence_.min() >= 0.5 - 1e-6


def test_no_unknown_label_is_read() -> None:
    features, _, known = few()
    other = torch.where(known >= 0, known, -7)
    first, second = (FewLabelClassifierPseudoLabeler().fit(features, labels=labels) for labels in (known, other))
    assert torch.equal(first.confidence_, second.confidence_)
    assert torch.equal(first.labels_, second.labels_)


def test_labels_that_teach_nothing_are_refused() -> None:
    features, _, known = few()
    with pytest.raises(InvalidValueError, match="none of the 120 labels is known"):
        FewLabelClassifierPseudoLabeler().fit(features, labels=torch.full_like(known, -1))
    with pytest.raises(InvalidValueError, match=r"labels have shape \(119,\)"):
        FewLabelClassifierPseudoLabeler().fit(features, labels=known[:-1])
    one = FewLabelClassifierPseudoLabeler().fit(features, labels=torch.where(known == 5, 5, -1))
    assert (one.labels_ == 5).all()


def test_a_classifier_that_stops_early_says_so(caplog: pytest.LogCaptureFixture) -> None:
    features, _, known = few()
    with caplog.at_level(logging.WARNING):
        source = FewLabelClassifierPseudoLabeler(max_iter=1, inverse_penalty=1e4).fit(features, labels=known)
    assert not source.converged_
    assert "did not converge" in caplog.text


@pytest.mark.parametrize(("name", "value"), [("min_confidence", 2), ("inverse_penalty", 0), ("max_iter", 0)])
def test_bad_parameters_are_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=f"{name}={value}"):
        FewLabelClassifierPseudoLabeler(**{name: value})


def test_without_scikit_learn_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    features, _, known = few()
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(MissingPackageError, match=r"'scikit-learn' is not installed.*pip install scikit-learn"):
        FewLabelClassifierPseudoLabeler().fit(features, labels=known)
