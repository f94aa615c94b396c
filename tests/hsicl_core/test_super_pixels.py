"""Superpixels: fields of noisy pixels become whole, confidences by a loop, pixels in any order and with gaps."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from hsicl_core import InvalidValueError, MissingPackageError
from hsicl_core.pseudolabels.super_pixels import SuperPixelPseudoLabeler


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fields(height: int = 24, width: int = 30) -> tuple[Tensor, Tensor, Tensor]:
    """Features, truth and positions of three vertical fields, the outer two alike."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    truth = ((columns >= 10) & (columns < 20)).long().flatten()
    features = truth[:, None] * torch.tensor([[4.0, -4.0, 2.0]]) + torch.randn(len(truth), 3, generator=rng(5))
    return features, truth, torch.stack([rows.flatten(), columns.flatten()], dim=1)


def superpixels(**settings: Any) -> SuperPixelPseudoLabeler:
    pytest.importorskip("skimage")
    return SuperPixelPseudoLabeler(**{"n_clusters": 2, "n_superpixels": 40, **settings})


def test_superpixels_make_fields_of_noisy_pixels() -> None:
    features, truth, positions = fields()
    source = superpixels().fit(features, positions=positions)
    agreement = float((source.labels_ == truth).double().mean())
    assert max(agreement, 1 - agreement) > 0.97
    assert source.confidence_.mean() > 0.5
    # A superpixel has one label.
    for segment in source.superpixels_.unique():
        assert len(source.labels_[source.superpixels_ == segment].unique()) == 1
    assert 20 <= len(source.superpixels_.unique()) <= 60


def test_the_confidence_of_superpixels_by_a_loop() -> None:
    features, _, positions = fields(12, 15)
    source = superpixels(n_clusters=3, n_superpixels=20).fit(features, positions=positions)
    means = [features[source.labels_ == cluster].mean(dim=0) for cluster in range(3)]
    for i in range(len(features)):
        distance = [float((features[i] - mean).norm()) for mean in means]
        own = distance.pop(int(source.labels_[i]))
        assert float(source.confidence_[i]) == pytest.approx(max(0.0, 1 - own / min(distance)), abs=1e-4)


def test_three_features_are_not_taken_for_colours() -> None:
    features, _, positions = fields()
    with_constant = torch.cat([features, torch.zeros(len(features), 1)], dim=1)
    three, four = (superpixels().fit(x, positions=positions).superpixels_ for x in (features, with_constant))
    assert torch.equal(three, four)


def test_pixels_may_come_in_any_order_and_leave_gaps() -> None:
    features, truth, positions = fields()
    order = torch.randperm(len(truth), generator=rng())
    straight = superpixels().fit(features, positions=positions).labels_
    shuffled = superpixels().fit(features[order], positions=positions[order]).labels_
    assert torch.equal(shuffled, straight[order])
    kept = positions[:, 0] >= 5
    partial = superpixels().fit(features[kept], positions=positions[kept])
    agreement = float((partial.labels_ == truth[kept]).double().mean())
    assert max(agreement, 1 - agreement) > 0.97


def test_pixels_that_are_not_given_take_no_superpixel() -> None:
    features, _, positions = fields()
    kept = (positions[:, 1] < 5) | (positions[:, 1] >= 25)
    source = superpixels(n_superpixels=40).fit(features[kept], positions=positions[kept])
    # A third of the image: were the rest there too, about thirteen of forty would fall to it.
    assert 30 <= len(source.superpixels_.unique()) <= 50


def test_superpixels_refuse_what_they_cannot_place() -> None:
    features, _, positions = fields()
    for wrong in (positions[:-1], positions[:, :1]):
        with pytest.raises(InvalidValueError, match="positions have shape"):
            superpixels().fit(features, positions=wrong)
    for wrong in (positions - 1, torch.zeros_like(positions)):
        with pytest.raises(InvalidValueError, match="negative or repeated"):
            superpixels().fit(features, positions=wrong)
    with pytest.raises(InvalidValueError, match="n_superpixels=3"):
        superpixels(n_clusters=4, n_superpixels=3)
    with pytest.raises(InvalidValueError, match="compactness=0"):
        superpixels(compactness=0)


def test_fewer_superpixels_than_clusters_are_recorded_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    features, _, positions = fields()
    with caplog.at_level(logging.WARNING):
        # Nearness counts so little that connected superpixels swallow each other.
        source = superpixels(n_clusters=12, compactness=0.05).fit(features, positions=positions)
    assert source.n_clusters_ == len(source.labels_.unique()) == len(source.superpixels_.unique()) < 12
    assert f"{source.n_clusters_} superpixels cannot give 12 clusters" in caplog.text


def test_without_scikit_image_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    features, _, positions = fields()
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(MissingPackageError, match=r"'scikit-image' is not installed.*pip install scikit-image"):
        SuperPixelPseudoLabeler(n_clusters=2).fit(features, positions=positions)
