"""From a user's words to a checked Trial, before anything is computed."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.memo import Memo
from benchmark.methods.base import Method
from benchmark.registries import METHODS, PROTOCOLS, SPLIT_RULES
from benchmark.scene import Scene
from benchmark.split import Split, make_split
from benchmark.trial import SplitSpec, Trial, canonical_json
from hsicl_core.checks import check_choice, check_integer
from hsicl_core.errors import InvalidValueError, UnknownNameError

_SPLITS = Memo(size=64)


def split_of(scene: Scene, spec: SplitSpec) -> Split:
    """Return the split of ``scene`` that ``spec`` describes, made once per process."""

    def make() -> Split:
        return make_split(
            scene.labels, rule=spec.rule, val_per_class=spec.val_per_class, patch_size=spec.patch_size,
            index=spec.index, **_budget(scene, spec),
        )  # fmt: skip

    split: Split = _SPLITS.get((scene.hash, spec), make)
    return split


def _budget(scene: Scene, spec: SplitSpec) -> dict[str, Any]:
    """Return what decides the number of training pixels, as ``make_split`` takes it."""
    if spec.masks is not None:
        return {"fixed": scene.fixed_splits[spec.masks.partition("@")[0]]}
    if spec.labels_percent is not None:
        return {"labels_percent": spec.labels_percent}
    return {"labels_per_class": spec.labels_per_class}


def resolved_split(scene: Scene, spec: SplitSpec) -> SplitSpec:
    """Return ``spec`` with a digest of its masks, so that other masks of the same name are another identity.

    Raises:
        UnknownNameError: the scene has no fixed split of that name, or its files are not at hand.
        InvalidValueError: masks without the rule ``"given"``, or the rule without masks.
    """
    known = ", ".join(sorted(scene.fixed_splits)) or "none at hand"
    if SPLIT_RULES.get(spec.rule).takes_masks != (spec.masks is not None):
        raise InvalidValueError(
            f"rule={spec.rule!r} with masks={spec.masks!r}: rule 'given' goes with the name of a fixed split, others "
            f"with none; scene {scene.name!r} has: {known}"
        )
    if spec.masks is None:
        return spec
    name = spec.masks.partition("@")[0]
    if name not in scene.fixed_splits:
        raise UnknownNameError(f"fixed split of scene {scene.name!r}:", name, scene.fixed_splits)
    return dataclasses.replace(spec, masks=f"{name}@{scene.fixed_splits[name].digest}")


def plan_trial(
    scene: Scene, *, method: str, params: Mapping[str, Any] | None = None, protocol: str = "linear",
    protocol_params: Mapping[str, Any] | None = None, split: SplitSpec | None = None, seed: int = 0,
    purpose: str = "trial",
) -> Trial:  # fmt: skip
    """Return the trial, every parameter filled in and checked, its split tried.

    Args:
        scene: the scene.
        method: registered name.
        params: parameters of the method that differ from its defaults.
        protocol: registered name.
        protocol_params: parameters of the protocol that differ from its defaults.
        split: how pixels are divided; the default is SplitSpec().
        seed: seed of the method, >= 0.
        purpose: ``"trial"``, or ``"search"``: scored on validation only.

    Raises:
        UnknownNameError: no such method, protocol, rule or parameter.
        InvalidValueError: a value outside its range, or a method that sees farther than the split guards.
        SplitError: the labels cannot support the split.
    """
    split = resolved_split(scene, split or SplitSpec())
    check_integer("seed", seed, minimum=0)
    check_choice("purpose", purpose, ("search", "trial"))
    entrant = _instance("method", method, METHODS.get(method), params or {})
    scorer = _instance("protocol", protocol, PROTOCOLS.get(protocol), protocol_params or {})
    split_of(scene, split)
    if not can_score(protocol, method):
        raise InvalidValueError(
            f"protocol {protocol!r} reads {PROTOCOLS.get(protocol).reads}, which method {method!r} does not give: use "
            "another method, or another protocol"
        )
    if entrant.receptive_field > split.patch_size:
        raise InvalidValueError(
            f"method {method!r} sees {entrant.receptive_field} x {entrant.receptive_field} pixels, the split guards "
            f"patch_size={split.patch_size}: raise the split's patch_size or lower the method's"
        )
    return Trial(
        scene=scene.name, scene_hash=scene.hash, split=split, seed=seed, purpose=purpose,
        method=method, params=canonical_json(dataclasses.asdict(entrant)),
        protocol=protocol, protocol_params=canonical_json(dataclasses.asdict(scorer)),
    )  # fmt: skip


def _instance(family: str, name: str, member: type[Any], params: Mapping[str, Any]) -> Any:
    known = {field.name: field for field in dataclasses.fields(member)}
    for parameter in params:
        if parameter not in known:
            raise UnknownNameError(f"parameter of {family} {name!r}:", parameter, known)
    return member(**{parameter: _canonical(known[parameter], value) for parameter, value in params.items()})


def _canonical(field: dataclasses.Field[Any], value: Any) -> Any:
    """Return equal values as one: 1 for a float parameter is 1.0, a NumPy scalar is a Python number."""
    if isinstance(value, np.generic):
        value = value.item()
    kinds = {part.strip() for part in str(getattr(field.type, "__name__", field.type)).split("|")}
    if "float" in kinds and "int" not in kinds:
        return _as_float(value)
    if isinstance(value, tuple | list) and str(field.type).startswith("tuple[float"):
        return tuple(_as_float(each) for each in value)
    return value


def _as_float(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def can_score(protocol: str, method: str) -> bool:
    """Return whether the method gives what the protocol reads; both are registered names."""
    member = METHODS.get(method)
    given = {"embedding": True, "scores": member.classifies, "network": member.fine_tunes}
    return given[PROTOCOLS.get(protocol).reads]


def parameter_names(member: type[Any]) -> list[str]:
    """Return the names of a method's or protocol's parameters."""
    return [field.name for field in dataclasses.fields(member)]


@functools.lru_cache(maxsize=1024)
def _uses_split(method: str, params: str) -> bool:
    entrant: Method = METHODS.get(method)(**json.loads(params))
    return entrant.uses_split


@functools.lru_cache(maxsize=1024)
def _fusion(method: str, params: str) -> Hashable | None:
    entrant: Method = METHODS.get(method)(**json.loads(params))
    return entrant.fusion


def group_trials(trials: Iterable[Trial]) -> list[tuple[Trial, ...]]:
    """Return the trials in groups that share one fit, in the order in which their first trials come."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.fit_id(_uses_split(trial.method, trial.params)), []).append(trial)
    return [tuple(group) for group in groups.values()]


def pack_groups(
    groups: Sequence[Sequence[Trial]], *, size: Callable[[Sequence[Trial]], int]
) -> list[tuple[tuple[Trial, ...], ...]]:
    """Return the groups in packs whose fits can be trained as one, in the order in which their first groups come.

    Args:
        groups: as ``group_trials`` gives them.
        size: of a group, the most fits, >= 1, that are trained as one with it.
    """
    packs: list[list[tuple[Trial, ...]]] = []
    opened: dict[Hashable, list[tuple[Trial, ...]]] = {}
    for group in groups:
        first = group[0]
        fusion, most = _fusion(first.method, first.params), size(group)
        key = (first.scene, first.scene_hash, fusion, most)
        if fusion is None or len(opened.get(key, ())) in (0, most):
            packs.append([])
            opened[key] = packs[-1]
        opened[key].append(tuple(group))
    return [tuple(pack) for pack in packs]
