"""One small registry for every family: a folder is walked, the file name is the registered name.

A plug-in file holds exactly one public subclass (or instance) of its family's base. Adding one edits no other file;
a third-party package adds to a family through an entry point of the family's group.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast

from hsicl_core.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """The members of one family, found by walking its package. Nothing is imported before it is asked for.

    Args:
        family: what a member is called in messages, e.g. ``"loss"``.
        package: the package whose modules are the members, e.g. ``"hsicl_core.losses"``. ``base`` and names that
            start with an underscore are not members.
        group: the entry-point group through which other packages add members, e.g. ``"hsicl.losses"``.
    """

    def __init__(self, family: str, package: str, group: str) -> None:
        self.family = family
        self.package = package
        self.group = group
        self._found: dict[str, T] = {}

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        return sorted({*self._module_names(), *(point.name for point in entry_points(group=self.group))})

    def get(self, name: str) -> T:
        """Return the member called ``name``.

        Raises:
            UnknownNameError: no such member; the closest name is suggested.
            Exception: whatever the plug-in's own import raises; a broken plug-in is never skipped.
        """
        # To walk the folder and all installed packages takes milliseconds, and a plan of thousands asks as often.
        if name not in self._found:
            self._found[name] = self._load(name)
        return self._found[name]

    def _load(self, name: str) -> T:
        if name in self._module_names():
            module = importlib.import_module(f"{self.package}.{name}")
            return cast(T, self._only_member(module))
        for point in entry_points(group=self.group):
            if point.name == name:
                return cast(T, point.load())
        raise UnknownNameError(self.family, name, self.names())

    def _module_names(self) -> list[str]:
        path = importlib.import_module(self.package).__path__
        names = (module.name for module in pkgutil.iter_modules(path))
        return [name for name in names if name != "base" and not name.startswith("_")]

    def _only_member(self, module: Any) -> Any:
        base = importlib.import_module(f"{self.package}.base").MEMBER
        members = []
        for name, value in vars(module).items():
            if name.startswith("_"):
                continue
            is_own_class = isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
            if is_own_class or isinstance(value, base):
                members.append(value)
        if len(members) != 1:
            raise TypeError(f"{module.__file__} must define exactly one public {base.__name__}, found {len(members)}")
        return members[0]
