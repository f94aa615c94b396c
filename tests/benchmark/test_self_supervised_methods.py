"""Self-supervised entrants without a mask of negatives: each parameter does something, only the objective differs."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import METHODS, InvalidValueError
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods._pretrained import PretrainedMethod
from benchmark.methods._self_supervised import SelfSupervisedMethod
from benchmark.methods.base import Fit, FitData
from benchmark.trial import canonical_json
from hsicl_core.observing import SilentObserver
from tests.benchmark.entrants import tiny_params
from tests.scene_factory import tiny_scene

SCENE = tiny_scene(height=16, width=20)
NAMES = ["byol", "moco_v2", "sim_siam"]
SHARED: list[dict[str, Any]] = [
    {"patch_size": 7}, {"n_components": 5}, {"width": 4}, {"projection_dim": 4}, {"views": ["flip_rotate"]},
    {"views": ["neighbour_pixel", "flip_rotate", "channel_dropout"]},
    {"view_options": {"channel_dropout": {"share": 0.5}}}, {"steps": 5}, {"batch_size": 8}, {"learning_rate": 0.01},
    {"weight_decay": 0.5}, {"precision": "bfloat16"},
]  # fmt: skip
CHANGES: list[tuple[str, dict[str, Any]]] = [
    *[(name, change) for name in NAMES for change in SHARED],
    ("byol", {"hidden_dim": 16}),
    ("byol", {"momentum": 0.5}),
    ("sim_siam", {"bottleneck_dim": 7}),
    ("moco_v2", {"temperature": 0.5}),
    ("moco_v2", {"momentum": 0.5}),
    ("moco_v2", {"queue_size": 40}),
]


def fit(name: str, *, seed: int = 0, **params: Any) -> Fit:
    pixels = torch.arange(320)
    given = FitData(
        cube=torch.from_numpy(SCENE.cube.copy()), pixels=pixels, labels=torch.full_like(pixels, -1), seed=seed,
        device=torch.device("cpu"), observer=SilentObserver(), memo=ScopedMemo(Memo()),
    )  # fmt: skip
    member = METHODS.get(name)
    fitted: Fit = member(**{**tiny_params(member), "steps": 6, **params}).fit(given)
    return fitted


@functools.cache
def embedding(name: str, params: str = "{}") -> Tensor:
    return fit(name, **json.loads(params)).embed()


@pytest.mark.parametrize(("name", "change"), CHANGES, ids=[f"{name}-{change}" for name, change in CHANGES])
def test_a_changed_value_changes_the_embedding(name: str, change: dict[str, Any]) -> None:
    before, after = embedding(name), embedding(name, canonical_json(change))
    assert after.isfinite().all()
    assert before.shape != after.shape or not torch.equal(before, after)


@pytest.mark.parametrize("name", NAMES)
def test_no_parameter_is_left_out_above(name: str) -> None:
    member = METHODS.get(name)
    assert issubclass(member, SelfSupervisedMethod)
    changed = {field for other, change in CHANGES if other == name for field in change}
    assert {field.name for field in dataclasses.fields(member)} - changed == {"transductive"}


@pytest.mark.parametrize("name", NAMES)
def test_only_the_objective_differs_from_nt_xent(name: str) -> None:
    # At a rate of next to nothing, what is left are the first weights and the statistics of the same views.
    still: dict[str, Any] = {"learning_rate": 1e-12, "steps": 4}
    expected = fit("nt_xent", **still).embed()
    torch.testing.assert_close(fit(name, **still).embed(), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(fit("nt_xent", **still, seed=1).embed(), expected, rtol=1e-2)
    ours, theirs = METHODS.get(name)(), METHODS.get("nt_xent")()
    for name_of_field in {field.name for field in dataclasses.fields(PretrainedMethod)} - {"projection_dim"}:
        assert getattr(ours, name_of_field) == getattr(theirs, name_of_field), name_of_field


@pytest.mark.parametrize("name", NAMES)
def test_to_make_a_method_draws_nothing_and_checks_everything(name: str) -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    METHODS.get(name)()
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(InvalidValueError, match=r"projection_dim must be an integer >= 1, got projection_dim=0"):
        METHODS.get(name)(projection_dim=0)
    with pytest.raises(InvalidValueError, match=r"view_options names 'channel_noise', which is not among"):
        METHODS.get(name)(view_options={"channel_noise": {}})
    with pytest.raises(InvalidValueError, match=r"precision='float16' is not known"):
        METHODS.get(name)(precision="float16")


@pytest.mark.parametrize(
    ("name", "params", "rule"),
    [
        ("byol", {"momentum": 1.5}, "momentum must be a number >= 0 and <= 1, got momentum=1.5"),
        ("byol", {"hidden_dim": 0}, "hidden_dim must be an integer >= 1, got hidden_dim=0"),
        ("sim_siam", {"bottleneck_dim": 0}, "bottleneck_dim must be an integer >= 1, got bottleneck_dim=0"),
        ("moco_v2", {"temperature": 0}, "temperature must be a number > 0, got temperature=0"),
        ("moco_v2", {"momentum": -1}, "momentum must be a number >= 0 and <= 1, got momentum=-1"),
        ("moco_v2", {"queue_size": 0}, "queue_size must be an integer >= 1, got queue_size=0"),
    ],
)
def test_a_bad_value_of_the_objective_is_an_error_of_the_method(name: str, params: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidValueError, match=rule):
        METHODS.get(name)(**params)


@pytest.mark.parametrize("name", NAMES)
def test_only_the_encoder_is_kept_and_can_be_fine_tuned(name: str) -> None:
    fitted = fit(name)
    # 4-8-8-16 channels: two 3 x 3 convolutions use up a patch of 5, the last is 1 x 1; two numbers per normalisation.
    assert fitted.n_parameters == 9 * 4 * 8 + 9 * 8 * 8 + 8 * 16 + 2 * (8 + 8 + 16)
    assert fitted.embed().shape == (320, 16)
    assert [(curve, step) for curve, step, _ in fitted.curves] == [("loss", 0), ("loss", 5)]
    assert fitted.classify is None
    before = fitted.embed().clone()
    assert fitted.fine_tune is not None
    scores = fitted.fine_tune(torch.arange(6), torch.tensor([0, 1, 2, 0, 1, 2]), 3, 1e-3)
    assert scores.shape == (320, 3)
    assert torch.equal(fitted.embed(), before)
