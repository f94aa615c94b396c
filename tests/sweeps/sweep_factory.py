"""Tiny sweeps over the tiny scene."""

from __future__ import annotations

from typing import Any

from benchmark import Scene, SplitSpec
from sweeps import Control, Sweep
from tests.scene_factory import tiny_scene

SPLIT = SplitSpec(rule="random", labels_per_class=3, val_per_class=3, patch_size=5)
BUDGET = {"steps": 3, "batch_size": 16, "patch_size": 5, "n_components": 4, "width": 8, "projection_dim": 8}


def tiny_scenes() -> dict[str, Scene]:
    return {"tiny": tiny_scene()}


def noisy_sweep(**changes: Any) -> Sweep:
    """Three configurations and a control, two seeds, two splits: 16 trials in 8 fits, milliseconds each."""
    settings: dict[str, Any] = {
        "name": "noisy",
        "question": "Does noise hurt?",
        "method": "noisy",
        "axes": {"level": (0.0, 1.0, 8.0)},
        "protocol": "knn",
        "controls": (Control(method="raw_spectra"),),
        "scenes": ("tiny",),
        "split_specs": (SPLIT,),
        "n_seeds": 2,
        "n_splits": 2,
    }
    return Sweep(**{**settings, **changes})


def learning_sweep() -> Sweep:
    """The real methods with a budget of milliseconds: 12 trials in 6 fits."""
    return Sweep(
        name="learning",
        question="Do executors agree?",
        method="mined_negatives",
        axes={"temperature": (0.1, 0.5), "n_clusters": (4,)},
        params={**BUDGET, "cluster_window": 5},
        controls=(Control(method="nt_xent", params=BUDGET),),
        scenes=("tiny",),
        split_specs=(SPLIT,),
        n_seeds=2,
        n_splits=2,
    )


# Found through an entry point (see conftest.py): long enough to be killed in the middle.
SLEEPY = Sweep(
    name="sleepy",
    question="What is left after a kill?",
    method="noisy",
    axes={"level": (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)},
    params={"fault": "sleep"},
    protocol="knn",
    split_specs=(SPLIT,),
    n_splits=2,
)
