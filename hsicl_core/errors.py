"""The errors a user can cause, each of which ends in one line on stderr and exit status 2."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Base of the errors that name a value the user gave, the rule it breaks and the remedy."""

    def __str__(self) -> str:
        # KeyError would otherwise show its message in quotes.
        return " ".join(str(argument) for argument in self.args)


class InvalidValueError(UserError, ValueError):
    """A value outside its documented range."""


class UnknownNameError(UserError, KeyError):
    """A name that its family does not hold."""

    def __init__(self, family: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "choose one of these"
        super().__init__(f"unknown {family} {name!r}: {hint} (known: {', '.join(known) or 'none'})")


class MissingPackageError(UserError, ImportError):
    """An optional package is needed for what was asked."""

    def __init__(self, package: str, purpose: str) -> None:
        super().__init__(f"package {package!r} is not installed, and {purpose} needs it: run 'pip install {package}'")


class SceneNotFoundError(UserError, FileNotFoundError):
    """A scene's files are not where they are looked for; the message says where to get and put them."""


class SceneError(UserError, ValueError):
    """A scene's files are there but cannot be used: damaged, of the wrong shape, not finite."""


class SplitError(UserError, ValueError):
    """A split that the labels cannot support."""
