"""Optuna decides: what to try next, and which suggestions are worth a longer rung.

Optuna is asked for suggestions and told their scores; it runs nothing itself and keeps nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmark import MissingPackageError
from sweeps.search.candidates import Sample, sample_grid, sample_random
from sweeps.search.halving import BUDGET, rungs
from sweeps.search.samplers import load_sampler
from sweeps.search.scoring import OBJECTIVES, Configuration, Score, Task
from sweeps.sweep import Sweep

# Suggestions that are asked for at once. Part of what a seed means: another size gives other suggestions.
BATCH_SIZE = 4

# Gives a study and the number of its suggestions.
_Propose = Callable[[Any, Task], tuple[Any, int]]


def ask_and_tell(task: Task, *, propose: _Propose, pruner: Callable[[Any], Any] | None = None) -> list[Configuration]:
    """Ask for configurations batch by batch and tell their scores; return what is chosen of those run in full.

    Args:
        task: the search.
        propose: ``by_sampler``, or ``by_list`` for candidates that are known before.
        pruner: gives the Optuna pruner that decides which suggestions get the next, longer rung; None runs all in full.
    """
    optuna = import_optuna("a search by Optuna")
    study, n_configs = propose(optuna, task)
    if pruner is not None:
        study.pruner = pruner(optuna)
    budgets: list[Configuration] = [{}] if pruner is None else [{BUDGET: budget} for budget in rungs(task.sweep)]
    scored: list[tuple[Configuration, Score]] = []
    for start in range(0, n_configs, BATCH_SIZE):
        suggestions = [study.ask() for _ in range(min(BATCH_SIZE, n_configs - start))]
        alive = [(suggestion, _suggested(task.sweep, suggestion)) for suggestion in suggestions]
        for rung, budget in enumerate(budgets):
            progress = f", {start}/{n_configs} suggestions done"
            scores = task.scores([{**params, **budget} for _, params in alive], progress)
            reached, alive = list(zip(alive, scores, strict=True)), []
            for (suggestion, params), score in reached:
                values = task.values(score)
                if not values:
                    study.tell(suggestion, state=optuna.trial.TrialState.FAIL)
                elif rung == len(budgets) - 1:
                    study.tell(suggestion, values)
                    scored.append((params, score))
                elif _is_stopped(suggestion, values, rung):
                    study.tell(suggestion, state=optuna.trial.TrialState.PRUNED)
                else:
                    alive.append((suggestion, params))
    return task.chosen(scored)


def _is_stopped(suggestion: Any, values: Sequence[float], rung: int) -> bool:
    (accuracy,) = values
    # Optuna's rungs lie at 1, 3, 9 units of budget; ours are these shares of the steps.
    suggestion.report(accuracy, step=3**rung)
    return bool(suggestion.should_prune())


def by_sampler(optuna: Any, task: Task) -> tuple[Any, int]:
    """Return a study whose suggestions follow the scores: by the user's sampler, or by TPE."""
    settings = task.settings
    if settings.sampler is not None:
        sampler = load_sampler(optuna, settings.sampler, settings.seed)
    else:
        with warnings.catch_warnings():
            # Multivariate TPE has been called experimental since 2020.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(seed=settings.seed, multivariate=True, constant_liar=True)
    return _study(optuna, task, sampler), settings.n_configs


def by_list(optuna: Any, task: Task, *, sample: Sample) -> tuple[Any, int]:
    """Return a study that suggests a sample in its order, whatever the scores."""
    study = _study(optuna, task, optuna.samplers.RandomSampler(seed=task.settings.seed))
    candidates = sample(task)
    for params in candidates:
        study.enqueue_trial({name: values.index(params[name]) for name, values in task.sweep.axes.items()})
    return study, len(candidates)


by_grid = partial(by_list, sample=sample_grid)
by_random = partial(by_list, sample=sample_random)


def halving_pruner(optuna: Any) -> Any:
    """Return asynchronous successive halving."""
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)


def median_pruner(optuna: Any) -> Any:
    """Return median stopping; the first batch runs in full, so that there is a median to fall below."""
    return optuna.pruners.MedianPruner(n_startup_trials=BATCH_SIZE, n_warmup_steps=0)


def _study(optuna: Any, task: Task, sampler: Any) -> Any:
    return optuna.create_study(directions=list(OBJECTIVES[task.settings.objective].values()), sampler=sampler)


def _suggested(sweep: Sweep, suggestion: Any) -> Configuration:
    # By index: Optuna's categories are numbers and text, ours may be anything.
    picked = {
        name: values[suggestion.suggest_categorical(name, list(range(len(values))))]
        for name, values in sweep.axes.items()
    }
    return {**sweep.params, **picked}


def import_optuna(purpose: str) -> Any:
    """Return Optuna, silenced.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingPackageError("optuna", purpose) from error
    # One line per suggestion otherwise, in the middle of the progress line.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
