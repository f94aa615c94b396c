"""Entrants against the reference: paired differences, and the share of the oracle's gain that each captures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from report.groups import Configuration, Group, choose_by_validation, swept_names, value_key
from report.leaderboard import Leaderboard
from report.standings import PRETRAINED, REFERENCE
from report.statistics import Interval, captured_gain, paired_difference

# Nobody reads a table of more, and none of them is told from the others by chance.
MAX_SETTINGS = 200


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Test OA of an entrant minus that of the reference on the same splits and seeds, fractions.

    Attributes:
        n_tried: configurations of the entrant among which validation chose.
        reference_n_tried: the same of the reference; a smaller number is a smaller chance.
    """

    method: str
    protocol: str
    is_bound: bool
    reference_protocol: str
    oa: Interval
    n_tried: int
    reference_n_tried: int


@dataclass(frozen=True, kw_only=True)
class CapturedGain:
    """The share of the oracle's gain over the reference that an entrant captures.

    Attributes:
        setting: shared parameter values at which all three are compared, or "each at its own choice".
        gain: entrant minus reference, test OA, fractions.
        oracle_gain: oracle minus reference, test OA, fractions.
        share: their ratio; NaN if the oracle's gain is not above zero by its interval.
        kappa_share: the same of Cohen's kappa.
        n_settings: configurations of the entrant from which validation chose.
        n_unlisted: shared settings at which no gains are given, because they are more than ``MAX_SETTINGS``.
    """

    method: str
    protocol: str
    oracle: str
    setting: str
    gain: Interval
    oracle_gain: Interval
    share: Interval
    kappa_share: Interval
    n_settings: int
    n_unlisted: int = 0


def reference_of(configurations: Iterable[Configuration], item: Configuration, method: str) -> Configuration | None:
    """Return the one complete configuration of ``method`` that differs from ``item`` in how negatives are chosen only.

    It has the item's protocol, and the item's value of every parameter that plain NT-Xent has too: encoder, views,
    training, temperature, transductive or not. None where there is not exactly one.

    Args:
        configurations: where to look; NT-Xent is among them.
        item: any of them.
        method: registered name of the reference or of the oracle.
    """
    candidates = [each for each in configurations if each.protocol == item.protocol and each.is_complete]
    plain = [each for each in candidates if each.method == REFERENCE and _agree(each, item, each.params)]
    if len(plain) != 1 or not set(plain[0].params) <= set(item.params) or item.method == method:
        return None
    found = [each for each in candidates if each.method == method and _agree(each, item, plain[0].params)]
    return found[0] if len(found) == 1 else None


def _agree(one: Configuration, other: Configuration, names: Iterable[str]) -> bool:
    return all(value_key(one.params.get(name)) == value_key(other.params.get(name)) for name in names)


def differences_to_reference(board: Leaderboard) -> tuple[Difference, ...]:
    """Return the paired difference of every entrant to the reference, each at its validation choice.

    The reference's line of the same protocol is taken if there is one, else the board's reference.

    Args:
        board: leaderboard of one group.
    """
    references = [entry for entry in board.ranked if entry.shown.method == REFERENCE]
    if not references:
        return ()
    found = []
    for entry in board.entries:
        if entry.withheld is not None or entry in references:
            continue
        same = [item for item in references if item.shown.protocol == entry.shown.protocol]
        reference = same[0] if same else board.reference or references[0]
        found.append(
            Difference(
                method=entry.shown.method,
                protocol=entry.shown.protocol,
                is_bound=entry.shown.is_bound,
                reference_protocol=reference.shown.protocol,
                oa=paired_difference(entry.shown.oa, reference.shown.oa),
                n_tried=entry.n_tried - entry.n_incomplete,
                reference_n_tried=reference.n_tried - reference.n_incomplete,
            )
        )
    return tuple(found)


def captured_gains(group: Group) -> tuple[CapturedGain, ...]:
    """Return captured gains: each at its own choice, then at each shared setting of entrant, reference and oracle.

    Wherever more than one configuration fits a setting, validation chooses; test scores play no part.

    Args:
        group: comparable trials on one grid of splits and seeds.
    """
    members: dict[tuple[str, bool, str], list[Configuration]] = {}
    for item in group.configurations:
        if item.is_complete:
            members.setdefault((item.protocol, item.is_bound, item.method), []).append(item)
    found = []
    for (protocol, is_bound, method), mined in sorted(members.items()):
        plain = members.get((protocol, False, REFERENCE))
        oracles = [(key[2], items) for key, items in sorted(members.items()) if key[0] == protocol and key[1]]
        if is_bound or method == REFERENCE or not plain or mined[0].kind not in PRETRAINED:
            continue
        for oracle_name, oracle in oracles:
            shared = _shared_axes(mined, plain, oracle)
            chosen = {"each at its own choice": (mined, plain, oracle)}
            at = [_by_setting(items, shared) for items in (mined, plain, oracle)]
            settings = sorted(set.intersection(*map(set, at))) if shared else []
            n_unlisted = len(settings) if len(settings) > MAX_SETTINGS else 0
            for setting in [] if n_unlisted else settings:
                label = ", ".join(f"{name} = {value}" for name, value in zip(shared, setting, strict=True))
                chosen[label] = at[0][setting], at[1][setting], at[2][setting]
            gains = [_captured(method, protocol, oracle_name, label, *sets) for label, sets in chosen.items()]
            found += [replace(gain, n_unlisted=n_unlisted) for gain in gains]
    return tuple(found)


def _captured(
    method: str,
    protocol: str,
    oracle_name: str,
    setting: str,
    mined: list[Configuration],
    plain: list[Configuration],
    oracle: list[Configuration],
) -> CapturedGain:
    chosen = [choose_by_validation(items).scores for items in (mined, plain, oracle)]
    one, reference, bound = (scores["OA"] for scores in chosen)
    return CapturedGain(
        method=method,
        protocol=protocol,
        oracle=oracle_name,
        setting=setting,
        gain=paired_difference(one, reference),
        oracle_gain=paired_difference(bound, reference),
        share=captured_gain(one, reference, bound),
        kappa_share=captured_gain(chosen[0]["kappa"], chosen[1]["kappa"], chosen[2]["kappa"]),
        n_settings=len(mined),
    )


def _shared_axes(*entrants: list[Configuration]) -> tuple[str, ...]:
    """Return the parameters that all entrants have and any of them sweeps: there, equal settings are compared."""
    shared = set.intersection(*(set(item.params) for items in entrants for item in items))
    swept = {name for items in entrants for name in swept_names(items)}
    return tuple(sorted(shared & swept))


def _by_setting(items: list[Configuration], names: tuple[str, ...]) -> dict[tuple[str, ...], list[Configuration]]:
    found: dict[tuple[str, ...], list[Configuration]] = {}
    for item in items:
        found.setdefault(tuple(value_key(item.params[name]) for name in names), []).append(item)
    return found
