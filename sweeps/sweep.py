"""Sweep: a named question that expands to trials."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark import InvalidValueError, Scene, SplitSpec, Trial, plan_trial
from sweeps.overrides import check_axis_name, read_values

Params = Mapping[str, Any]
Axes = Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class Control:
    """A method that runs beside the swept one, on the same splits with the same seeds.

    Attributes:
        method: registered name of the method.
        axes: parameter -> the values to try; every combination is one configuration.
        params: parameters held fixed; all others keep the method's defaults.
        protocol: registered name of the protocol, or None for the sweep's.
        protocol_params: parameters of that protocol; the sweep's where ``protocol`` is None.
    """

    method: str
    axes: Axes = field(default_factory=dict)
    params: Params = field(default_factory=dict)
    protocol: str | None = None
    protocol_params: Params = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in self.axes.items():
            if not values:
                raise InvalidValueError(f"axis {name!r} of {self.method!r} has no value: give at least one")
            if name in self.params:
                raise InvalidValueError(f"{name!r} of {self.method!r} is both an axis and fixed: keep one of them")

    def configurations(self) -> Iterator[dict[str, Any]]:
        """Yield the parameters of every configuration, the last axis running fastest."""
        for values in itertools.product(*self.axes.values()):
            yield {**self.params, **dict(zip(self.axes, values, strict=True))}

    def replaced(self, name: str, values: tuple[Any, ...], *, where_fixed: bool) -> Control:
        """Return the control with parameter ``name`` set to ``values``, if it has it.

        Args:
            name: a parameter.
            values: one or more values.
            where_fixed: whether a parameter that is held fixed follows too.
        """
        if name in self.axes:
            return dataclasses.replace(self, axes={**self.axes, name: values})
        if name in self.params and where_fixed:
            kept = {key: value for key, value in self.params.items() if key != name}
            return dataclasses.replace(self, axes={**self.axes, name: values}, params=kept)
        return self


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A question, and the trials that answer it: scenes x configurations x seeds x splits, controls included.

    Attributes:
        name: the registered name, which is its file's.
        question: what the sweep answers, one sentence.
        method: registered name of the swept method.
        axes: parameter -> the values to try.
        params: parameters held fixed.
        protocol: registered name of the protocol that scores every entrant without one of its own.
        protocol_params: parameters of the protocol.
        controls: what runs beside the swept method.
        scenes: names of scenes.
        split_specs: how the labels are divided; every entrant runs under each of them, and their indices are ignored.
        n_splits: splits of each per seed, >= 1; every entrant sees the same ones.
        n_seeds: seeds per configuration, >= 1.

    Raises:
        InvalidValueError: nothing to run, or a count below 1.
    """

    name: str
    question: str
    method: str
    axes: Axes = field(default_factory=dict)
    params: Params = field(default_factory=dict)
    protocol: str = "linear"
    protocol_params: Params = field(default_factory=dict)
    controls: tuple[Control, ...] = ()
    scenes: tuple[str, ...] = ("indian_pines",)
    split_specs: tuple[SplitSpec, ...] = (SplitSpec(),)
    n_splits: int = 1
    n_seeds: int = 1

    def __post_init__(self) -> None:
        for name in ("n_splits", "n_seeds"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"sweep {self.name!r}: {name} must be >= 1, got {getattr(self, name)}")
        for name in ("scenes", "split_specs"):
            if not getattr(self, name):
                raise InvalidValueError(f"sweep {self.name!r}: {name} is empty: give at least one")
        _ = self.swept  # checks the axes

    @property
    def swept(self) -> Control:
        """The swept method, described as the controls are."""
        return Control(
            method=self.method,
            axes=self.axes,
            params=self.params,
            protocol=self.protocol,
            protocol_params=self.protocol_params,
        )

    def with_overrides(
        self,
        *,
        scenes: Sequence[str] = (),
        n_seeds: int | None = None,
        n_splits: int | None = None,
        axes: Mapping[str, str | Sequence[Any]] | None = None,
    ) -> Sweep:
        """Return the sweep with some of its settings replaced; what is not given stays.

        An axis replaces an axis or any other parameter of the swept method. Controls that sweep the same parameter
        follow; where the sweep holds it fixed (a budget, say), controls that hold it fixed too follow as well.

        Args:
            scenes: names of scenes.
            n_seeds: seeds per configuration, >= 1.
            n_splits: splits per seed, >= 1.
            axes: parameter -> values, or text such as ``"0.05,0.1"`` that is read by the parameter's type.

        Raises:
            UnknownNameError: the swept method has no such parameter.
            InvalidValueError: a value is not of the parameter's type, or a count is below 1.
        """
        counts = {"n_seeds": n_seeds, "n_splits": n_splits}
        changes: dict[str, Any] = {name: count for name, count in counts.items() if count is not None}
        if scenes:
            changes["scenes"] = tuple(dict.fromkeys(scenes))
        sweep = dataclasses.replace(self, **changes)
        for name, given in (axes or {}).items():
            check_axis_name(self.method, name)
            values = read_values(self.method, name, given) if isinstance(given, str) else tuple(given)
            sweep = sweep._with_axis(name, values)
        return sweep

    def _with_axis(self, name: str, values: tuple[Any, ...]) -> Sweep:
        is_fixed = name in self.params
        return dataclasses.replace(
            self,
            axes={**self.axes, name: values},
            params={key: value for key, value in self.params.items() if key != name},
            controls=tuple(control.replaced(name, values, where_fixed=is_fixed) for control in self.controls),
        )


def plan(sweep: Sweep, scenes: Mapping[str, Scene]) -> list[Trial]:
    """Return the trials of ``sweep`` in a fixed order, none twice.

    Scene by scene: the swept method, then the controls; within each, configurations, then seeds, then splits.

    Args:
        sweep: the question.
        scenes: at least the scenes that the sweep names, by name.

    Raises:
        UserError: a method, protocol, rule or parameter value that does not exist or is out of range.
    """
    trials: dict[Trial, None] = {}
    for scene in sweep.scenes:
        for entrant in (sweep.swept, *sweep.controls):
            for params in entrant.configurations():
                trials.update(dict.fromkeys(plan_configuration(sweep, entrant, params, scenes[scene])))
    return list(trials)


def plan_configuration(
    sweep: Sweep, entrant: Control, params: Params, scene: Scene, *, purpose: str = "trial"
) -> list[Trial]:
    """Return the trials of one configuration on one scene: its seeds, and for each seed the splits of each kind.

    Args:
        sweep: gives seeds, splits and the protocol where the entrant has none of its own.
        entrant: gives the method.
        params: the method's parameters; defaults fill in the rest.
        scene: where it runs.
        purpose: ``"trial"``, or ``"search"`` for trials that are scored on validation only.
    """
    has_protocol = entrant.protocol is not None
    return [
        plan_trial(
            scene,
            method=entrant.method,
            params=params,
            protocol=entrant.protocol or sweep.protocol,
            protocol_params=entrant.protocol_params if has_protocol else sweep.protocol_params,
            split=dataclasses.replace(spec, index=index),
            seed=seed,
            purpose=purpose,
        )
        for seed in range(sweep.n_seeds)
        for spec in sweep.split_specs
        for index in range(sweep.n_splits)
    ]
