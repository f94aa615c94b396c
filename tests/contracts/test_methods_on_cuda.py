"""What every registered method must do on a GPU; skipped where there is none, see test_methods_on_another_device.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark import METHODS, fitting, run_trial
from benchmark.memo import Memo
from tests.contracts.test_methods import CPU, SCENE, WITHOUT_TRAINING, each, plan

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(autouse=True)
def fresh_memo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_MEMO", Memo(size=16))


@each
def test_it_embeds_on_a_gpu_what_it_embeds_on_the_host(name: str) -> None:
    planned = plan(name, SCENE)
    here, there = (fitting.fit_scene(planned, SCENE, device) for device in (CPU, torch.device("cuda")))
    assert there.embedding.shape == here.embedding.shape
    assert there.embedding.dtype == here.embedding.dtype
    assert np.isfinite(there.embedding).all()
    assert there.columns["n_parameters"] == here.columns["n_parameters"]
    assert there.columns["device"] == "cuda"
    # Batches are drawn on the device, which draws other numbers.
    if METHODS.get(name).kind in WITHOUT_TRAINING:
        # A pixel on the border of two superpixels may fall to the other one.
        scale = here.embedding.std(axis=0) + 1e-6
        is_near = (np.abs(there.embedding - here.embedding) < 1e-2 * scale).all(axis=1)
        assert is_near.mean() > 0.98
    if here.scores is not None:
        assert there.scores is not None
        assert there.scores.shape == here.scores.shape
        assert np.isfinite(there.scores).all()
    if there.network is not None:
        pixels = np.arange(0, SCENE.labels.size, 97)
        found = [there.network.fine_tune(pixels, pixels % 3, 2, 0.01) for _ in range(2)]
        assert np.isfinite(found[0]).all()
        assert np.array_equal(found[0], found[1])


@each
def test_a_trial_on_a_gpu_gives_the_same_record_again(name: str) -> None:
    planned = plan(name, SCENE)
    first, again = (run_trial(planned, SCENE, device="cuda") for _ in range(2))
    assert first.status == "ok", first.error
    assert first.confusion_val == again.confusion_val
    assert first.confusion_test == again.confusion_test
