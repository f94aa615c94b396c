"""Entrants that look where they should not, break, or diverge; found through entry points, as a third party's are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from benchmark.methods.base import Fit, FitData, Method
from benchmark.protocols.base import Chosen, Floats, Labels, Protocol

ENTRY_POINTS = """[hsicl.methods]
spy_none = tests.benchmark.entrants:SpyNone
spy_train = tests.benchmark.entrants:SpyTrain
spy_all = tests.benchmark.entrants:SpyAll
broken_fit = tests.benchmark.entrants:BrokenFit
broken_embedding = tests.benchmark.entrants:BrokenEmbedding
vandal = tests.benchmark.entrants:Vandal
fusing = tests.benchmark.entrants:Fusing
[hsicl.protocols]
broken_choice = tests.benchmark.entrants:BrokenChoice
"""


def spectra(data: FitData) -> Tensor:
    return data.cube.flatten(0, 1)


@dataclass(frozen=True, kw_only=True)
class SpyNone(Method):
    """Keeps the labels that it was shown, and the pixels."""

    seen: ClassVar[list[Tensor]] = []
    pixels: ClassVar[list[Tensor]] = []

    def fit(self, data: FitData) -> Fit:
        self.seen.append(data.labels.clone())
        self.pixels.append(data.pixels.clone())
        return Fit(embed=lambda: spectra(data))


class SpyTrain(SpyNone):
    sees_labels: ClassVar[str] = "train"
    seen: ClassVar[list[Tensor]] = []


class SpyAll(SpyNone):
    sees_labels: ClassVar[str] = "all"
    seen: ClassVar[list[Tensor]] = []


@dataclass(frozen=True, kw_only=True)
class BrokenFit(Method):
    def fit(self, data: FitData) -> Fit:
        raise RuntimeError("the fit broke")


@dataclass(frozen=True, kw_only=True)
class BrokenEmbedding(Method):
    def fit(self, data: FitData) -> Fit:
        return Fit(embed=lambda: torch.full_like(spectra(data), torch.nan))


@dataclass(frozen=True, kw_only=True)
class Vandal(Method):
    """Writes into everything that it was given."""

    def fit(self, data: FitData) -> Fit:
        kept = spectra(data).clone()
        data.cube.fill_(-1.0)
        data.labels.fill_(0)
        return Fit(embed=lambda: kept)


@dataclass(frozen=True, kw_only=True)
class Fusing(Method):
    """Shifts the spectra by noise of its level; notes with whom it was fitted.

    Attributes:
        level: standard deviation of the noise; below 0 the fit breaks, as does the embedding beyond float32.
        kind_of_net: what must be equal for fits to be trained as one.
    """

    level: float = 0.0
    kind_of_net: str = "small"

    packs: ClassVar[list[tuple[float, ...]]] = []

    @property
    def fusion(self) -> str | None:
        return self.kind_of_net or None

    def fit(self, data: FitData) -> Fit:
        if self.level < 0:
            raise RuntimeError("the fit broke")
        noise = torch.randn(data.cube.shape, generator=torch.Generator().manual_seed(data.seed))
        return Fit(embed=lambda: (data.cube + self.level * noise).flatten(0, 1))

    @staticmethod
    def fit_together(methods: Any, data: Any) -> list[Fit | Exception]:
        Fusing.packs.append(tuple(method.level for method in methods))
        return Method.fit_together(methods, data)


@dataclass(frozen=True, kw_only=True)
class BrokenChoice(Protocol):
    fails_above: int = 0

    def choose(self, train_x: Floats, train_y: Labels, val_x: Floats, val_y: Labels) -> Chosen:
        if len(train_x) > self.fails_above:
            raise ZeroDivisionError("the choice broke")
        return Chosen(lambda x: train_y[:1].repeat(len(x)), {})


def tiny_params(member: type[Any]) -> dict[str, Any]:
    """Return parameters that make a method cheap, of those that it has."""
    cheap: dict[str, Any] = {
        "steps": 3, "batch_size": 16, "n_components": 4, "width": 8, "projection_dim": 8, "patch_size": 5,
        "cluster_window": 5, "n_clusters": 6, "n_negatives": 8, "fine_tuning_steps": 2,
    }  # fmt: skip
    if getattr(member, "features", "") == "embeddings":
        # Else training would end before the first.
        cheap["refresh_epochs"] = 0.01
    return {name: value for name, value in cheap.items() if name in member.__dataclass_fields__}
