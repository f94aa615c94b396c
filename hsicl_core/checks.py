"""Checks of scalar parameters, each with the same one-line message: value, rule, remedy."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

from hsicl_core.errors import InvalidValueError, UnknownNameError


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Raise InvalidValueError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise InvalidValueError(f"{name}={value!r} is not known: choose one of {', '.join(sorted(choices))}")


def check_options(owner: str, options: Iterable[str], known: Collection[str]) -> None:
    """Raise UnknownNameError unless all ``options`` are parameters of ``owner``, e.g. "view 'flip_rotate'"."""
    for option in options:
        if option not in known:
            raise UnknownNameError(f"parameter of {owner}:", option, known)


def check_integer(name: str, value: Any, *, minimum: int, maximum: int | None = None, odd: bool = False) -> None:
    """Raise InvalidValueError unless ``value`` is an int in minimum..maximum (and odd, if asked)."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if is_integer and value >= minimum and (maximum is None or value <= maximum) and (not odd or value % 2 == 1):
        return
    rule = f"an {'odd ' if odd else ''}integer >= {minimum}" + ("" if maximum is None else f" and <= {maximum}")
    raise InvalidValueError(f"{name} must be {rule}, got {name}={value!r}")


def check_number(
    name: str, value: Any, *, above: float | None = None, minimum: float | None = None,
    below: float | None = None, maximum: float | None = None,
) -> None:  # fmt: skip
    """Raise InvalidValueError unless ``value`` is a finite number inside the given open or closed bounds."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if (
        is_number
        and (above is None or value > above)
        and (minimum is None or value >= minimum)
        and (below is None or value < below)
        and (maximum is None or value <= maximum)
    ):
        return
    bounds = [(above, ">"), (minimum, ">="), (below, "<"), (maximum, "<=")]
    rule = " and ".join(f"{sign} {bound:g}" for bound, sign in bounds if bound is not None) or "finite"
    raise InvalidValueError(f"{name} must be a number {rule}, got {name}={value!r}")
