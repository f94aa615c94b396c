"""Every kind of label budget: per class, in per cent, by masks; planned, identified, run and recorded."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmark import InvalidValueError, Scene, SplitSpec, Trial, UnknownNameError, plan_trial, run_trial
from benchmark.fixed_split import FixedSplit
from benchmark.planning import split_of
from benchmark.trial import canonical_json
from tests.scene_factory import tiny_scene
from tests.test_architecture import ROOT

SCENE = tiny_scene()
RELEASED = ROOT / "results" / "released" / "controls"


def with_masks() -> Scene:
    """The tiny scene with a split of every third and every other third labelled pixel."""
    labelled = np.flatnonzero(SCENE.labels >= 0)
    masks = np.zeros((2, *SCENE.labels.shape), dtype=np.uint8)
    masks[0].flat[labelled[::3]] = 1
    masks[1].flat[labelled[1::3]] = 1
    return dataclasses.replace(SCENE, fixed_splits={"thirds": FixedSplit(train=masks[0], test=masks[1])})


def plan(spec: SplitSpec, scene: Scene = SCENE) -> Trial:
    return plan_trial(scene, method="raw_spectra", protocol="knn", split=dataclasses.replace(spec, patch_size=3))


def test_identities_of_released_trials_are_what_they_were() -> None:
    """A spec that uses no new kind of budget is described as before there were any."""
    spec = SplitSpec(rule="block", labels_per_class=10)
    assert json.loads(canonical_json(spec.described())) == {
        "rule": "block", "labels_per_class": 10, "val_per_class": 10, "patch_size": 9, "index": 0,
    }  # fmt: skip
    (file,) = RELEASED.glob("*.parquet")
    row = pq.read_table(file).slice(0, 1).to_pylist()[0]
    trial = Trial(
        scene=row["scene"], scene_hash=row["scene_hash"], method=row["method"], params=row["params_json"],
        protocol=row["protocol"], protocol_params=row["protocol_params_json"], seed=row["seed"],
        split=dataclasses.replace(spec, index=row["split_index"]),
    )  # fmt: skip
    assert (trial.trial_id, trial.config_id) == (row["trial_id"], row["config_id"])


def test_a_budget_has_one_identity_however_it_is_written() -> None:
    first, second = (SplitSpec(rule="random", labels_percent=5.0, labels_per_class=n) for n in (10, 3))
    assert first == second
    assert first.labels_per_class is None
    budgets = [SplitSpec(), SplitSpec(labels_percent=5.0), SplitSpec(labels_percent=6.0), SplitSpec(masks="a")]
    assert len({canonical_json(spec.described()) for spec in budgets}) == 4
    assert [spec.budget for spec in budgets] == [
        "10 labels per class", "5% of every class", "6% of every class", "masks a",
    ]  # fmt: skip


def test_a_percentage_reaches_split_and_record() -> None:
    spec = SplitSpec(rule="random", labels_percent=10.0, val_per_class=2)
    record = run_trial(plan(spec), SCENE)
    assert record.status == "ok", record.error
    assert (record.labels_per_class, record.labels_percent, record.masks) == (None, 10.0, None)
    expected = [max(1, int(count / 10 + 0.5)) for count in SCENE.class_counts.tolist()]
    assert record.n_train == sum(expected)
    train = split_of(SCENE, plan(spec).split).train
    assert np.bincount(SCENE.labels.flat[train]).tolist() == expected


def test_masks_reach_split_and_record() -> None:
    scene = with_masks()
    trial = plan(SplitSpec(rule="given", masks="thirds", val_per_class=2), scene)
    record = run_trial(trial, scene)
    assert record.status == "ok", record.error
    fixed = scene.fixed_splits["thirds"]
    assert record.masks == f"thirds@{fixed.digest}"
    assert record.n_test == np.count_nonzero(fixed.test)
    assert (record.n_train or 0) + (record.n_val or 0) == np.count_nonzero(fixed.train)
    assert record.dropped is not None
    assert sum(record.dropped.values()) == np.count_nonzero(SCENE.labels >= 0) - np.count_nonzero(
        fixed.train + fixed.test
    )
    # Planned again from what the record says, it is the same trial.
    assert plan(SplitSpec(rule="given", masks=record.masks, val_per_class=2), scene) == trial


def test_other_masks_of_the_same_name_are_another_trial() -> None:
    scene = with_masks()
    spec = SplitSpec(rule="given", masks="thirds", val_per_class=2)
    fixed = scene.fixed_splits["thirds"]
    turned = dataclasses.replace(scene, fixed_splits={"thirds": FixedSplit(train=fixed.test, test=fixed.train)})
    assert turned.hash == scene.hash
    assert plan(spec, scene).trial_id != plan(spec, turned).trial_id
    assert not np.array_equal(
        split_of(scene, plan(spec, scene).split).train, split_of(turned, plan(spec, turned).split).train
    )


@pytest.mark.parametrize(
    ("spec", "error", "named"),
    [
        (SplitSpec(rule="given", masks="thrids"), UnknownNameError, ["'thrids'", "did you mean 'thirds'?"]),
        (SplitSpec(rule="given"), InvalidValueError, ["rule='given' with masks=None", "has: thirds"]),
        (SplitSpec(rule="block", masks="thirds"), InvalidValueError, ["rule='block' with masks='thirds'"]),
        (SplitSpec(rule="random", labels_percent=0.0), InvalidValueError, ["labels_percent=0.0", "above 0"]),
        (SplitSpec(rule="random", labels_percent=100.0), InvalidValueError, ["labels_percent=100.0", "below 100"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(spec: SplitSpec, error: type[Exception], named: list[str]) -> None:
    with pytest.raises(error) as caught:
        plan(spec, with_masks())
    assert "\n" not in str(caught.value)
    for text in named:
        assert text in str(caught.value)
