"""Runs a sweep: its whole plan, or a search followed by what it chose and the controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TextIO

from benchmark import InvalidValueError, Scene, Trial
from results import ResultStore
from sweeps.executors.base import Executor
from sweeps.launcher import Outcome, launch
from sweeps.search.by_optuna import (
    ask_and_tell,
    by_grid,
    by_random,
    by_sampler,
    halving_pruner,
    import_optuna,
    median_pruner,
)
from sweeps.search.candidates import sample_grid, sample_random, score_all
from sweeps.search.halving import check_budget, halve
from sweeps.search.samplers import load_sampler
from sweeps.search.scoring import OBJECTIVES, Configuration, Task
from sweeps.search.settings import SearchSettings
from sweeps.sweep import Sweep, plan, plan_configuration

# (search, scheduler) -> how configurations are chosen; None runs them all as ordinary trials.
STRATEGIES: dict[tuple[str, str], Callable[[Task], list[Configuration]] | None] = {
    ("grid", "none"): None,
    ("random", "none"): partial(score_all, sample=sample_random),
    ("optuna", "none"): partial(ask_and_tell, propose=by_sampler),
    ("grid", "asha"): partial(ask_and_tell, propose=by_grid, pruner=halving_pruner),
    ("random", "asha"): partial(ask_and_tell, propose=by_random, pruner=halving_pruner),
    ("optuna", "asha"): partial(ask_and_tell, propose=by_sampler, pruner=halving_pruner),
    ("grid", "median"): partial(ask_and_tell, propose=by_grid, pruner=median_pruner),
    ("random", "median"): partial(ask_and_tell, propose=by_random, pruner=median_pruner),
    ("optuna", "median"): partial(ask_and_tell, propose=by_sampler, pruner=median_pruner),
    ("grid", "sha"): partial(halve, sample=sample_grid),
    ("random", "sha"): partial(halve, sample=sample_random),
}


def run_sweep(
    sweep: Sweep,
    store: ResultStore,
    scenes: Mapping[str, Scene],
    executor: Executor,
    *,
    settings: SearchSettings | None = None,
    device: str = "auto",
    stream: TextIO | None = None,
    resume: str = "",
) -> Outcome:
    """Run ``sweep``: its whole plan, or a search over its axes followed by what was chosen and the controls.

    Args:
        sweep: the question; a search takes its axes as the values to choose from, and chooses per scene.
        store: where records go; what it holds already is not run again.
        scenes: scenes by name; all that the sweep names.
        executor: runs the trials.
        settings: how configurations are chosen; None runs the whole plan.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        stream: where progress goes, or None for silence.
        resume: the command that goes on after an interruption, for the user to read.

    Returns:
        Counts of the ordinary trials; those of the search itself are in the store only.

    Raises:
        InvalidValueError: no such combination of settings, or a value out of range; nothing has run.
        UserError, StoreError: see ``launch``.
    """
    settings = settings or SearchSettings()
    check_settings(settings, sweep)
    launch_batch = partial(
        launch, store=store, scenes=scenes, executor=executor, device=device, stream=stream, resume=resume
    )
    choose = STRATEGIES[settings.search, settings.scheduler]
    if choose is None:
        return launch_batch(plan(sweep, scenes), label=sweep.name)
    controls = plan_controls(sweep, scenes)
    with executor.session():
        trials: list[Trial] = []
        for name in sweep.scenes:
            task = Task(sweep=sweep, scene=scenes[name], launch_batch=launch_batch, store=store, settings=settings)
            try:
                chosen = choose(task)
            except KeyboardInterrupt:
                return Outcome(n_planned=0, n_skipped=0, n_ok=0, n_failed=0, interrupted=True)
            for params in chosen:
                trials += plan_configuration(sweep, sweep.swept, params, scenes[name])
        return launch_batch([*trials, *controls], label=f"{sweep.name}: chosen and controls")


def check_settings(settings: SearchSettings, sweep: Sweep) -> None:
    """Raise InvalidValueError unless the settings go together and the sweep has what they need."""
    search, scheduler, objective = settings.search, settings.scheduler, settings.objective
    if (search, scheduler) not in STRATEGIES:
        known = ", ".join(f"--search {first} --scheduler {second}" for first, second in STRATEGIES)
        raise InvalidValueError(f"--search {search} --scheduler {scheduler} is not available: choose from {known}")
    if settings.n_configs < 1:
        raise InvalidValueError(f"--n-configs must be >= 1, got {settings.n_configs}")
    if not 0 <= settings.seed < 2**32:
        raise InvalidValueError(f"--search-seed must be in 0..{2**32 - 1}, got {settings.seed}")
    if objective not in OBJECTIVES:
        raise InvalidValueError(f"--objective {objective!r} is not available: choose {' or '.join(OBJECTIVES)}")
    if len(OBJECTIVES[objective]) > 1 and (settings.stops_early or not is_search(settings)):
        raise InvalidValueError(
            f"--objective {objective} goes with --search random or optuna and --scheduler none, got --search {search} "
            f"--scheduler {scheduler}: a grid runs everything, and a scheduler stops by accuracy alone"
        )
    if settings.sampler is not None:
        if search != "optuna":
            raise InvalidValueError(
                f"--sampler {settings.sampler} has no part in --search {search}: add --search optuna"
            )
        load_sampler(import_optuna("--sampler"), settings.sampler, settings.seed)
    if settings.stops_early:
        check_budget(sweep, scheduler)


def is_search(settings: SearchSettings) -> bool:
    """Return whether something is chosen, so that what runs is not known before; the settings are known ones."""
    return STRATEGIES[settings.search, settings.scheduler] is not None


def plan_controls(sweep: Sweep, scenes: Mapping[str, Scene]) -> list[Trial]:
    """Return the trials of the controls on all scenes of the sweep."""
    return [
        trial
        for name in sweep.scenes
        for control in sweep.controls
        for params in control.configurations()
        for trial in plan_configuration(sweep, control, params, scenes[name])
    ]
