"""A plan is checked before anything is computed, and trials that share a fit find each other."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from benchmark import InvalidValueError, SplitSpec, Trial, UnknownNameError, group_trials, plan_trial
from benchmark.planning import parameter_names, split_of
from hsicl_core.errors import SplitError, UserError
from tests.benchmark.entrants import BrokenChoice
from tests.scene_factory import tiny_scene

SCENE = tiny_scene()
SPLIT = SplitSpec(rule="random", labels_per_class=4, val_per_class=3, patch_size=9)

pytestmark = pytest.mark.usefixtures("entrants")


def plan(method: str = "nt_xent", **options: Any) -> Trial:
    return plan_trial(SCENE, method=method, **{"split": SPLIT, **options})


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"method": "nt_xnet"}, UnknownNameError, ["method 'nt_xnet'", "did you mean 'nt_xent'?"]),
        ({"protocol": "liner"}, UnknownNameError, ["protocol 'liner'", "did you mean 'linear'?"]),
        ({"split": SplitSpec(rule="blok")}, UnknownNameError, ["split rule 'blok'", "did you mean 'block'?"]),
        ({"params": {"temprature": 1}}, UnknownNameError, ["'nt_xent'", "'temprature'", "did you mean 'temperature'?"]),
        ({"protocol_params": {"penalty": 1}}, UnknownNameError, ["'linear'", "'penalty'", "inverse_penalties"]),
        ({"params": {"temperature": 0}}, InvalidValueError, ["temperature=0", "> 0"]),
        ({"params": {"temperature": math.nan}}, InvalidValueError, ["temperature=nan"]),
        ({"params": {"steps": 0}}, InvalidValueError, ["steps=0", ">= 1"]),
        ({"params": {"patch_size": 4}}, InvalidValueError, ["patch_size=4", "odd"]),
        ({"params": {"views": ["flip_rotat"]}}, UnknownNameError, ["view 'flip_rotat'", "'flip_rotate'"]),
        ({"method": "mined_negatives", "params": {"hard_fraction": 1.5}}, InvalidValueError, ["hard_fraction=1.5"]),
        ({"method": "mined_negatives", "params": {"pseudolabels": "kmeans"}}, UnknownNameError, ["'k_means'"]),
        ({"method": "mined_negatives", "params": {"n_clusters": 0}}, InvalidValueError, ["n_clusters=0"]),
        (
            {"method": "mined_negatives", "params": {"cluster_window": 11}}, InvalidValueError,
            ["cluster_window=11", "patch_size=9"],
        ),
        ({"params": {"patch_size": 11}}, InvalidValueError, ["'nt_xent' sees 11 x 11", "patch_size=9"]),
        ({"protocol": "own_classifier"}, InvalidValueError, ["'own_classifier' reads scores", "'nt_xent'"]),
        ({"seed": -1}, InvalidValueError, ["seed=-1", ">= 0"]),
        ({"seed": 1.0}, InvalidValueError, ["seed=1.0"]),
        ({"purpose": "test"}, InvalidValueError, ["purpose='test'", "search, trial"]),
        ({"split": dataclasses.replace(SPLIT, index=-1)}, InvalidValueError, ["index=-1"]),
        ({"split": dataclasses.replace(SPLIT, labels_per_class=0)}, InvalidValueError, ["labels_per_class=0"]),
        ({"split": dataclasses.replace(SPLIT, labels_per_class=999)}, SplitError, ["labels_per_class=999"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(options: dict[str, Any], error: type[UserError], named: list[str]) -> None:
    with pytest.raises(error) as caught:
        plan(**options)
    message = str(caught.value)
    assert "\n" not in message
    for part in named:
        assert part in message


def test_a_plan_needs_no_more_than_its_scene_and_method() -> None:
    planned = plan_trial(tiny_scene(height=80, width=96), method="raw_spectra")
    assert planned.split == SplitSpec()
    assert (planned.protocol, planned.seed, planned.purpose, planned.params) == (
        "linear",
        0,
        "trial",
        '{"transductive":true}',
    )


def test_methods_that_see_less_than_the_guard_are_welcome() -> None:
    assert plan(params={"patch_size": 5}).method_params()["patch_size"] == 5


def test_trials_group_by_their_fit_in_the_order_given() -> None:
    split_1 = dataclasses.replace(SPLIT, index=1)
    a, b, c, d, e = (
        plan(), plan(seed=1), plan(split=split_1), plan(protocol="svm"), plan(params={"temperature": 0.5}),
    )  # fmt: skip
    assert group_trials([b, a, c, e, d]) == [(b,), (a, c, d), (e,)]
    assert group_trials([]) == []
    # A fit that sees training labels is shared by trials of the same split only.
    first, other, scored = plan("spy_train"), plan("spy_train", split=split_1), plan("spy_train", protocol="svm")
    assert group_trials([first, other, scored]) == [(first, scored), (other,)]


def test_an_inductive_fit_is_shared_by_trials_of_its_split_only() -> None:
    split_1 = dataclasses.replace(SPLIT, index=1)
    for method in ("nt_xent", "raw_spectra"):
        options: list[dict[str, Any]] = [{}, {"split": split_1}, {"protocol": "svm"}]
        first, other, scored = (plan(method, params={"transductive": False}, **given) for given in options)
        assert group_trials([first, other, scored]) == [(first, scored), (other,)]
        first, other, scored = (plan(method, params={"transductive": True}, **given) for given in options)
        assert group_trials([first, other, scored]) == [(first, other, scored)]


def test_scenes_of_equal_names_do_not_share_a_fit() -> None:
    other = plan_trial(tiny_scene(seed=1), method="nt_xent", split=SPLIT)
    assert len(group_trials([plan(), other])) == 2


def test_a_split_is_made_once_and_is_that_of_its_spec() -> None:
    split = split_of(SCENE, SPLIT)
    assert split_of(tiny_scene(), dataclasses.replace(SPLIT)) is split
    assert (split.rule, split.patch_size, len(split.train), len(split.val)) == ("random", 9, 16, 12)
    assert split_of(SCENE, dataclasses.replace(SPLIT, index=1)).train.tolist() != split.train.tolist()


def test_parameter_names_are_the_fields() -> None:
    assert parameter_names(BrokenChoice) == ["fails_above"]


def test_equal_values_of_another_type_are_the_same_trial():
    values = (1, 1.0, np.float64(1), np.int64(1))
    trials = [plan_trial(SCENE, method="nt_xent", params={"temperature": value}, split=SPLIT) for value in values]
    assert len({trial.trial_id for trial in trials}) == 1
    assert plan_trial(SCENE, method="nt_xent", params={"temperature": 1.5}, split=SPLIT) not in trials


def test_equal_values_of_optional_and_paired_parameters_are_the_same_trial() -> None:
    given = [
        {"refresh_epochs": 1, "easy": "ring", "easy_ring": [0, 1], "n_negatives": 8},
        {"refresh_epochs": 1.0, "easy": "ring", "easy_ring": (0.0, 1.0), "n_negatives": 8},
    ]
    first, second = (plan("mined_negatives", params=params) for params in given)
    assert first.trial_id == second.trial_id
    assert '"n_negatives":8,' in first.params
