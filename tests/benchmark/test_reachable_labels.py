"""Nothing that a fit is given leads to labels that it may not see, and looking for them finds them where they are."""

from __future__ import annotations

import copy
import functools
import weakref
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import METHODS, SplitSpec, fitting, plan_trial, run_trial
from benchmark.diagnostics import NegativeDiagnostics, Reporter
from benchmark.memo import Memo
from hsicl_core.miners.base import Candidates, Mask
from tests.benchmark.entrants import tiny_params
from tests.reachable import everything_from, holds_labels
from tests.scene_factory import tiny_scene

SCENE = tiny_scene()
TRUTH = SCENE.labels.reshape(-1)
HIDDEN = TRUTH >= 0
SPLIT = SplitSpec(rule="random", labels_per_class=4, val_per_class=3, patch_size=5)


@dataclass
class Slotted:
    __slots__ = ("kept",)

    kept: Any


def by_closure(kept: object) -> Any:
    return lambda: kept


def by_default(kept: object) -> Any:
    def function(given: object = kept) -> object:
        return given

    return function


def by_generator(kept: object) -> Any:
    waiting = (kept for _ in range(2))
    next(waiting)
    return waiting


def by_weak_reference(kept: torch.Tensor) -> Any:
    return [weakref.ref(kept), by_closure(kept)]


WAYS = {
    "attribute": lambda kept: SimpleNamespace(of=SimpleNamespace(it=kept)),
    "slot": Slotted,
    "item": lambda kept: {"a": [{1: (kept,)}]},
    "closure": by_closure,
    "default": by_default,
    "partial": lambda kept: functools.partial(print, kept),
    "method": lambda kept: NegativeDiagnostics(kept).summary,
    "generator": by_generator,
    "cell of a view": lambda kept: kept.reshape(2, -1),
    "part of its memory": lambda kept: kept[5:6],
    "array": lambda kept: kept.numpy().reshape(SCENE.labels.shape),
    "part of an array": lambda kept: [kept.clone().numpy()[:3]],
    "list": lambda kept: kept.tolist(),
    "other numbers": lambda kept: kept.float().clamp(min=0),
    "weak reference": by_weak_reference,
}


@pytest.mark.parametrize("way", WAYS)
def test_labels_are_found_wherever_they_are_kept(way: str) -> None:
    root = WAYS[way](torch.from_numpy(TRUTH.copy()))
    assert any(holds_labels(found, TRUTH, HIDDEN) for found in everything_from(root))


def test_other_maps_are_no_labels() -> None:
    wrong = TRUTH.copy()
    wrong[np.flatnonzero(HIDDEN)[-1]] += 1
    for found in (wrong, torch.from_numpy(wrong), wrong.tolist(), TRUTH[:-1], "labels", 3, [], [[1], [2, 3]]):
        assert not holds_labels(found, TRUTH, HIDDEN)


def watch(observer: Any) -> None:
    """Show what a fit shows: pseudolabels and a step."""
    pixels = torch.arange(100, 108)
    similarity = torch.eye(16)
    candidates = Candidates.of_batch(similarity, torch.full((8,), -1))
    others = candidates.of_others()
    observer.saw_pseudo_labels(0, pixels, pixels % 3)
    assert observer.wants(0)
    observer.saw_step(0, pixels, candidates, Mask(others, torch.zeros_like(others)), 0.5)


def test_a_reporter_passes_on_all_that_it_is_told_and_leads_nowhere() -> None:
    labels = torch.from_numpy(TRUTH.copy())
    told, direct = NegativeDiagnostics(labels), NegativeDiagnostics(labels)
    reporter = Reporter(told)
    watch(reporter)
    watch(direct)
    assert told.curves == direct.curves != []
    assert told.summary() == direct.summary()
    assert [reporter.wants(step) for step in range(60)] == [direct.wants(step) for step in range(60)]
    reached = list(everything_from(reporter))
    assert not any(holds_labels(found, TRUTH, HIDDEN) for found in reached)
    assert not any(found is told or found is told.curves for found in reached)


def test_a_reporter_keeps_its_diagnostics_alive_and_lets_them_go_with_it() -> None:
    labels = torch.from_numpy(TRUTH.copy())
    alive = weakref.ref(labels)
    reporter = Reporter(NegativeDiagnostics(labels))
    del labels
    assert alive() is not None
    watch(reporter)
    del reporter
    assert alive() is None


def test_a_copied_reporter_tells_nobody() -> None:
    told = NegativeDiagnostics(torch.from_numpy(TRUTH.copy()))
    reporter = Reporter(told)
    silent = copy.deepcopy(reporter)
    assert not silent.wants(0)
    silent.saw_pseudo_labels(0, torch.arange(3), torch.arange(3))
    assert told.curves == []


def test_the_record_holds_what_the_diagnostics_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_MEMO", Memo(size=16))
    params = tiny_params(METHODS.get("mined_negatives"))
    trial = plan_trial(SCENE, method="mined_negatives", params=params, protocol="knn", split=SPLIT)
    record = run_trial(trial, SCENE)
    assert record.status == "ok", record.error
    assert {"purity", "false_negative_rate_after"} <= set(record.diagnostics)
    assert {"purity", "false_negative_rate_after"} <= {point["name"] for point in record.curves}
