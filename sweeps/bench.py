"""The leaderboard's trials: every entrant under the same splits, seeds and protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark import METHODS, PROTOCOLS, InvalidValueError, Scene, SplitSpec, Trial, UnknownNameError
from benchmark.planning import can_score, parameter_names
from sweeps.overrides import read_values
from sweeps.sweep import Control, Sweep, plan


def plan_bench(
    scenes: Mapping[str, Scene], *, methods: Sequence[str] = (), protocols: Sequence[str] = (),
    split: SplitSpec | None = None, n_seeds: int = 1, n_splits: int = 5, settings: Mapping[str, str] | None = None,
) -> list[Trial]:  # fmt: skip
    """Return the trials of every method under every protocol on every scene; those of one fit come together.

    Args:
        scenes: scenes by name.
        methods: registered names; none takes all.
        protocols: registered names; none takes all. A method is scored by those that can score it.
        split: how pixels are divided; its index is ignored.
        n_seeds: seeds per method, >= 1.
        n_splits: splits per seed, >= 1.
        settings: parameter -> text of its value, set in every method that has the parameter.

    Raises:
        UserError: a name or value that does not exist or is out of range, or a parameter that no method has.
    """
    chosen = list(dict.fromkeys(methods or METHODS.names()))
    known = sorted({parameter for name in chosen for parameter in parameter_names(METHODS.get(name))})
    for parameter in settings or {}:
        if parameter not in known:
            raise UnknownNameError("parameter", parameter, known)
    trials: list[Trial] = []
    for method in chosen:
        own = {key: text for key, text in (settings or {}).items() if key in parameter_names(METHODS.get(method))}
        first, *others = (
            Control(method=method, params=read_settings(method, own), protocol=protocol)
            for protocol in _scoring(method, list(dict.fromkeys(protocols or PROTOCOLS.names())))
        )
        sweep = Sweep(
            name="bench", question="How do the entrants compare?", method=first.method, params=first.params,
            protocol=first.protocol or "", controls=tuple(others), scenes=tuple(scenes),
            split_specs=(split or SplitSpec(),), n_seeds=n_seeds, n_splits=n_splits,
        )  # fmt: skip
        trials += plan(sweep, scenes)
    return trials


def _scoring(method: str, protocols: Sequence[str]) -> Sequence[str]:
    """Return the protocols that can score the method; all where none can, so that planning says why."""
    return [protocol for protocol in protocols if can_score(protocol, method)] or protocols


def read_settings(method: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """Return parameter -> value, each read from text by the type of the method's parameter.

    Raises:
        UnknownNameError: the method has no such parameter.
        InvalidValueError: a value is not of the parameter's type, or there is more than one.
    """
    known = parameter_names(METHODS.get(method))
    values = {}
    for name, text in settings.items():
        if name not in known:
            raise UnknownNameError(f"parameter of {method}", name, known)
        read = read_values(method, name, text)
        if len(read) != 1:
            raise InvalidValueError(f"--set {name}={text}: one value is needed, got {len(read)}: write {name}=VALUE")
        values[name] = read[0]
    return values
