"""What protocols and maps read in chunks is what the whole array gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from benchmark import classifier as module
from benchmark.classifier import Classifier
from benchmark.protocols import base
from benchmark.protocols.base import Chosen, Standardized
from benchmark.split import Split
from hsicl_core.fine_tuning import class_scores


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_standardised_rows_are_those_of_the_formula(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_CHUNK", chunk)
    embedding = (np.random.default_rng(0).normal(size=(60, 4)) * [1, 10, 0.1, 0] + [5, -3, 0, 2]).astype(np.float32)
    embedding[1, 3] = 99
    pixels = np.arange(0, 60, 3)
    seen = embedding[pixels].astype(np.float64)
    deviation = seen.std(axis=0)
    expected = (embedding - seen.mean(axis=0))[:, :3] / deviation[:3]
    found = Standardized(embedding, pixels)[np.arange(60)]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :3], expected, rtol=1e-5, atol=1e-5)
    # A dimension that is constant over these pixels tells nothing, of others either.
    assert np.all(found[:, 3] == 0)


def test_every_pixel_is_classified_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 7)
    none = np.empty(0, dtype=np.int64)
    split = Split(train=none, val=none, test=none, rule="random", patch_size=1)
    rows = np.arange(50)[:, None] * 3
    found = Classifier(split=split, rows=rows, chosen=Chosen(lambda x: x[:, 0] + 1, {}))
    pixels = np.array([49, 0, 3, 3, 20, 21, 22, 23])
    assert found.predict(pixels).tolist() == (pixels * 3 + 1).tolist()
    assert found.predict(none).shape == (0,)


def test_class_scores_do_not_depend_on_the_batches() -> None:
    torch.manual_seed(0)
    layer, embedding = nn.Linear(3, 4), torch.randn(50, 3)
    whole = class_scores(layer, embedding)
    torch.testing.assert_close(class_scores(layer, embedding, batch_size=7), whole)
    assert not whole.requires_grad
