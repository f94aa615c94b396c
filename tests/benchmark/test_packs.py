"""Fits that are trained as one: packed as they go together, recorded each for itself, none harmed by another."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark import METHODS, InvalidValueError, SplitSpec, Trial, fitting, group_trials, plan_trial, run_group
from benchmark.memo import Memo
from benchmark.planning import pack_groups
from benchmark.runner import run_pack
from results import RunRecord
from results.schema import VOLATILE_COLUMNS
from tests.benchmark.entrants import Fusing, tiny_params
from tests.scene_factory import tiny_scene

SCENE = tiny_scene()
OTHER = dataclasses.replace(SCENE, name="other")
CPU = torch.device("cpu")
SPLIT = SplitSpec(rule="random", labels_per_class=4, val_per_class=3, patch_size=5)

pytestmark = pytest.mark.usefixtures("entrants")


@pytest.fixture(autouse=True)
def packs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, ...]]:
    """The levels of those that were fitted together, call by call."""
    monkeypatch.setattr(fitting, "_MEMO", Memo(size=16))
    monkeypatch.setattr(Fusing, "packs", [])
    return Fusing.packs


def groups_of(*levels: float, n_splits: int = 1, scene: Any = SCENE, method: str = "fusing", **params: Any) -> Any:
    return group_trials(
        plan_trial(
            scene, method=method, params={"level": level, **params}, protocol="knn", seed=place,
            split=dataclasses.replace(SPLIT, index=index),
        )
        for place, level in enumerate(levels) for index in range(n_splits)
    )  # fmt: skip


def lasting(record: RunRecord) -> dict[str, Any]:
    """All columns but those that a rerun may change."""
    return {name: value for name, value in dataclasses.asdict(record).items() if name not in VOLATILE_COLUMNS}


def test_the_records_of_a_pack_are_those_of_each_alone(packs: list[Any]) -> None:
    groups = groups_of(0.0, 0.5, 2.0, n_splits=2)
    together = list(run_pack(groups, SCENE, device="cpu"))
    assert packs == [(0.0, 0.5, 2.0)]
    alone = [record for group in groups for record in run_group(group, SCENE, device="cpu")]
    assert len(packs) == 1
    assert [lasting(record) for record in together] == [lasting(record) for record in alone]
    assert [record.trial_id for record in together] == [trial.trial_id for group in groups for trial in group]
    assert {record.n_fused for record in together} == {3}
    assert {record.n_fused for record in alone} == {1}
    # An equal share of what all took, for each.
    assert len({record.fit_s for record in together}) == 1
    # They are different fits.
    assert len({json.dumps(record.confusion_test) for record in together}) > 3


def test_what_breaks_of_a_pack_leaves_the_others(packs: list[Any]) -> None:
    groups = groups_of(0.5, -1.0, 1e39, 2.0, n_splits=2)
    records = list(run_pack(groups, SCENE, device="cpu"))
    assert packs == [(0.5, -1.0, 1e39, 2.0)]
    assert [record.status for record in records] == ["ok", "ok", "failed", "failed", "diverged", "diverged", "ok", "ok"]
    assert "the fit broke" in str(records[2].error)
    for place in (0, 3):
        alone = list(run_group(groups[place], SCENE, device="cpu"))
        assert [lasting(record) for record in records[2 * place : 2 * place + 2]] == list(map(lasting, alone))


def test_who_cannot_even_be_prepared_is_not_counted(monkeypatch: pytest.MonkeyPatch, packs: list[Any]) -> None:
    prepare = fitting._visible_pixels

    def refuse(method: Any, trial: Trial, scene: Any) -> Any:
        if method.level == 1.0:
            raise RuntimeError("no pixels")
        return prepare(method, trial, scene)

    monkeypatch.setattr(fitting, "_visible_pixels", refuse)
    records = list(run_pack(groups_of(0.0, 1.0, 2.0), SCENE, device="cpu"))
    assert [record.status for record in records] == ["ok", "failed", "ok"]
    assert packs == [(0.0, 2.0)]
    assert [record.n_fused for record in records] == [2, None, 2]


def test_the_embeddings_are_made_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    # All at once they would be the largest thing in memory.
    done: list[str] = []
    embed = fitting._embedded
    monkeypatch.setattr(fitting, "_embedded", lambda *given: (done.append("embedded"), embed(*given))[1])
    for _ in run_pack(groups_of(0.0, 1.0), SCENE, device="cpu"):
        done.append("scored")
    assert done == ["embedded", "scored"] * 2


@pytest.mark.parametrize(
    "groups",
    [
        [("raw_spectra", {}), ("principal_components", {})],
        [("fusing", {"kind_of_net": "small"}), ("fusing", {"kind_of_net": "large"})],
        [("fusing", {"kind_of_net": ""}), ("fusing", {"kind_of_net": "", "level": 1.0})],
    ],
)
def test_what_cannot_be_trained_as_one_is_refused(groups: list[tuple[str, dict[str, Any]]]) -> None:
    planned = [
        (plan_trial(SCENE, method=name, params=params, protocol="knn", split=SPLIT, seed=seed),)
        for seed, (name, params) in enumerate(groups)
    ]
    with pytest.raises(InvalidValueError, match="pack them with pack_groups first"):
        run_pack(planned, SCENE, device="cpu")


def test_trials_of_another_scene_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="plan it again with this scene"):
        run_pack(groups_of(0.0), tiny_scene(height=17), device="cpu")


def all_kinds() -> Iterator[tuple[Trial, ...]]:
    """Groups of every kind: two scenes, two shapes of network, one that is always alone."""
    for scene, kind in itertools.product((SCENE, OTHER), ("small", "large", "")):
        yield from groups_of(0.0, 1.0, 2.0, scene=scene, kind_of_net=kind)


@given(data=st.data())
def test_every_group_is_in_one_pack_with_its_like(data: st.DataObject) -> None:
    groups = data.draw(st.permutations(list(all_kinds())))
    most = data.draw(st.integers(1, 4))
    packs = pack_groups(groups, size=lambda _: most)
    assert sorted(group[0].trial_id for pack in packs for group in pack) == sorted(g[0].trial_id for g in groups)
    place = {group: number for number, group in enumerate(groups)}
    for pack in packs:
        kinds = {(group[0].scene, group[0].method_params()["kind_of_net"]) for group in pack}
        assert len(kinds) == 1
        assert len(pack) <= (1 if ("tiny", "") in kinds or ("other", "") in kinds else most)
        assert [place[group] for group in pack] == sorted(place[group] for group in pack)
    assert [place[pack[0]] for pack in packs] == sorted(place[pack[0]] for pack in packs)
    # No more packs than needed: three of a kind, and the six that are alone.
    assert len(packs) == 4 * math.ceil(3 / most) + 6


@pytest.mark.parametrize("method", ["mined_negatives", "nt_xent", "oracle_negatives", "hcl"])
def test_real_entrants_are_trained_as_one(method: str) -> None:
    params = {**tiny_params(METHODS.get(method)), "steps": 6}
    groups = group_trials(
        plan_trial(SCENE, method=method, params=params, protocol="knn", split=SPLIT, seed=seed) for seed in range(3)
    )
    (pack,) = pack_groups(groups, size=lambda _: 3)
    fused = list(fitting.fit_scenes([group[0] for group in pack], SCENE, CPU))
    for (planned,), found in zip(pack, fused, strict=True):
        assert not isinstance(found, Exception)
        alone = fitting.fit_scene(planned, SCENE, CPU)
        np.testing.assert_allclose(found.embedding, alone.embedding, rtol=1e-3, atol=1e-4)
        assert [point["step"] for point in found.columns["curves"]] == [p["step"] for p in alone.columns["curves"]]
        assert found.columns["diagnostics"].keys() == alone.columns["diagnostics"].keys()
    assert np.abs(fused[0].embedding - fused[1].embedding).max() > 0.01


def test_entrants_that_learn_from_more_than_the_loss_are_alone() -> None:
    assert METHODS.get("mined_negatives")().fusion == METHODS.get("nt_xent")().fusion is not None
    assert METHODS.get("mined_negatives")(temperature=0.7).fusion == METHODS.get("mined_negatives")().fusion
    assert METHODS.get("mined_negatives")(width=32).fusion != METHODS.get("mined_negatives")().fusion
    for name, params in (("mined_joint", {}), ("byol", {}), ("mined_negatives", {"transductive": False})):
        assert METHODS.get(name)(**params).fusion is None
