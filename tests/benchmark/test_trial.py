"""A trial's identity: the same everywhere, another one for every change, blind to what is repeated over."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math

import numpy as np
import pytest

from benchmark import BENCHMARK_VERSION, SplitSpec, Trial, plan_trial
from benchmark.trial import canonical_json, derived_seed
from tests.scene_factory import tiny_scene

TRIAL = Trial(
    scene="Café",
    scene_hash="00ff",
    split=SplitSpec(rule="random", labels_per_class=5, val_per_class=6, patch_size=7, index=8),
    method="some_method",
    params='{"a":1,"b":[0.1,null]}',
    protocol="some_protocol",
    protocol_params="{}",
    seed=9,
)
OTHERS = {
    "scene": "other", "scene_hash": "00fe", "method": "other", "params": '{"a":2,"b":[0.1,null]}', "protocol": "other",
    "protocol_params": '{"c":0}', "seed": 10, "purpose": "search",
}  # fmt: skip
OTHER_SPLITS = {
    "rule": "block",
    "labels_per_class": 4,
    "val_per_class": 4,
    "patch_size": 9,
    "index": 0,
    "labels_percent": 5.0,
    "masks": "some_masks",
}


def sha(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def test_the_id_is_that_of_its_published_recipe() -> None:
    described = {
        "scene": "Café",
        "scene_hash": "00ff",
        "split": {"rule": "random", "labels_per_class": 5, "val_per_class": 6, "patch_size": 7, "index": 8},
        "method": "some_method",
        "params": '{"a":1,"b":[0.1,null]}',
        "protocol": "some_protocol",
        "protocol_params": "{}",
        "seed": 9,
        "purpose": "trial",
    }
    assert TRIAL.trial_id == sha([BENCHMARK_VERSION, described])
    del described["seed"], described["purpose"], described["split"]["index"]
    assert TRIAL.config_id == sha([BENCHMARK_VERSION, described])


def variants() -> dict[str, Trial]:
    changed = {name: dataclasses.replace(TRIAL, **{name: value}) for name, value in OTHERS.items()}
    for name, value in OTHER_SPLITS.items():
        split = dataclasses.replace(TRIAL.split, **{name: value})
        changed[f"split.{name}"] = dataclasses.replace(TRIAL, split=split)
    return changed


def test_every_field_changes_the_id() -> None:
    assert set(OTHERS) == {field.name for field in dataclasses.fields(Trial)} - {"split"}
    assert set(OTHER_SPLITS) == {field.name for field in dataclasses.fields(SplitSpec)}
    ids = {TRIAL.trial_id, *(changed.trial_id for changed in variants().values())}
    assert len(ids) == 1 + len(OTHERS) + len(OTHER_SPLITS)
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in ids)


def test_the_configuration_ignores_what_is_repeated_over() -> None:
    same = {name for name, changed in variants().items() if changed.config_id == TRIAL.config_id}
    assert same == {"seed", "split.index", "purpose"}


def test_trials_share_a_fit_where_the_fit_cannot_differ() -> None:
    def same(uses_split: bool) -> set[str]:
        wanted = TRIAL.fit_id(uses_split)
        return {name for name, changed in variants().items() if changed.fit_id(uses_split) == wanted}

    blind = {"protocol", "protocol_params", "purpose"}
    assert same(uses_split=True) == blind
    assert same(uses_split=False) == blind | {f"split.{name}" for name in OTHER_SPLITS}


def test_the_version_of_the_rules_changes_every_id(monkeypatch: pytest.MonkeyPatch) -> None:
    before = TRIAL.trial_id, TRIAL.config_id, TRIAL.fit_id(True)
    monkeypatch.setattr("benchmark.trial.BENCHMARK_VERSION", BENCHMARK_VERSION + "x")
    assert not {*before} & {TRIAL.trial_id, TRIAL.config_id, TRIAL.fit_id(True)}


def test_trials_are_hashable_values() -> None:
    copy = dataclasses.replace(TRIAL)
    assert {TRIAL: 1}[copy] == 1
    assert len({TRIAL, copy, *variants().values()}) == 1 + len(variants())
    with pytest.raises(dataclasses.FrozenInstanceError):
        TRIAL.seed = 0


def test_a_default_written_out_is_the_same_trial() -> None:
    scene = tiny_scene()
    split = SplitSpec(rule="random", labels_per_class=3, val_per_class=3, patch_size=9)
    plain = plan_trial(scene, method="mined_negatives", split=split)
    parameters = plain.method_params()
    assert {"temperature", "hard_fraction", "n_clusters", "views", "steps", "learning_rate"} <= set(parameters)
    assert plan_trial(scene, method="mined_negatives", params=parameters, split=split) == plain
    backwards = dict(reversed(parameters.items()))
    assert plan_trial(scene, method="mined_negatives", params=backwards, split=split).trial_id == plain.trial_id
    written = plan_trial(
        scene, method="mined_negatives", protocol="linear", protocol_params=plain.protocol_parameters(), split=split
    )
    assert written == plain
    changed = plan_trial(scene, method="mined_negatives", params={"temperature": 0.2}, split=split)
    assert changed.config_id != plain.config_id


def test_canonical_json_is_one_text_per_value() -> None:
    assert canonical_json({"b": (1, None), "a": {"d": 0.1, "c": True}}) == '{"a":{"c":true,"d":0.1},"b":[1,null]}'
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="JSON"):
            canonical_json({"a": value})


def test_derived_seeds_are_in_range_and_depend_on_every_part() -> None:
    seeds = {derived_seed(*parts) for parts in [("a", 1), ("a", 2), ("b", 1), ("a", "1"), ("a1",), ("a", 1, 0)]}
    assert len(seeds) == 6
    drawn = np.array([derived_seed("x", index) for index in range(200)])
    assert drawn.min() >= 0
    assert drawn.max() < 2**63
    # The highest bit in use is set about as often as not.
    assert 60 < (drawn >= 2**62).sum() < 140
    first_bytes = hashlib.sha256(b'["split",3]').digest()[:8]
    assert derived_seed("split", 3) == int.from_bytes(first_bytes, "big") // 2


def test_a_whole_number_of_per_cent_is_the_same_budget() -> None:
    assert SplitSpec(labels_percent=10).described() == SplitSpec(labels_percent=10.0).described()
    assert canonical_json(SplitSpec(labels_percent=10).described()).count("10.0") == 1
