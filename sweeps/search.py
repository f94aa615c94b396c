"""Search: choose a configuration on validation, then run the chosen one as ordinary trials.

What is suggested depends on the seed and on earlier scores only: suggestions come in batches of fixed size, and a batch
is scored as a whole before the next is asked for. The executor and the order in which trials end do not matter.
Trials of a search have the purpose ``"search"``: they are scored on validation only and enter no table.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TextIO

import numpy as np

from benchmark import InvalidValueError, MissingPackageError, Scene, Trial
from results import ResultStore
from results.metrics import overall_accuracy
from sweeps.executors.base import Executor
from sweeps.launcher import Outcome, launch
from sweeps.sweep import Control, Sweep, plan, plan_configuration

Configuration = dict[str, Any]

# Suggestions that are asked for at once. Part of what a seed means: another size gives other suggestions.
BATCH_SIZE = 4

# Successive halving trains at one over these shares of the budget and keeps about the best third each time.
_HALVING_RUNGS = (9, 3, 1)
_HALVING_PARAMETER = "steps"


@dataclass(kw_only=True)
class _Search:
    """One search on one scene: what to launch with, and what has come of it."""

    sweep: Sweep
    scene: Scene
    launch_batch: Callable[..., Outcome]
    store: ResultStore
    n_configs: int
    seed: int

    def scores(self, configurations: Sequence[Configuration], label: str) -> list[float]:
        """Run ``configurations`` as search trials and return their mean validation OA, NaN where a trial failed.

        Raises:
            KeyboardInterrupt: the user stopped the launch.
        """
        planned = [
            plan_configuration(self.sweep, self.sweep.swept, params, self.scene, purpose="search")
            for params in configurations
        ]
        outcome = self.launch_batch([trial for trials in planned for trial in trials], label=label)
        if outcome.interrupted:
            raise KeyboardInterrupt
        accuracies = validation_accuracies(self.store)
        return [_mean(trials, accuracies) for trials in planned]


def run_sweep(
    sweep: Sweep,
    store: ResultStore,
    scenes: Mapping[str, Scene],
    executor: Executor,
    *,
    search: str = "grid",
    scheduler: str = "none",
    n_configs: int = 16,
    seed: int = 0,
    device: str = "auto",
    stream: TextIO | None = None,
) -> Outcome:
    """Run ``sweep``: its whole plan, or a search over its axes followed by the chosen configuration and the controls.

    Args:
        sweep: the question; a search takes its axes as the values to choose from, and one choice per scene.
        store: where records go; what it holds already is not run again.
        scenes: scenes by name; all that the sweep names.
        executor: runs the trials.
        search: ``"grid"`` (all configurations), ``"random"`` or ``"optuna"``.
        scheduler: ``"none"``; ``"asha"``: asynchronous successive halving over ``steps`` (Li et al. 2020, arXiv
            1810.05934, by Optuna); ``"sha"``: the synchronous one, for grid and random. Both differ from the paper in
            that a configuration is trained anew on every rung, since its learning rate follows the rung's own length.
        n_configs: suggestions of a random or Optuna search per scene, >= 1; repeated ones cost nothing.
        seed: seed of the suggestions.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        stream: where progress goes, or None for silence.

    Returns:
        Counts of the ordinary trials; those of the search itself are in the store only.

    Raises:
        InvalidValueError: no such combination of search and scheduler, or a value out of range.
        UserError, StoreError: see ``launch``.
    """
    if (search, scheduler) not in _STRATEGIES:
        known = ", ".join(f"--search {first} --scheduler {second}" for first, second in _STRATEGIES)
        raise InvalidValueError(f"--search {search} --scheduler {scheduler} is not available: choose from {known}")
    if n_configs < 1:
        raise InvalidValueError(f"--n-configs must be >= 1, got {n_configs}")
    launch_batch = partial(launch, store=store, scenes=scenes, executor=executor, device=device, stream=stream)
    choose = _STRATEGIES[search, scheduler]
    if choose is None:
        return launch_batch(plan(sweep, scenes), label=sweep.name)
    with executor.session():
        trials: list[Trial] = []
        for name in sweep.scenes:
            task = _Search(
                sweep=sweep, scene=scenes[name], launch_batch=launch_batch, store=store, n_configs=n_configs, seed=seed
            )
            try:
                chosen = choose(task)
            except KeyboardInterrupt:
                return Outcome(n_planned=0, n_skipped=0, n_ok=0, n_failed=0, interrupted=True)
            trials += _final_trials(sweep, chosen, scenes[name])
        return launch_batch(trials, label=f"{sweep.name}: chosen and controls")


def _final_trials(sweep: Sweep, chosen: Configuration, scene: Scene) -> list[Trial]:
    entrants: list[tuple[Control, Configuration]] = [(sweep.swept, chosen)]
    entrants += [(control, params) for control in sweep.controls for params in control.configurations()]
    return [trial for entrant, params in entrants for trial in plan_configuration(sweep, entrant, params, scene)]


def _score_all(task: _Search, sample: Callable[[_Search], list[Configuration]]) -> Configuration:
    candidates = sample(task)
    label = f"{task.sweep.name}: search on {task.scene.name}"
    return _ranked(task, list(zip(candidates, task.scores(candidates, label), strict=True)))[0]


def _ask_and_tell(task: _Search, *, propose: Callable[[Any, _Search], tuple[Any, int]], halves: bool) -> Configuration:
    """Ask Optuna for configurations batch by batch and tell it their scores; return the best of those run in full.

    Args:
        task: the search.
        propose: gives a study and the number of its suggestions.
        halves: whether Optuna's asynchronous successive halving decides which suggestions get the next, longer rung.
    """
    optuna = _optuna()
    study, n_configs = propose(optuna, task)
    rungs: tuple[int | None, ...] = (None,)
    if halves:
        budget = _halving_budget(task)
        rungs = tuple(max(1, budget // share) for share in _HALVING_RUNGS)
        study.pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    scored: list[tuple[Configuration, float]] = []
    for start in range(0, n_configs, BATCH_SIZE):
        suggestions = [study.ask() for _ in range(min(BATCH_SIZE, n_configs - start))]
        alive = [(suggestion, _suggested(task.sweep, suggestion)) for suggestion in suggestions]
        for rung, steps in enumerate(rungs):
            budgets = {} if steps is None else {_HALVING_PARAMETER: steps}
            label = f"{task.sweep.name}: search on {task.scene.name}, {start}/{n_configs} suggestions done"
            scores = task.scores([{**params, **budgets} for _, params in alive], label)
            reached, alive = list(zip(alive, scores, strict=True)), []
            for (suggestion, params), score in reached:
                if np.isnan(score):
                    study.tell(suggestion, state=optuna.trial.TrialState.FAIL)
                    continue
                # Optuna's rungs lie at 1, 3, 9 units of budget; ours are these shares of the steps.
                suggestion.report(score, step=3**rung)
                if rung == len(rungs) - 1:
                    study.tell(suggestion, score)
                    scored.append((params, score))
                elif suggestion.should_prune():
                    study.tell(suggestion, state=optuna.trial.TrialState.PRUNED)
                else:
                    alive.append((suggestion, params))
    return _ranked(task, scored)[0]


def _by_tpe(optuna: Any, task: _Search) -> tuple[Any, int]:
    with warnings.catch_warnings():
        # Multivariate TPE has been called experimental since 2020.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=task.seed, multivariate=True, constant_liar=True)
    return optuna.create_study(direction="maximize", sampler=sampler), task.n_configs


def _by_list(optuna: Any, task: _Search, *, sample: Callable[[_Search], list[Configuration]]) -> tuple[Any, int]:
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=task.seed))
    candidates = sample(task)
    for params in candidates:
        study.enqueue_trial({name: values.index(params[name]) for name, values in task.sweep.axes.items()})
    return study, len(candidates)


def _suggested(sweep: Sweep, suggestion: Any) -> Configuration:
    # By index: Optuna's categories are numbers and text, ours may be anything.
    picked = {
        name: values[suggestion.suggest_categorical(name, list(range(len(values))))]
        for name, values in sweep.axes.items()
    }
    return {**sweep.params, **picked}


def _halve(task: _Search, sample: Callable[[_Search], list[Configuration]]) -> Configuration:
    candidates = sample(task)
    budget = _halving_budget(task)
    for share in _HALVING_RUNGS:
        rung = [{**params, _HALVING_PARAMETER: max(1, budget // share)} for params in candidates]
        label = f"{task.sweep.name}: search on {task.scene.name}, {len(rung)} at 1/{share} of the steps"
        ranked = _ranked(task, list(zip(candidates, task.scores(rung, label), strict=True)))
        candidates = ranked[: -(-len(candidates) // 3)]
    return candidates[0]


def _halving_budget(task: _Search) -> int:
    sweep = task.sweep
    budgets = sweep.axes.get(_HALVING_PARAMETER, (sweep.params.get(_HALVING_PARAMETER),))
    budget = budgets[0] if len(budgets) == 1 else None
    if not isinstance(budget, int):
        raise InvalidValueError(
            f"successive halving needs one fixed {_HALVING_PARAMETER!r} in sweep {sweep.name!r} to share out: give "
            f"e.g. --axis {_HALVING_PARAMETER}=200"
        )
    return budget


def _sample_grid(task: _Search) -> list[Configuration]:
    return list(task.sweep.swept.configurations())


def _sample_random(task: _Search) -> list[Configuration]:
    # Without replacement, and without listing the grid, which may be far larger than what is drawn.
    axes, params = task.sweep.axes, task.sweep.params
    sizes = [len(values) for values in axes.values()]
    n_grid = math.prod(sizes)
    drawn = random.Random(task.seed).sample(range(n_grid), min(task.n_configs, n_grid))
    places = [np.unravel_index(index, sizes) if sizes else () for index in drawn]
    return [{**params, **{name: axes[name][at] for name, at in zip(axes, place, strict=True)}} for place in places]


def _ranked(task: _Search, scored: Sequence[tuple[Configuration, float]]) -> list[Configuration]:
    finite = [pair for pair in scored if not np.isnan(pair[1])]
    if not finite:
        raise InvalidValueError(
            f"search on {task.scene.name!r}: no configuration could be scored, every one has a failed trial: see the "
            "errors above and in the store, mend them and give the same command again"
        )
    # Stable: of equal scores the earlier suggestion wins.
    return [params for params, _ in sorted(finite, key=lambda pair: -pair[1])]


def validation_accuracies(store: ResultStore) -> dict[str, float]:
    """Return trial_id -> validation OA of all trials of the store that are ok."""
    table = store.read().select(["trial_id", "status", "confusion_val"])
    rows = (row for row in table.to_pylist() if row["status"] == "ok")
    return {row["trial_id"]: overall_accuracy(row["confusion_val"]) for row in rows}


def _mean(trials: Sequence[Trial], accuracies: Mapping[str, float]) -> float:
    return float(np.mean([accuracies.get(trial.trial_id, np.nan) for trial in trials]))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingPackageError("optuna", "--search optuna") from error
    # One line per suggestion otherwise, in the middle of the progress line.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


# (search, scheduler) -> how the configuration is chosen; None runs them all as ordinary trials.
_STRATEGIES: dict[tuple[str, str], Callable[[_Search], Configuration] | None] = {
    ("grid", "none"): None,
    ("random", "none"): partial(_score_all, sample=_sample_random),
    ("optuna", "none"): partial(_ask_and_tell, propose=_by_tpe, halves=False),
    ("grid", "asha"): partial(_ask_and_tell, propose=partial(_by_list, sample=_sample_grid), halves=True),
    ("random", "asha"): partial(_ask_and_tell, propose=partial(_by_list, sample=_sample_random), halves=True),
    ("optuna", "asha"): partial(_ask_and_tell, propose=_by_tpe, halves=True),
    ("grid", "sha"): partial(_halve, sample=_sample_grid),
    ("random", "sha"): partial(_halve, sample=_sample_random),
}
