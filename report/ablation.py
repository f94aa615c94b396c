"""What each swept parameter does to test OA: one response per axis, beside the other methods of the same protocol."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from report.groups import Configuration, Group, swept_names, value_key
from report.standings import REFERENCE
from report.statistics import Interval, crossed_mean_interval, paired_difference

# A combination of parameter values: ((name, value as JSON), ...), names sorted.
Setting = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Series:
    """Test OA of one method along an axis, or at one level where the method does not sweep it.

    Attributes:
        values: axis values in order; empty for a level.
        cells: (splits, seeds) test OA (fractions) averaged over settings, one matrix per value, or one for a level.
        n_settings: configurations averaged into each matrix.
        note: what the reader must know of the average, or "".
        differences: test OA minus the reference's at the same value, paired by cell; () where there is no reference,
            where values do not meet, and for the reference itself. None where only that value is missing.
    """

    method: str
    is_bound: bool
    values: tuple[Any, ...]
    cells: tuple[NDArray[np.float64], ...]
    n_settings: int
    note: str
    differences: tuple[Interval | None, ...] = ()

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Test OA (fractions), one per value, or one for a level."""
        return tuple(crossed_mean_interval(matrix) for matrix in self.cells)

    @property
    def is_level(self) -> bool:
        """Whether it is drawn as a horizontal line."""
        return not self.values


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """One swept axis of one method (the first series), with the other methods of the same protocol.

    Attributes:
        averaged_over: the method's other swept axes.
        contrast: test OA at the last axis value minus that at the first, paired by cell, fractions.
    """

    group: Group
    protocol: str
    axis: str
    averaged_over: tuple[str, ...]
    series: tuple[Series, ...]
    contrast: Interval

    @property
    def method(self) -> str:
        """The method whose axis it is."""
        return self.series[0].method


@dataclass(frozen=True, kw_only=True)
class _Entrant:
    method: str
    is_bound: bool
    configurations: tuple[Configuration, ...]

    @functools.cached_property
    def axes(self) -> tuple[str, ...]:
        """Parameters with more than one value among the configurations, holes or not."""
        return swept_names(self.configurations)


def build_ablations(group: Group) -> tuple[tuple[Ablation, ...], tuple[str, ...]]:
    """Return the ablations of a group, one per protocol and swept axis, and a note for each axis not drawn.

    Among the methods that sweep an axis, the one with most configurations (no bound if there is another) gives the
    ablation; the others are drawn beside it.

    Args:
        group: comparable trials on one grid of splits and seeds.
    """
    ablations, notes = [], []
    for protocol in sorted({item.protocol for item in group.configurations}):
        entrants = _entrants(group, protocol)
        for axis in sorted({axis for entrant in entrants for axis in entrant.axes}):
            sweeping = [entrant for entrant in entrants if axis in entrant.axes]
            main = min(sweeping, key=lambda item: (item.is_bound, -len(item.configurations), item.method))
            ablation = _ablation(group, protocol, axis, main, [item for item in entrants if item is not main])
            if ablation is None:
                notes.append(
                    f"{axis} of {main.method} ({protocol}) is not drawn: fewer than two of its values have complete "
                    "trials at the same setting of the other parameters"
                )
            else:
                ablations.append(ablation)
    return tuple(ablations), tuple(notes)


def _entrants(group: Group, protocol: str) -> list[_Entrant]:
    members: dict[tuple[str, bool], list[Configuration]] = {}
    for item in group.configurations:
        if item.protocol == protocol:
            members.setdefault((item.method, item.is_bound), []).append(item)
    return [_Entrant(method=key[0], is_bound=key[1], configurations=tuple(items)) for key, items in members.items()]


def _ablation(group: Group, protocol: str, axis: str, main: _Entrant, others: list[_Entrant]) -> Ablation | None:
    rest = tuple(name for name in main.axes if name != axis)
    responses, common, note = _responses(main, axis, rest)
    if len(responses) < 2:
        return None
    series = [_curve(main, responses, len(common), note)]
    for other in others:
        drawn = _beside(other, axis, rest, common)
        if drawn is not None:
            series.append(drawn)
    ordered = list(responses.values())
    return Ablation(
        group=group,
        protocol=protocol,
        axis=axis,
        averaged_over=rest,
        series=tuple(replace(item, differences=_differences(item, series)) for item in series),
        contrast=paired_difference(ordered[-1][1], ordered[0][1]),
    )


def _responses(
    entrant: _Entrant, axis: str, rest: tuple[str, ...], wanted: Counter[Setting] | None = None
) -> tuple[dict[str, tuple[Any, NDArray[np.float64]]], set[Setting], str]:
    """Return value key -> (value, (splits, seeds) mean test OA), the settings averaged, and a note on what is missing.

    Only settings of the other axes that are complete at every drawn value are averaged: were a setting missing at
    one value only, the curve would show that setting's level as an effect of the axis. ``wanted`` restricts and weighs
    the settings by the part that they share with another method's.
    """
    cells: dict[str, dict[Setting, NDArray[np.float64]]] = {}
    values: dict[str, Any] = {}
    every: set[Setting] = set()
    for item in entrant.configurations:
        setting, key = _setting(item, rest), _key(item, axis)
        if wanted is not None and _part(setting, wanted) not in wanted:
            continue
        values[key] = item.params.get(axis)
        every.add(setting)
        if item.is_complete:
            cells.setdefault(key, {})[setting] = item.oa
    common = set.intersection(*(set(found) for found in cells.values())) if cells else set()
    note = ""
    if len(cells) < len(values):
        left_out = ", ".join(sorted(set(values) - set(cells)))
        note += f"; left out for failed or missing trials: {axis} = {left_out}"
    if not common:
        return {}, common, note
    if common != every:
        note += f"; {len(every) - len(common)} of {len(every)} settings left out, not complete at every value"
    responses = {
        key: (values[key], _weighted({setting: cells[key][setting] for setting in common}, wanted))
        for key in sorted(cells, key=lambda key: _position(values[key]))
    }
    return responses, common, note


def _weighted(cells: dict[Setting, NDArray[np.float64]], wanted: Counter[Setting] | None) -> NDArray[np.float64]:
    """Return the mean over settings; with ``wanted``, each shared part weighs as often as it is wanted."""
    settings = sorted(cells)
    if wanted is None:
        weights = [1.0] * len(settings)
    else:
        times = Counter(_part(setting, wanted) for setting in settings)
        weights = [wanted[_part(setting, wanted)] / times[_part(setting, wanted)] for setting in settings]
    return np.asarray(np.average([cells[setting] for setting in settings], axis=0, weights=weights))


def _part(setting: Setting, wanted: Counter[Setting]) -> Setting:
    # All that are wanted are settings of the same parameters.
    shared = {name for name, _ in next(iter(wanted), ())}
    return tuple(pair for pair in setting if pair[0] in shared)


def _curve(entrant: _Entrant, responses: dict[str, tuple[Any, NDArray[np.float64]]], n: int, note: str) -> Series:
    return Series(
        method=entrant.method,
        is_bound=entrant.is_bound,
        values=tuple(value for value, _ in responses.values()),
        cells=tuple(matrix for _, matrix in responses.values()),
        n_settings=n,
        note=note.removeprefix("; "),
    )


def _beside(other: _Entrant, axis: str, rest: tuple[str, ...], common: set[Setting]) -> Series | None:
    """Return another method's curve, or its level if it does not sweep the axis, at the settings it shares.

    Shared parameters get the values and weights they have in the main method's average, so that the two differ in the
    method and not in, say, the temperatures averaged.
    """
    shared = {name for name in rest if any(name in item.params for item in other.configurations)}
    wanted = Counter(tuple(pair for pair in setting if pair[0] in shared) for setting in common)
    own = tuple(sorted(({*other.axes} - {axis}) | shared))
    if axis in other.axes:
        responses, settings, note = _responses(other, axis, own, wanted)
        if len(responses) >= 2:
            return _curve(other, responses, len(settings), note + _uncovered(settings, wanted))
    own = tuple(sorted({*own, *({axis} & {*other.axes})}))
    matched = [item for item in other.configurations if _part(_setting(item, own), wanted) in wanted]
    cells = {_setting(item, own): item.oa for item in matched if item.is_complete}
    if not cells:
        return None
    note = _uncovered(set(cells), wanted)
    if len(cells) < len(matched):
        note += f"; {len(matched) - len(cells)} of {len(matched)} configurations left out, not complete"
    fixed = sorted({_key(item, axis) for item in matched if item.is_complete and axis in item.params})
    if fixed:
        note += f"; {axis} = {', '.join(fixed)}"
    return Series(
        method=other.method,
        is_bound=other.is_bound,
        values=(),
        cells=(_weighted(cells, wanted),),
        n_settings=len(cells),
        note=note.removeprefix("; "),
    )


def _differences(series: Series, every: list[Series]) -> tuple[Interval | None, ...]:
    reference = next((item for item in every if item.method == REFERENCE and not item.is_bound), None)
    if reference is None or reference is series or (series.is_level and not reference.is_level):
        return ()
    if reference.is_level:
        return tuple(paired_difference(matrix, reference.cells[0]) for matrix in series.cells)
    at = {value_key(value): matrix for value, matrix in zip(reference.values, reference.cells, strict=True)}
    found = [
        paired_difference(matrix, at[value_key(value)]) if value_key(value) in at else None
        for value, matrix in zip(series.values, series.cells, strict=True)
    ]
    return tuple(found) if any(found) else ()


def _uncovered(settings: set[Setting], wanted: Counter[Setting]) -> str:
    covered = {_part(setting, wanted) for setting in settings}
    if covered == set(wanted):
        return ""
    text = ", ".join(" ".join(f"{name}={value}" for name, value in part) for part in sorted(covered))
    return f"; only at {text}"


def _setting(item: Configuration, names: Iterable[str]) -> Setting:
    return tuple((name, _key(item, name)) for name in sorted(names))


def _key(item: Configuration, name: str) -> str:
    return value_key(item.params.get(name))


def _position(value: Any) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return not is_number, float(value) if is_number else 0.0, value_key(value)
