"""Methods that break their contract, each in one way, and an honest one; in no registry."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmark import diagnostics
from benchmark.methods._contrastive import labelled_pixels
from benchmark.methods.base import Fit, FitData, Method
from hsicl_core.fine_tuning import class_scores
from hsicl_core.preprocessing import standardize, window_mean
from hsicl_core.rows import whole


def spectra(data: FitData) -> Tensor:
    return whole(standardize(data.cube, data.pixels)).flatten(0, 1)


@dataclass(frozen=True, kw_only=True)
class Honest(Method):
    """Spectra, and the nearest class mean. What cheats make of it they change in one place."""

    steps: int = 3

    kind: ClassVar[str] = "trivial"
    sees_labels: ClassVar[str] = "train"
    classifies: ClassVar[bool] = True
    fine_tunes: ClassVar[bool] = True

    def embedded(self, data: FitData) -> Tensor:
        return spectra(data)

    def means(self, data: FitData) -> Tensor:
        pixels, labels = labelled_pixels(data)
        known = self.embedded(data)[pixels]
        missing = known.new_full((1, known.shape[1]), 1e3)
        classes = range(int(labels.max()) + 1)
        return torch.cat([known[labels == c].mean(dim=0, keepdim=True) if c in labels else missing for c in classes])

    def fit(self, data: FitData) -> Fit:
        embedding, means = self.embedded(data), self.means(data)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(data.seed)
            network = nn.Linear(embedding.shape[1], 3).to(data.device)

        def fine_tune(pixels: Tensor, labels: Tensor, steps: int, learning_rate: float) -> Tensor:
            return class_scores(self.copied(network, learning_rate), embedding)

        return Fit(
            embed=lambda: embedding,
            classify=lambda rows: (2 * rows @ means.T - means.square().sum(dim=1)).clamp(min=-1e30),
            fine_tune=fine_tune,
        )

    def copied(self, network: nn.Linear, rate: float) -> nn.Linear:
        changed = copy.deepcopy(network)
        with torch.no_grad():
            changed.weight.mul_(1 - rate)
        return changed


class ReadsTheObserver(Honest):
    """Finds the labels where the reporter's diagnostics are kept."""

    def means(self, data: FitData) -> Tensor:
        labels = diagnostics._TOLD[data.observer]._labels
        return torch.stack([self.embedded(data)[labels == c].mean(dim=0) for c in range(int(labels.max()) + 1)])


class DrawsFromTorch(Honest):
    def embedded(self, data: FitData) -> Tensor:
        return spectra(data) + torch.rand(1)


class DrawsFromNumpy(Honest):
    def embedded(self, data: FitData) -> Tensor:
        return spectra(data) + float(np.random.rand())  # noqa: NPY002 - the fault


class SeedsTorch(Honest):
    """The same numbers each time, but those of its caller are others afterwards."""

    def embedded(self, data: FitData) -> Tensor:
        torch.manual_seed(data.seed)
        return spectra(data) + torch.rand(1)


class SeedsNumpy(Honest):
    def embedded(self, data: FitData) -> Tensor:
        np.random.seed(data.seed)  # noqa: NPY002 - the fault
        return spectra(data) + float(np.random.rand())  # noqa: NPY002 - the fault


class ChangesTheCube(Honest):
    def embedded(self, data: FitData) -> Tensor:
        assert isinstance(data.cube, Tensor)
        return data.cube.sub_(1).flatten(0, 1)


class ChangesTheLabels(Honest):
    def means(self, data: FitData) -> Tensor:
        data.labels[data.labels < 0] = 0
        return super().means(data)


class ChangesThePixels(Honest):
    def embedded(self, data: FitData) -> Tensor:
        data.pixels.copy_(data.pixels.roll(1))
        return spectra(data)


class MemoWithoutSeed(Honest):
    def embedded(self, data: FitData) -> Tensor:
        return spectra(data) + float(data.memo.get("drawn", lambda: data.seed))


class MemoWithoutLabels(Honest):
    """Gives the means of one split to all."""

    def means(self, data: FitData) -> Tensor:
        found: Tensor = data.memo.get("means", lambda: super(MemoWithoutLabels, self).means(data))
        return found


class StatisticsOfAll(Honest):
    """Standardises over pixels that it may not see."""

    def embedded(self, data: FitData) -> Tensor:
        return whole(standardize(data.cube, torch.arange(data.labels.numel()))).flatten(0, 1)


class SeesFarther(Honest):
    def embedded(self, data: FitData) -> Tensor:
        return window_mean(data.cube, 3).flatten(0, 1)


class LocalStatistics(Honest):
    """Centres the columns of the image in tens, on those of their pixels that it may see."""

    def embedded(self, data: FitData) -> Tensor:
        width = data.cube.shape[1]
        place = torch.arange(data.labels.numel()) % width // 10
        found = data.cube[:].flatten(0, 1).clone()
        for index in range(int(place[data.pixels].max()) + 1):
            found[place == index] -= found[data.pixels][place[data.pixels] == index].mean(dim=0)
        return found


class SaysItSeesFarther(Honest):
    """A view without bound that is bounded."""

    bounded_view: ClassVar[bool] = False


class NeedsTwoOfAClass(Honest):
    def means(self, data: FitData) -> Tensor:
        _, labels = labelled_pixels(data)
        if torch.bincount(labels).min() < 2:
            raise ValueError("a class has no spread")
        return super().means(data)


class NeedsEveryClass(Honest):
    def means(self, data: FitData) -> Tensor:
        means = super().means(data)
        return torch.where((means == 1e3).all(dim=1, keepdim=True), torch.nan, means)


class Double(Honest):
    def embedded(self, data: FitData) -> Tensor:
        return spectra(data).double()


class Forgets(Honest):
    """Every embedding is another one."""

    def fit(self, data: FitData) -> Fit:
        fit, times = super().fit(data), iter(range(99))
        kept = fit.embed()
        fit.embed = lambda: kept + next(times)
        return fit


class NoNetwork(Honest):
    def fit(self, data: FitData) -> Fit:
        fit = super().fit(data)
        fit.fine_tune = None
        return fit


class NoScores(Honest):
    def fit(self, data: FitData) -> Fit:
        fit = super().fit(data)
        fit.classify = None
        return fit


class TunesTheOriginal(Honest):
    def copied(self, network: nn.Linear, rate: float) -> nn.Linear:
        with torch.no_grad():
            network.weight.mul_(1 - rate)
        return network


class TunesWithOtherDraws(Honest):
    def copied(self, network: nn.Linear, rate: float) -> nn.Linear:
        return nn.Linear(network.in_features, network.out_features)


class MakesOnTheHost(Honest):
    def embedded(self, data: FitData) -> Tensor:
        return spectra(data) + torch.ones(data.cube.shape[2])


class DrawsOnTheHost(Honest):
    def embedded(self, data: FitData) -> Tensor:
        generator = torch.Generator().manual_seed(data.seed)
        return spectra(data) + torch.rand(1, generator=generator, device=data.device)


class TunesOnTheHost(Honest):
    def copied(self, network: nn.Linear, rate: float) -> nn.Linear:
        return nn.Linear(network.in_features, network.out_features)


class ReadsWithNumpy(Honest):
    def embedded(self, data: FitData) -> Tensor:
        return spectra(data) + float(data.pixels.numpy().max())


class ABoundAmongEntrants(Honest):
    sees_labels: ClassVar[str] = "all"


class OfNoKind(Honest):
    kind: ClassVar[str] = "best"


class ScoredByNobody(Honest):
    protocols: ClassVar[tuple[str, ...]] = ("guessing",)


class SearchesTooMuch(Honest):
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"steps": tuple(range(1, 14))}


class SearchesWhatItLacks(Honest):
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"temperature": (0.1, 0.2)}


class EvenWindow(Honest):
    @property
    def receptive_field(self) -> int:
        return 2


# Caught in tests/contracts/test_methods_on_another_device.py.
WRONG_DEVICE = (MakesOnTheHost, DrawsOnTheHost, TunesOnTheHost, ReadsWithNumpy)
