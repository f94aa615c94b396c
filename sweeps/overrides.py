"""What a user types to change a sweep: ``temperature=0.05,0.1``, read by the type of the method's parameter."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmark import METHODS, InvalidValueError, UnknownNameError

_BOOLEANS = {"true": True, "false": False}
_NOTHING = {"none": None}

# How the text of one value is read, by the parameter's type, and how the type is called in messages.
_READERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    bool: (lambda text: _BOOLEANS[text.lower()], "true or false"),
    int: (int, "an integer"),
    float: (float, "a number"),
    str: (str, "text"),
    type(None): (lambda text: _NOTHING[text.lower()], "none"),
}


def read_axis_options(options: Sequence[str]) -> dict[str, str]:
    """Return parameter -> text of its values, from options such as ``"temperature=0.05,0.1"``.

    Raises:
        InvalidValueError: an option is not of that form, or a parameter is given twice.
    """
    axes: dict[str, str] = {}
    for option in options:
        name, equals, text = option.partition("=")
        name = name.strip()
        if not (name and equals and text.strip()):
            raise InvalidValueError(f"--axis {option!r} is not NAME=VALUE,VALUE...: write e.g. temperature=0.05,0.1")
        if name in axes:
            raise InvalidValueError(f"--axis {name!r} is given twice: put all its values after one '='")
        axes[name] = text
    return axes


def check_axis_name(method: str, name: str) -> None:
    """Raise UnknownNameError, with the closest name, if ``method`` has no parameter ``name``."""
    known = [parameter.name for parameter in dataclasses.fields(METHODS.get(method))]
    if name not in known:
        raise UnknownNameError(f"axis of {method}", name, known)


def read_values(method: str, name: str, text: str) -> tuple[Any, ...]:
    """Return the comma-separated values in ``text`` as the type of ``method``'s parameter ``name``.

    Args:
        method: registered name of the method.
        name: one of its parameters.
        text: e.g. ``"0.05,0.1"``; a parameter that may be None reads ``none``.

    Raises:
        InvalidValueError: a value is not of that type.
    """
    kinds = _kinds(typing.get_type_hints(METHODS.get(method))[name])
    if not kinds:
        raise InvalidValueError(
            f"axis {name!r} takes more than one word or number per value, which cannot be given as text: write the "
            "values into a sweep definition"
        )
    return tuple(dict.fromkeys(_read(name, item.strip(), kinds) for item in text.split(",")))


def read_settings(method: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """Return parameter -> value, each read from text by the type of the method's parameter.

    Raises:
        UnknownNameError: the method has no such parameter.
        InvalidValueError: a value is not of the parameter's type, or there is more than one.
    """
    known = [parameter.name for parameter in dataclasses.fields(METHODS.get(method))]
    values = {}
    for name, text in settings.items():
        if name not in known:
            raise UnknownNameError(f"parameter of {method}", name, known)
        read = read_values(method, name, text)
        if len(read) != 1:
            raise InvalidValueError(f"--set {name}={text}: one value is needed, got {len(read)}: write {name}=VALUE")
        values[name] = read[0]
    return values


def _kinds(hint: Any) -> list[Any]:
    # Narrow types first: "3" of an int | float is an int, and text reads everything.
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = list(typing.get_args(hint))
    elif typing.get_origin(hint) is typing.Literal:
        members = [str]
    else:
        members = [hint]
    return [kind for kind in (type(None), bool, int, float, str) if kind in members]


def _read(name: str, text: str, kinds: list[Any]) -> Any:
    for kind in kinds:
        try:
            return _READERS[kind][0](text)
        except (ValueError, KeyError):
            continue
    rule = " or ".join(_READERS[kind][1] for kind in kinds)
    raise InvalidValueError(f"axis {name!r}: {text!r} is not {rule}: write e.g. {name}=VALUE,VALUE")
