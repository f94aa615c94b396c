"""The rules and the entrants: scenes, splits, protocols, methods; one trial at a time, in this process.

Names are imported when first used, so that listing scenes does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.planning import group_trials, plan_trial
    from benchmark.registries import METHODS, PROTOCOLS, SCENES, SPLIT_RULES
    from benchmark.runner import run_group, run_trial
    from benchmark.scene import Scene
    from benchmark.scene_files import load_scene
    from benchmark.split import Split, leakage, make_split
    from benchmark.synthetic.recipe import SyntheticRecipe
    from benchmark.synthetic.writing import synthetic_scene, write_synthetic
    from benchmark.trial import BENCHMARK_VERSION, SplitSpec, Trial
    from hsicl_core.errors import InvalidValueError, MissingPackageError, UnknownNameError
    from hsicl_core.registry import Registry

_HOME = {
    "METHODS": "benchmark.registries",
    "PROTOCOLS": "benchmark.registries",
    "SCENES": "benchmark.registries",
    "SPLIT_RULES": "benchmark.registries",
    "group_trials": "benchmark.planning",
    "plan_trial": "benchmark.planning",
    "run_group": "benchmark.runner",
    "run_trial": "benchmark.runner",
    "Scene": "benchmark.scene",
    "load_scene": "benchmark.scene_files",
    "Split": "benchmark.split",
    "leakage": "benchmark.split",
    "make_split": "benchmark.split",
    "synthetic_scene": "benchmark.synthetic.writing",
    "write_synthetic": "benchmark.synthetic.writing",
    "SyntheticRecipe": "benchmark.synthetic.recipe",
    "BENCHMARK_VERSION": "benchmark.trial",
    "SplitSpec": "benchmark.trial",
    "Trial": "benchmark.trial",
    "InvalidValueError": "hsicl_core.errors",
    "MissingPackageError": "hsicl_core.errors",
    "UnknownNameError": "hsicl_core.errors",
    "Registry": "hsicl_core.registry",
}

__all__ = [
    "BENCHMARK_VERSION",
    "METHODS",
    "PROTOCOLS",
    "SCENES",
    "SPLIT_RULES",
    "InvalidValueError",
    "MissingPackageError",
    "Registry",
    "Scene",
    "Split",
    "SplitSpec",
    "SyntheticRecipe",
    "Trial",
    "UnknownNameError",
    "group_trials",
    "leakage",
    "load_scene",
    "make_split",
    "plan_trial",
    "run_group",
    "run_trial",
    "synthetic_scene",
    "write_synthetic",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'benchmark' has no attribute {name!r}")
