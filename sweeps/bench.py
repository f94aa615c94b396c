"""The leaderboard's trials: every entrant tuned by up to the same number of trials, then repeated on the same splits.

A line of the leaderboard is a method under a protocol, on one scene under one kind of split. Tuning tries the line's
defaults and configurations drawn from the method's search space on a split and a seed of their own, scored on that
split's validation pixels only (rows of purpose ``"search"``). The best one runs again as ordinary trials: repeat r has
split r and seed r. Under fixed masks the test pixels are the same in tuning and in all repeats.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from benchmark import METHODS, PROTOCOLS, InvalidValueError, Scene, SplitSpec, Trial, UnknownNameError, plan_trial
from benchmark.methods.base import KINDS
from benchmark.planning import can_score, parameter_names
from benchmark.trial import canonical_json, derived_seed
from results import ResultStore
from sweeps.executors.base import Executor
from sweeps.launcher import Outcome, launch
from sweeps.overrides import read_settings
from sweeps.search import validation_accuracies

# Split and seed of the tuning; no repeat has them.
TUNING_INDEX = 999

Params = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the leaderboard, before it is tuned.

    Attributes:
        scene: name of the scene.
        split: how pixels are divided; its index is ignored.
        method: registered name.
        protocol: registered name.
        fixed: parameters of the method that the user set; they are not tuned.
    """

    scene: str
    split: SplitSpec
    method: str
    protocol: str
    fixed: Params = field(default_factory=dict)

    def candidates(self, n_configs: int) -> list[dict[str, Any]]:
        """Return up to ``n_configs`` different configurations: the defaults, then draws from the search space.

        The draws depend on the method alone, so they are the same on every scene, split and protocol.
        """
        space = {name: values for name, values in self._space().items() if name not in self.fixed}
        combinations = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
        random.Random(derived_seed("tuning", self.method)).shuffle(combinations)
        found: dict[str, dict[str, Any]] = {}
        for params in ({}, *combinations):
            found.setdefault(self._identity(params), {**self.fixed, **params})
        return list(found.values())[:n_configs]

    def trial(self, scene: Scene, params: Params, index: int, purpose: str = "trial") -> Trial:
        """Return the trial of one configuration with split and seed ``index``."""
        return plan_trial(
            scene, method=self.method, params=params, protocol=self.protocol, seed=index, purpose=purpose,
            split=dataclasses.replace(self.split, index=index),
        )  # fmt: skip

    def _space(self) -> Mapping[str, tuple[Any, ...]]:
        return METHODS.get(self.method).search_space

    def _identity(self, params: Params) -> str:
        return canonical_json(dataclasses.asdict(METHODS.get(self.method)(**{**self.fixed, **params})))


@dataclass(frozen=True, kw_only=True)
class Bench:
    """All lines of a leaderboard, and how they are tuned and repeated.

    Attributes:
        lines: as ``lines_of`` gives them.
        scenes: scenes by name, all that the lines name.
        n_configs: configurations tried per line, >= 1; with 1 the defaults run untuned.
        n_repeats: trials of the chosen configuration, >= 1 and at most ``TUNING_INDEX``.

    Raises:
        InvalidValueError: a count outside its range.
    """

    lines: tuple[Line, ...]
    scenes: Mapping[str, Scene]
    n_configs: int = 1
    n_repeats: int = 5

    def __post_init__(self) -> None:
        if self.n_configs < 1:
            raise InvalidValueError(f"n_configs must be >= 1, got n_configs={self.n_configs}")
        if not 1 <= self.n_repeats <= TUNING_INDEX:
            raise InvalidValueError(f"n_repeats must be in 1..{TUNING_INDEX}, got n_repeats={self.n_repeats}")

    def searches(self) -> list[Trial]:
        """Return the tuning's trials; none where nothing is tuned. A line with one candidate has nothing to choose."""
        return [trial for line in self.lines for _, trial in self._tried(line)]

    def repeats(self, store: ResultStore) -> list[Trial]:
        """Return the trials of every line's choice, its defaults where no tuning trial of it has a score.

        Args:
            store: where the tuning's rows are.
        """
        accuracies = validation_accuracies(store) if store.exists() else {}
        trials: list[Trial] = []
        for line in self.lines:
            # Of equal ones the first, so the defaults before what was drawn.
            scored = [(accuracies.get(trial.trial_id, -1.0), params) for params, trial in self._tried(line)]
            chosen = max(scored, key=lambda pair: pair[0])[1] if scored else line.fixed
            trials += [line.trial(self.scenes[line.scene], chosen, index) for index in range(self.n_repeats)]
        return trials

    def _tried(self, line: Line) -> Iterator[tuple[Params, Trial]]:
        candidates = line.candidates(self.n_configs)
        for params in candidates if len(candidates) > 1 else ():
            yield params, line.trial(self.scenes[line.scene], params, TUNING_INDEX, "search")


def chosen_methods(names: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """Return the methods of these names and those of these kinds; all where neither is given.

    Raises:
        UnknownNameError: no such method or kind.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownNameError("kind", kind, KINDS)
    of_kinds = [name for name in METHODS.names() if METHODS.get(name).kind in kinds]
    return list(dict.fromkeys([*names, *of_kinds] if names or kinds else METHODS.names()))


def lines_of(
    scenes: Iterable[str], splits: Sequence[SplitSpec], *, methods: Sequence[str], protocols: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> tuple[Line, ...]:  # fmt: skip
    """Return the lines of every method on every scene under every kind of split.

    Args:
        scenes: names of scenes.
        splits: how pixels are divided.
        methods: registered names.
        protocols: registered names, each for the methods that it can score; none takes each method's own.
        settings: parameter -> text of its value, set in every method that has the parameter.

    Raises:
        UserError: a name or value that does not exist or is out of range, or a parameter that no method has.
    """
    known = sorted({parameter for name in methods for parameter in parameter_names(METHODS.get(name))})
    for parameter in settings or {}:
        if parameter not in known:
            raise UnknownNameError("parameter", parameter, known)
    lines = []
    for scene in scenes:
        for method in methods:
            own = {key: text for key, text in (settings or {}).items() if key in parameter_names(METHODS.get(method))}
            fixed = read_settings(method, own)
            for protocol in _scoring(method, list(dict.fromkeys(protocols))):
                lines += [
                    Line(scene=scene, split=split, method=method, protocol=protocol, fixed=fixed) for split in splits
                ]
    return tuple(lines)


def run_bench(
    bench: Bench, store: ResultStore, executor: Executor, *, device: str = "auto", stream: TextIO | None = None,
    resume: str = "",
) -> Outcome:  # fmt: skip
    """Tune every line, then repeat its choice; what the store holds already is not run again.

    Args:
        bench: the lines.
        store: where records go.
        executor: runs the trials.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        stream: where progress goes, or None for silence.
        resume: the command that goes on after an interruption, for the user to read.

    Returns:
        Counts of the repeats; the tuning's rows are in the store only.

    Raises:
        UserError, StoreError: see ``launch``.
    """

    def run(trials: Sequence[Trial], label: str) -> Outcome:
        return launch(trials, store, bench.scenes, executor, device=device, stream=stream, label=label, resume=resume)

    # What cannot be planned is told before anything runs.
    bench.repeats(store)
    with executor.session():
        searches = bench.searches()
        if searches and (tuning := run(searches, "bench: tuning")).interrupted:
            return tuning
        return run(bench.repeats(store), "bench")


def _scoring(method: str, protocols: Sequence[str]) -> Sequence[str]:
    """Return the protocols that can score the method; all that are asked for where none can: planning says why."""
    if not protocols:
        return METHODS.get(method).protocols
    for protocol in protocols:
        PROTOCOLS.get(protocol)
    return [protocol for protocol in protocols if can_score(protocol, method)] or protocols
