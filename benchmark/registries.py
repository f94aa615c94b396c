"""The families of the benchmark room: each a folder, each file in it a member under the file's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsicl_core.registry import Registry

if TYPE_CHECKING:
    from benchmark.methods.base import Method
    from benchmark.protocols.base import Protocol
    from benchmark.scenes.base import SceneCard
    from benchmark.speed.claims.base import Claim
    from benchmark.splits.base import SplitRule

SCENES: Registry[SceneCard] = Registry("scene", "benchmark.scenes", "hsicl.scenes")
SPLIT_RULES: Registry[type[SplitRule]] = Registry("split rule", "benchmark.splits", "hsicl.splits")
METHODS: Registry[type[Method]] = Registry("method", "benchmark.methods", "hsicl.methods")
PROTOCOLS: Registry[type[Protocol]] = Registry("protocol", "benchmark.protocols", "hsicl.protocols")
CLAIMS: Registry[type[Claim]] = Registry("claim of speed", "benchmark.speed.claims", "hsicl.claims")
