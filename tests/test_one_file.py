"""To add a member to a family is to add one file: it is listed, loaded, passes its family's contract, can be used."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmark import METHODS, PROTOCOLS, Registry, SplitSpec, plan_trial, run_trial
from hsicl_core.registries import HARDNESS, LOSSES, MINERS, PSEUDO_LABELERS, VIEWS
from tests.benchmark.entrants import tiny_params
from tests.contracts import (
    test_hardness,
    test_losses,
    test_methods,
    test_miners,
    test_protocols,
    test_pseudolabels,
    test_views,
)
from tests.scene_factory import tiny_scene

LOSS = '''
"""The margin between the mean negative and the positive, softly cut at zero."""

import torch
from torch.nn import functional as F

from hsicl_core.losses.base import ContrastiveLoss


class SoftMargin(ContrastiveLoss):
    def __call__(self, similarity, mask):
        rows = len(similarity)
        positive = similarity[torch.arange(rows), (torch.arange(rows) + rows // 2) % rows]
        count = mask.n_negatives
        mean = (similarity * mask.negatives).sum(dim=1) / count.clamp(min=1)
        return (F.softplus(mean - positive) * (count > 0)).sum() / (count > 0).sum().clamp(min=1)
'''

MINER = '''
"""Everything that has another pseudolabel and is harder than the average."""

from hsicl_core.miners.base import Mask, NegativeMiner


class AboveAverage(NegativeMiner):
    def mine(self, candidates, generator=None):
        eliminated = candidates.sharing()
        left = candidates.of_others() & ~eliminated
        mean = (candidates.hardness * left).sum(dim=1, keepdim=True) / left.sum(dim=1, keepdim=True).clamp(min=1)
        return Mask(left & (candidates.hardness >= mean - 1e-6), eliminated)
'''

HARDNESS_MEASURE = '''
"""Hard is what has a similar patch on average."""

from torch.nn import functional as F

from hsicl_core.hardness.base import Hardness


class MeanPatch(Hardness):
    def keys(self, z, views, pixels):
        return F.normalize(views.float().mean(dim=(2, 3)), dim=1)
'''

PSEUDOLABELS = '''
"""Bins of the first feature."""

import torch

from hsicl_core.pseudolabels.base import PseudoLabeler


class FirstFeature(PseudoLabeler):
    def __init__(self, *, n_clusters=4, seed=0):
        self.n_clusters = n_clusters

    def fit(self, features):
        first = features[:, 0]
        share = (first - first.min()) / (first.max() - first.min()).clamp(min=1e-12)
        self.labels_ = (share * self.n_clusters).long().clamp(max=self.n_clusters - 1)
        self.confidence_ = torch.ones(len(first))
        return self
'''

VIEW = '''
"""Noise."""

import torch

from hsicl_core.views.base import View


class Noise(View):
    def __call__(self, patches, generator):
        noise = torch.randn(patches.shape, generator=generator, device=patches.device, dtype=patches.dtype)
        return (patches + 0.1 * noise).contiguous(memory_format=torch.channels_last)
'''

METHOD = '''
"""Spectra drawn towards the mean of those that the fit may see."""

from dataclasses import dataclass

from benchmark.methods.base import Fit, Method


@dataclass(frozen=True, kw_only=True)
class TowardsMean(Method):
    share: float = 0.5

    def fit(self, data):
        mean = data.cube.flatten(0, 1)[data.pixels].mean(dim=0)
        mixed = data.cube * (1 - self.share) + mean * self.share
        return Fit(embed=lambda: mixed.flatten(0, 1))
'''

PROTOCOL = '''
"""Nearest class mean."""

from dataclasses import dataclass

import numpy as np

from benchmark.protocols.base import Chosen, Protocol, best_on_validation


@dataclass(frozen=True, kw_only=True)
class NearestMean(Protocol):
    def choose(self, train_x, train_y, val_x, val_y):
        classes = np.unique(train_y)
        means = np.stack([train_x[train_y == label].mean(axis=0) for label in classes])

        def predict(x):
            return classes[((x[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)]

        return best_on_validation([Chosen(predict, {})], val_x, val_y)
'''

FAMILIES: dict[str, tuple[Registry[Any], str, ModuleType]] = {
    "hardness": (HARDNESS, HARDNESS_MEASURE, test_hardness),
    "losses": (LOSSES, LOSS, test_losses),
    "miners": (MINERS, MINER, test_miners),
    "pseudolabels": (PSEUDO_LABELERS, PSEUDOLABELS, test_pseudolabels),
    "views": (VIEWS, VIEW, test_views),
    "methods": (METHODS, METHOD, test_methods),
    "protocols": (PROTOCOLS, PROTOCOL, test_protocols),
}
NAME = "newcomer"


@pytest.fixture
def add(tmp_path: Path) -> Iterator[Callable[[Registry[Any], str], None]]:
    """Put the newcomer beside the members of a family, as if its file lay in their folder."""
    added: list[ModuleType] = []

    def put(registry: Registry[Any], text: str) -> None:
        (tmp_path / f"{NAME}.py").write_text(text.lstrip())
        package = importlib.import_module(registry.package)
        package.__path__.append(str(tmp_path))
        added.append(package)
        importlib.invalidate_caches()

    yield put
    for package in added:
        package.__path__.remove(str(tmp_path))
        sys.modules.pop(f"{package.__name__}.{NAME}", None)
        vars(package).pop(NAME, None)


def contract_of(module: ModuleType) -> list[tuple[Callable[..., None], dict[str, Any]]]:
    """Return the tests of a contract suite with every set of arguments besides the member's name."""
    calls = []
    for key, test in vars(module).items():
        if not key.startswith("test_"):
            continue
        cases: list[dict[str, Any]] = [{}]
        for mark in test.pytestmark:
            names = mark.args[0] if isinstance(mark.args[0], tuple) else (mark.args[0],)
            if names == ("name",):
                continue
            rows = [value if len(names) > 1 else (value,) for value in mark.args[1]]
            cases = [{**case, **dict(zip(names, row, strict=True))} for case in cases for row in rows]
        assert set(inspect.signature(test).parameters) == {"name", *cases[0]}, key
        calls += [(test, case) for case in cases]
    return calls


@pytest.mark.parametrize("family", FAMILIES)
def test_one_file_is_enough(family: str, add: Callable[[Registry[Any], str], None]) -> None:
    registry, text, contract = FAMILIES[family]
    before = registry.names()
    add(registry, text)
    assert registry.names() == sorted([*before, NAME])
    assert registry.get(NAME).__module__ == f"{registry.package}.{NAME}"
    assert text.count("\n") <= 25
    calls = contract_of(contract)
    assert len(calls) >= 5
    for test, case in calls:
        test(name=NAME, **case)


def test_the_newcomer_leaves_with_its_file() -> None:
    for registry, _, _ in FAMILIES.values():
        assert NAME not in registry.names()


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("methods", {"method": NAME, "params": {"share": 0.25}}),
        ("protocols", {"method": "raw_spectra", "protocol": NAME}),
        ("views", {"method": "nt_xent", "params": {"views": ("flip_rotate", NAME)}}),
        ("hardness", {"method": "mined_negatives", "params": {"hardness": NAME}}),
        ("pseudolabels", {"method": "mined_negatives", "params": {"pseudolabels": NAME}}),
    ],
)
def test_a_trial_may_name_it(
    family: str, options: dict[str, Any], add: Callable[[Registry[Any], str], None]
) -> None:  # fmt: skip
    registry, text, _ = FAMILIES[family]
    add(registry, text)
    scene = tiny_scene()
    params = {**tiny_params(METHODS.get(options["method"])), **options.get("params", {})}
    split = SplitSpec(rule="random", labels_per_class=3, val_per_class=3, patch_size=5)
    trial = plan_trial(scene, **{"protocol": "knn", **options, "params": params}, split=split)
    record = run_trial(trial, scene)
    assert record.status == "ok", record.error
    assert NAME in (record.method, record.protocol) or NAME in record.params_json
