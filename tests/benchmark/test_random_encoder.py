"""The encoder that is never trained is the one that training starts from."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import METHODS, SplitSpec, fitting, plan_trial, run_group
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods import _contrastive
from benchmark.methods.base import Fit, FitData
from hsicl_core.encoder import Encoder
from hsicl_core.observing import SilentObserver
from hsicl_core.patches import PatchSource
from hsicl_core.preprocessing import principal_components, standardize
from tests.benchmark.entrants import tiny_params
from tests.scene_factory import tiny_scene

SCENE = tiny_scene()
N = SCENE.labels.size
ALL = torch.arange(N)


def data(seed: int = 0) -> FitData:
    return FitData(
        cube=torch.from_numpy(SCENE.cube.copy()), pixels=ALL, labels=torch.full((N,), -1), seed=seed,
        device=torch.device("cpu"), observer=SilentObserver(), memo=ScopedMemo(Memo()),
    )  # fmt: skip


def fit(name: str = "random_encoder", seed: int = 0, **params: Any) -> Fit:
    return METHODS.get(name)(**{**tiny_params(METHODS.get(name)), **params}).fit(data(seed))


@pytest.mark.parametrize("seed", [0, 5])
def test_it_is_what_contrastive_training_starts_from(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_training(encoder: Encoder, *_: Any, **__: Any) -> list[Any]:
        encoder.eval()
        return []

    monkeypatch.setattr(_contrastive, "pretrain", no_training)
    untrained, found = fit("nt_xent", seed), fit(seed=seed)
    assert torch.equal(untrained.embed(), found.embed())
    assert found.n_parameters == untrained.n_parameters
    assert found.fine_tune is not None
    assert untrained.fine_tune is not None
    pixels = torch.arange(0, N, 50)
    assert torch.equal(found.fine_tune(pixels, pixels % 3, 3, 0.01), untrained.fine_tune(pixels, pixels % 3, 3, 0.01))


def embedded_by_hand(seed: int) -> Tensor:
    """Every patch by itself, convolution by convolution; batch normalisation changes nothing but by its epsilon."""
    components = principal_components(standardize(data().cube, ALL), ALL, 4)
    x = PatchSource(components, 5).gather(ALL)
    torch.manual_seed(seed)
    for n_in, n_out, side in ((4, 8, 3), (8, 8, 3), (8, 16, 1)):
        weights = torch.nn.Conv2d(n_in, n_out, side, bias=False).weight.detach()
        x = (torch.nn.functional.conv2d(x, weights) / (1 + 1e-5) ** 0.5).clamp(min=0)
    return x.mean(dim=(2, 3))


def test_it_is_three_random_convolutions_of_the_components() -> None:
    with torch.random.fork_rng(devices=[]):
        expected = embedded_by_hand(3)
    torch.testing.assert_close(fit(seed=3).embed(), expected, rtol=1e-4, atol=1e-5)


def test_the_seed_counts_and_what_would_train_it_does_not() -> None:
    first = fit().embed()
    assert not torch.equal(fit(seed=1).embed(), first)
    for change in ({"steps": 9}, {"learning_rate": 0.1}, {"batch_size": 3}, {"views": ()}, {"projection_dim": 3}):
        assert torch.equal(fit(**change).embed(), first)
    assert fit().curves == []


def test_it_is_scored_frozen_and_fine_tuned_by_one_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_MEMO", Memo(size=16))
    method = METHODS.get("random_encoder")
    split = SplitSpec(rule="random", labels_per_class=4, val_per_class=3, patch_size=5)
    params = tiny_params(method)
    trials = [
        plan_trial(SCENE, method="random_encoder", params=params, protocol=protocol, split=split)
        for protocol in method.protocols
    ]
    frozen, tuned = run_group(trials, SCENE)
    assert (frozen.status, tuned.status) == ("ok", "ok"), (frozen.error, tuned.error)
    assert frozen.confusion_test != tuned.confusion_test
    assert frozen.kind == "trivial"
