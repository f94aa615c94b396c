"""Trial: the hashable description of one run, and the identities derived from it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The version of the rules. Raise it when the same trial may give other numbers than before; every trial_id changes.
BENCHMARK_VERSION = "2"


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces, so that equal values give equal text. NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """Return the first 16 hex digits of SHA-256 over ``canonical_json(value)``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def derived_seed(*parts: Any) -> int:
    """Return a seed in 0..2**63-1 that depends on all of ``parts`` and on nothing else."""
    return int.from_bytes(hashlib.sha256(canonical_json(parts).encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True, kw_only=True)
class SplitSpec:
    """How a scene's labelled pixels are divided.

    Attributes:
        rule: registered name of the split rule.
        labels_per_class: training pixels per class, >= 1; None where the budget is another.
        val_per_class: validation pixels per class, >= 1.
        patch_size: side in pixels, odd, of the patches that must not meet.
        index: which of the rule's splits, >= 0.
        labels_percent: training pixels in per cent of every class, above 0 and below 100, instead of
            ``labels_per_class``.
        masks: name of a fixed split of the scene, which decides the training pixels of the rule ``"given"``;
            ``plan_trial`` appends a digest of its masks, NAME@digest.
    """

    rule: str = "block"
    labels_per_class: int | None = 10
    val_per_class: int = 10
    patch_size: int = 9
    index: int = 0
    labels_percent: float | None = None
    masks: str | None = None

    def __post_init__(self) -> None:
        # One budget, one identity.
        if self.labels_percent is not None:
            object.__setattr__(self, "labels_percent", float(self.labels_percent))
        if self.labels_percent is not None or self.masks is not None:
            object.__setattr__(self, "labels_per_class", None)

    @property
    def budget(self) -> str:
        """The label budget in words."""
        if self.masks is not None:
            return f"masks {self.masks}"
        if self.labels_percent is not None:
            return f"{self.labels_percent:g}% of every class"
        return f"{self.labels_per_class} labels per class"

    def described(self) -> dict[str, Any]:
        """Return what identifies the split; what is not used is left out."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One method with one seed on one split of one scene, scored by one protocol.

    ``params`` and ``protocol_params`` hold every parameter, defaults filled in, as canonical JSON: a changed default
    changes the identity. Options of views and pseudolabel sources are held as they are given: a default that is
    spelt out there is another identity. Build trials with ``benchmark.plan_trial``, which fills in and checks.
    """

    scene: str
    scene_hash: str
    split: SplitSpec
    method: str
    params: str
    protocol: str
    protocol_params: str
    seed: int
    purpose: str = "trial"

    @property
    def trial_id(self) -> str:
        """16 hex digits over all that can change a number."""
        return digest([BENCHMARK_VERSION, self._described()])

    @property
    def config_id(self) -> str:
        """The same without what is repeated over: seed and split index."""
        described = self._described()
        del described["seed"], described["split"]["index"], described["purpose"]
        return digest([BENCHMARK_VERSION, described])

    def fit_id(self, uses_split: bool) -> str:
        """16 hex digits over all that can change the fit; trials that share it share one fit.

        Args:
            uses_split: whether the method's fit depends on the split.
        """
        described: dict[str, Any] = {
            name: getattr(self, name) for name in ("scene", "scene_hash", "method", "params", "seed")
        }
        if uses_split:
            described["split"] = self.split.described()
        return digest([BENCHMARK_VERSION, described])

    def _described(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "split": self.split.described()}

    def method_params(self) -> Mapping[str, Any]:
        """Return the method's parameters as a dict."""
        return dict(json.loads(self.params))

    def protocol_parameters(self) -> Mapping[str, Any]:
        """Return the protocol's parameters as a dict."""
        return dict(json.loads(self.protocol_params))
