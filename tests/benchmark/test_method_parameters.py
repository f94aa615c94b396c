"""Every parameter of every method reaches what is learnt, and a bad value is refused in one line that says why."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import METHODS, InvalidValueError, UnknownNameError, plan_trial
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods._contrastive import ContrastiveMethod
from benchmark.methods._labelling import LabellingMethod
from benchmark.methods.base import FitData
from benchmark.trial import SplitSpec, canonical_json
from hsicl_core.errors import UserError
from hsicl_core.observing import SilentObserver
from hsicl_core.preprocessing import standardize
from tests.benchmark.entrants import tiny_params
from tests.scene_factory import tiny_scene

SCENE = tiny_scene(height=16, width=20)
TRUTH = torch.from_numpy(SCENE.labels.reshape(-1).copy())
CONTRASTIVE = [name for name in METHODS.names() if issubclass(METHODS.get(name), ContrastiveMethod)]

# A method, what its parameters are beside the tiny ones, and a change of them that changes the embedding.
Change = tuple[str, dict[str, Any], dict[str, Any]]
OURS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"patch_size": 7}),
    ({}, {"n_components": 5}),
    ({}, {"width": 4}),
    ({}, {"projection_dim": 4}),
    ({}, {"views": ["flip_rotate"]}),
    ({}, {"views": ["neighbour_pixel", "flip_rotate", "channel_dropout"]}),
    ({}, {"view_options": {"channel_dropout": {"share": 0.5}}}),
    ({"views": ["neighbour_pixel"]}, {"view_options": {"neighbour_pixel": {"radius": 3}}}),
    ({}, {"steps": 5}),
    ({}, {"batch_size": 8}),
    ({}, {"learning_rate": 0.01}),
    ({}, {"weight_decay": 0.5}),
    ({}, {"precision": "bfloat16"}),
    ({}, {"temperature": 0.3}),
    ({}, {"hard_fraction": 0.9}),
    ({}, {"n_negatives": 4}),
    ({}, {"n_negatives": None}),
    ({}, {"elimination": "off"}),
    ({}, {"elimination": "soft"}),
    ({}, {"elimination": "thresholded"}),
    ({"elimination": "thresholded"}, {"confidence_threshold": 0.9}),
    ({}, {"easy": "uniform"}),
    ({"easy": "ring"}, {"easy_ring": [0.5, 0.9]}),
    ({}, {"guard_quantile": 0.2}),
    ({}, {"ratio_schedule": "linear", "hard_fraction_end": 1.0}),
    ({"ratio_schedule": "linear", "hard_fraction_end": 1.0, "n_negatives": 20}, {"ratio_schedule": "cosine"}),
    ({"ratio_schedule": "linear", "hard_fraction_end": 1.0}, {"hard_fraction_end": 0.0}),
    ({}, {"hardness": "ema"}),
    ({}, {"hardness": "frozen"}),
    ({}, {"hardness": "spectral_angle"}),
    ({"hardness": "frozen"}, {"features": "spectra"}),
    ({}, {"bank_size": 8}),
    ({}, {"negative_scaling": 1.0}),
    ({}, {"pseudolabels": "mini_batch_k_means"}),
    ({}, {"n_clusters": 3}),
    ({}, {"pseudolabel_options": {"max_iter": 1}}),
    ({}, {"features": "pca"}),
    ({"refresh_epochs": 0.1}, {"features": "embeddings"}),
    ({}, {"cluster_window": 1}),
    ({}, {"refresh_epochs": 0.1}),
    ({"refresh_epochs": 0.1}, {"refresh_epochs": 0.2}),
    ({}, {"label_noise": 0.5}),
    ({"refresh_epochs": 0.1, "features": "embeddings"}, {"label_noise": 0.5}),
    ({"refresh_epochs": 0.1, "features": "embeddings"}, {"n_clusters": 3}),
]
CHANGES: list[Change] = [
    *[("mined_negatives", base, change) for base, change in OURS],
    ("nt_xent", {}, {"temperature": 0.3}),
    ("debiased", {}, {"tau_plus": 0.2}),
    ("hcl", {}, {"tau_plus": 0.2}),
    ("hcl", {}, {"beta": 2.0}),
    ("false_negative_cancellation", {}, {"top_k": 1}),
    ("false_negative_cancellation", {}, {"threshold": 0.3}),
    ("false_negative_cancellation", {}, {"cancellation": "eliminate"}),
    ("sup_con_clusters", {}, {"elimination": "hard"}),
    ("equal_count", {}, {"ratio_schedule": "linear", "hard_fraction_end": 1.0}),
    ("equal_count", {}, {"bank_size": 8}),
    ("incremental_detection", {"refresh_epochs": 0.1}, {"accepted_start": 0.8}),
    ("incremental_detection", {"refresh_epochs": 0.1}, {"accepted_end": 0.2}),
    ("incremental_detection", {"refresh_epochs": 0.1, "ratio_schedule": "linear", "hard_fraction_end": 1.0},
     {"hard_fraction_end": 0.0}),
    ("prototypical", {"refresh_epochs": 0.1}, {"prototype_weight": 0.0}),
    ("prototypical", {"refresh_epochs": 0.1}, {"refresh_epochs": 0.2}),
    ("oracle_negatives", {}, {"bank_size": 8}),
    ("oracle_negatives", {}, {"hardness": "frozen"}),
    ("mined_few_label", {}, {"refresh_epochs": 0.1}),
    ("mined_joint", {}, {"contrastive_weight": 0.5}),
    ("mined_joint", {}, {"labelled_batch_size": 3}),
]  # fmt: skip


def data(sees: str) -> FitData:
    shown = torch.zeros(len(TRUTH), dtype=torch.bool)
    shown[::7] = True
    labels = {"none": torch.full_like(TRUTH, -1), "train": torch.where(shown, TRUTH, -1), "all": TRUTH.clone()}[sees]
    return FitData(
        cube=torch.from_numpy(SCENE.cube.copy()), pixels=torch.arange(len(TRUTH)), labels=labels, seed=0,
        device=torch.device("cpu"), observer=SilentObserver(), memo=ScopedMemo(Memo()),
    )  # fmt: skip


@functools.cache
def embedding(name: str, params: str) -> Tensor:
    member = METHODS.get(name)
    method = member(**json.loads(params))
    return method.fit(data(member.sees_labels)).embed()


def params_of(name: str, *given: dict[str, Any]) -> str:
    # With a few more steps than elsewhere: a refresh comes after the first.
    merged = {**tiny_params(METHODS.get(name)), "steps": 6}
    for part in given:
        merged.update(part)
    return canonical_json(merged)


@pytest.mark.parametrize(("name", "base", "change"), CHANGES, ids=[f"{name}-{change}" for name, _, change in CHANGES])
def test_a_changed_value_changes_the_embedding(name: str, base: dict[str, Any], change: dict[str, Any]) -> None:
    before = embedding(name, params_of(name, base))
    after = embedding(name, params_of(name, base, change))
    assert before.isfinite().all()
    assert after.isfinite().all()
    assert before.shape != after.shape or not torch.equal(before, after)


@pytest.mark.parametrize("name", CONTRASTIVE)
def test_no_parameter_is_left_out_above(name: str) -> None:
    member = METHODS.get(name)
    changed = {field for other, _, change in CHANGES if other == name for field in change}
    changed |= {field for _, change in OURS for field in change}
    # Whether it is transductive is the runner's business, see test_inductive.py.
    assert {field.name for field in dataclasses.fields(member)} - changed <= {"transductive"}


# What is refused.

LEARNED = {"features": "embeddings"}
BAD: list[tuple[str, dict[str, Any], type[UserError], list[str]]] = [
    ("nt_xent", {"view_options": {"channel_noise": {}}}, InvalidValueError, ["'channel_noise'", "not among views="]),
    ("nt_xent", {"view_options": {"channel_dropout": {"shar": 1}}}, UnknownNameError,
     ["view 'channel_dropout'", "'shar'", "did you mean 'share'"]),
    ("nt_xent", {"view_options": {"channel_dropout": {"share": 2.0}}}, InvalidValueError, ["share=2.0"]),
    ("nt_xent", {"views": ["neighbour_pixel"], "view_options": {"neighbour_pixel": {"radius": 0}}}, InvalidValueError,
     ["radius=0", ">= 1"]),
    ("mined_negatives", LEARNED, InvalidValueError, ["features='embeddings'", "refresh_epochs=None"]),
    ("mined_joint", LEARNED, InvalidValueError, ["features='embeddings'", "refresh_epochs=None"]),
    ("prototypical", {"refresh_epochs": None}, InvalidValueError, ["features='embeddings'", "refresh_epochs=None"]),
    ("prototypical", {"refresh_epochs": None, "features": "pca"}, InvalidValueError, ["refresh_epochs=None"]),
    ("prototypical", {"elimination": "attract"}, InvalidValueError, ["elimination='attract'", "centres do the"]),
    ("prototypical", {"negative_scaling": 1.0}, InvalidValueError, ["negative_scaling=1.0", "not scaled"]),
    ("mined_negatives", {"refresh_epochs": 0}, InvalidValueError, ["refresh_epochs=0", "> 0"]),
    ("mined_negatives", {"refresh_epochs": -1.5}, InvalidValueError, ["refresh_epochs=-1.5", "> 0"]),
    ("mined_negatives", {"features": "learned"}, InvalidValueError, ["features='learned'", "embeddings", "pca"]),
    ("mined_negatives", {"hard_fraction_end": 0.5}, InvalidValueError,
     ["hard_fraction_end=0.5", "ratio_schedule='constant'"]),
    ("mined_negatives", {"ratio_schedule": "linear"}, InvalidValueError,
     ["hard_fraction_end=None", "ratio_schedule='linear'"]),
    ("mined_negatives", {"ratio_schedule": "steps"}, InvalidValueError, ["ratio_schedule='steps'", "cosine"]),
    ("mined_negatives", {"ratio_schedule": "linear", "hard_fraction_end": 1.5}, InvalidValueError,
     ["hard_fraction_end=1.5", "<= 1"]),
    ("mined_negatives", {"hardness": "emma"}, UnknownNameError, ["measure of hardness 'emma'", "'ema'"]),
    ("mined_negatives", {"bank_size": -1}, InvalidValueError, ["bank_size=-1", ">= 0"]),
    ("mined_negatives", {"bank_size": 1.5}, InvalidValueError, ["bank_size=1.5", "integer"]),
    ("mined_negatives", {"elimination": "none"}, InvalidValueError, ["elimination='none'", "thresholded"]),
    ("mined_negatives", {"confidence_threshold": 1.5}, InvalidValueError, ["confidence_threshold=1.5", "<= 1"]),
    ("incremental_detection", {"elimination": "soft"}, InvalidValueError, ["elimination='soft'", "use 'hard'"]),
    ("incremental_detection", {"accepted_end": 1.5}, InvalidValueError, ["accepted_end=1.5", "<= 1"]),
    ("prototypical", {"prototype_weight": -1.0}, InvalidValueError, ["prototype_weight=-1.0", ">= 0"]),
    ("mined_joint", {"contrastive_weight": 1.5}, InvalidValueError, ["contrastive_weight=1.5", "<= 1"]),
    ("mined_joint", {"labelled_batch_size": 0}, InvalidValueError, ["labelled_batch_size=0", ">= 1"]),
    ("mined_joint", {"pseudolabels": "oracle"}, InvalidValueError, ["'oracle'", "may see train"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "params", "error", "named"), BAD, ids=[f"{row[0]}-{row[1]}" for row in BAD])
def test_a_bad_value_is_named_in_one_line(
    name: str, params: dict[str, Any], error: type[UserError], named: list[str]
) -> None:
    with pytest.raises(error) as caught:
        plan_trial(SCENE, method=name, params=params, split=SplitSpec(rule="random", labels_per_class=2))
    message = str(caught.value)
    assert "\n" not in message
    for part in named:
        assert part in message


def test_the_built_parts_hold_the_values() -> None:
    method = METHODS.get("mined_negatives")(
        views=("channel_dropout", "neighbour_pixel"),
        view_options={"channel_dropout": {"share": 0.5}, "neighbour_pixel": {"radius": 3}},
        bank_size=7, hardness="spectral_angle", temperature=0.3, ratio_schedule="cosine", hard_fraction_end=0.25,
        elimination="thresholded", confidence_threshold=0.75, easy="ring", easy_ring=[0.25, 0.5], guard_quantile=0.125,
    )  # fmt: skip
    objective = method.make_objective()
    dropout, neighbour = objective.views
    assert (dropout.share, neighbour.radius) == (0.5, 3)
    assert objective.bank_size == 7
    assert type(objective.hardness).__name__ == "SpectralAngleHardness"
    assert objective.loss.temperature == 0.3
    miner = objective.miner
    assert (miner.ratio_schedule, miner.hard_fraction_end) == ("cosine", 0.25)
    assert (miner.elimination, miner.confidence_threshold) == ("thresholded", 0.75)
    assert (miner.easy, miner.easy_ring, miner.guard_quantile) == ("ring", (0.25, 0.5), 0.125)
    # A measure of hardness belongs to one training.
    assert method.make_objective().hardness is not objective.hardness


@pytest.mark.parametrize("options", [{"hardness": "frozen"}, {"hardness": "spectral_angle"}, {"hardness": "online"}])
def test_hardness_is_given_the_vectors_that_it_needs(options: dict[str, Any]) -> None:
    method = METHODS.get("mined_negatives")(**{**tiny_params(METHODS.get("mined_negatives")), **options})
    assert isinstance(method, LabellingMethod)
    given = data("none")
    image = standardize(given.cube, given.pixels)
    vectors = method.complete(method.make_objective(), given, image).vectors
    expected = {
        "frozen": method.features_of(given, image), "spectral_angle": given.cube.reshape(320, 12), "online": None,
    }[options["hardness"]]  # fmt: skip
    if expected is None:
        assert vectors is None
    else:
        assert vectors is not None
        assert torch.equal(vectors, expected)
