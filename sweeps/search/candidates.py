"""The configurations of a grid, or a random part of them, known before anything is scored."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np

from sweeps.search.scoring import Configuration, Task

Sample = Callable[[Task], list[Configuration]]


def sample_grid(task: Task) -> list[Configuration]:
    """Return all configurations, the last axis running fastest."""
    return list(task.sweep.swept.configurations())


def sample_random(task: Task) -> list[Configuration]:
    """Return ``n_configs`` configurations, or all where there are fewer, none twice."""
    # Without listing the grid, which may be far larger than what is drawn.
    axes, params = task.sweep.axes, task.sweep.params
    sizes = [len(values) for values in axes.values()]
    n_grid = math.prod(sizes)
    drawn = random.Random(task.settings.seed).sample(range(n_grid), min(task.settings.n_configs, n_grid))
    places = [np.unravel_index(index, sizes) if sizes else () for index in drawn]
    return [{**params, **{name: axes[name][at] for name, at in zip(axes, place, strict=True)}} for place in places]


def score_all(task: Task, *, sample: Sample) -> list[Configuration]:
    """Return what is chosen of a sample that is scored in full."""
    candidates = sample(task)
    return task.chosen(list(zip(candidates, task.scores(candidates), strict=True)))
