"""The parameter checks: what passes, and that a refusal is one line with value and rule."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hsicl_core.checks import check_choice, check_integer, check_number
from hsicl_core.errors import InvalidValueError, MissingPackageError, SceneNotFoundError, UnknownNameError, UserError

ODD = partial(check_integer, minimum=1, odd=True)
FEW = partial(check_integer, minimum=0, maximum=3)
OPEN = partial(check_number, above=0, below=1)
CLOSED = partial(check_number, minimum=0, maximum=1)
COLOUR = partial(check_choice, choices=("red", "blue"))


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (ODD, [1, 3, 99]),
        (FEW, [0, 3]),
        (OPEN, [0.5, 1e-300]),
        (CLOSED, [0, 1, 0.0, 1.0, 0.5]),
        (check_number, [-1e300, 0]),
        (COLOUR, ["red", "blue"]),
    ],
)
def test_values_inside_pass(check: Callable[[str, Any], None], values: list[Any]) -> None:
    for value in values:
        check("size", value)


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (ODD, 2, "size must be an odd integer >= 1, got size=2"),
        (ODD, -1, "size must be an odd integer >= 1, got size=-1"),
        (ODD, 1.0, "size must be an odd integer >= 1, got size=1.0"),
        (ODD, True, "size must be an odd integer >= 1, got size=True"),
        (ODD, None, "size must be an odd integer >= 1, got size=None"),
        (FEW, 4, "size must be an integer >= 0 and <= 3, got size=4"),
        (FEW, -1, "size must be an integer >= 0 and <= 3, got size=-1"),
        (FEW, "2", "size must be an integer >= 0 and <= 3, got size='2'"),
        (OPEN, 0, "size must be a number > 0 and < 1, got size=0"),
        (OPEN, 1.0, "size must be a number > 0 and < 1, got size=1.0"),
        (CLOSED, 1.5, "size must be a number >= 0 and <= 1, got size=1.5"),
        (CLOSED, -0.5, "size must be a number >= 0 and <= 1, got size=-0.5"),
        (CLOSED, math.nan, "size must be a number >= 0 and <= 1, got size=nan"),
        (CLOSED, True, "size must be a number >= 0 and <= 1, got size=True"),
        (check_number, math.inf, "size must be a number finite, got size=inf"),
        (COLOUR, "green", "size='green' is not known: choose one of blue, red"),
        (COLOUR, None, "size=None is not known: choose one of blue, red"),
    ],
)
def test_values_outside_are_named_with_the_rule(check: Callable[[str, Any], None], value: Any, message: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        check("size", value)
    assert str(caught.value) == message


def test_user_errors_are_plain_sentences_and_still_the_builtin_kind() -> None:
    errors = [
        (InvalidValueError("too much"), ValueError),
        (UnknownNameError("scene", "x", ["y"]), KeyError),
        (MissingPackageError("tensorly", "this"), ImportError),
        (SceneNotFoundError("not there"), FileNotFoundError),
    ]
    for error, builtin in errors:
        assert isinstance(error, UserError)
        assert isinstance(error, builtin)
        assert not str(error).startswith(("'", '"', "("))
        assert "\n" not in str(error)
    assert str(UnknownNameError("scene", "x", [])) == "unknown scene 'x': choose one of these (known: none)"
