"""What a search would run at most: how much is known of it before anything is scored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set

from benchmark import Scene
from sweeps.progress import describe_plan
from sweeps.search.halving import BUDGET, RUNGS
from sweeps.search.run import check_settings, is_search, plan_controls
from sweeps.search.scoring import OBJECTIVES
from sweeps.search.settings import SearchSettings
from sweeps.sweep import Sweep, plan, plan_configuration


def describe_search(
    sweep: Sweep,
    scenes: Mapping[str, Scene],
    finished: Set[str],
    settings: SearchSettings,
) -> str:
    """Return what ``run_sweep`` with these settings would run, as text: the plan, or the most that a search may run.

    Args:
        sweep: the question.
        scenes: scenes by name; all that the sweep names.
        finished: trial_ids that need not run again; those of a search are not known before.
        settings: how configurations are chosen.

    Raises:
        InvalidValueError: no such combination of settings, or a value out of range.
    """
    check_settings(settings, sweep)
    if not is_search(settings):
        return describe_plan(plan(sweep, scenes), finished, question=sweep.question)
    n_grid = math.prod(len(values) for values in sweep.axes.values())
    n_suggested = settings.n_suggested(n_grid)
    n_tried = min(n_suggested, n_grid)
    n_rungs = len(RUNGS) if settings.stops_early else 1
    first = next(sweep.swept.configurations())
    lines = [sweep.question]
    for name in sweep.scenes:
        n_trials = len(plan_configuration(sweep, sweep.swept, first, scenes[name], purpose="search"))
        n_chosen = 1 if len(OBJECTIVES[settings.objective]) == 1 else n_tried
        lines += [
            f"search on {name}: {n_suggested} suggestions from a grid of {n_grid}, {n_trials} trials each"
            + (f" on up to {n_rungs} rungs of {BUDGET}" if n_rungs > 1 else ""),
            f"  at most {n_tried * n_trials * n_rungs} trials, scored on validation only",
            f"  then at most {n_chosen * n_trials} ordinary trials of what is chosen ({settings.objective})",
        ]
    controls = plan_controls(sweep, scenes)
    if controls:
        lines += ["and the controls:", describe_plan(controls, finished)]
    return "\n".join(lines)
