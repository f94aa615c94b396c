"""Rungs: shares of the budget that a configuration is trained for before it gets all of it; synchronous halving."""

from __future__ import annotations

from benchmark import InvalidValueError
from sweeps.search.candidates import Sample
from sweeps.search.scoring import Configuration, Task
from sweeps.sweep import Sweep

# A rung trains at one over these shares of the budget.
RUNGS = (9, 3, 1)
BUDGET = "steps"


def check_budget(sweep: Sweep, scheduler: str) -> None:
    """Raise InvalidValueError unless the sweep has one fixed budget that rungs can share out."""
    budgets = sweep.axes.get(BUDGET, (sweep.params.get(BUDGET),))
    if len(budgets) != 1 or not isinstance(budgets[0], int) or budgets[0] < RUNGS[0]:
        raise InvalidValueError(
            f"--scheduler {scheduler} needs one fixed {BUDGET!r} >= {RUNGS[0]} in sweep {sweep.name!r} to share out, "
            f"got {', '.join(map(str, budgets))}: give e.g. --axis {BUDGET}=200"
        )


def rungs(sweep: Sweep) -> list[int]:
    """Return the budgets of the rungs, rising; ``check_budget`` holds."""
    (budget,) = sweep.axes.get(BUDGET, (sweep.params.get(BUDGET),))
    return [max(1, budget // share) for share in RUNGS]


def halve(task: Task, *, sample: Sample) -> list[Configuration]:
    """Return the best of a sample of which each rung keeps the best third, rounded up."""
    candidates = sample(task)
    for share, budget in zip(RUNGS, rungs(task.sweep), strict=True):
        scores = task.scores(
            [{**params, BUDGET: budget} for params in candidates], f", {len(candidates)} at 1/{share} of the steps"
        )
        ranked = task.ranked(list(zip(candidates, scores, strict=True)))
        candidates = ranked[: -(-len(candidates) // 3)]
    return candidates[:1]
