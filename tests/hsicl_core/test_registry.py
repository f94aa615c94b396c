"""The registry walks a folder, imports what is asked for, and hides no error."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsicl_core import Registry, UnknownNameError

BASE = "class Toy:\n    pass\n\n\nMEMBER = Toy\n"
MEMBER = "from toy_family.base import Toy\n\n\nclass {name}(Toy):\n    pass\n"


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """A family of its own, to which a file is added by name and text."""
    folder = tmp_path / "toy_family"
    folder.mkdir()
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> Path:
        path = folder / f"{name}.py"
        path.write_text(text)
        importlib.invalidate_caches()
        return path

    write("__init__", "")
    write("base", BASE)
    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "toy_family"]:
        del sys.modules[name]


TOYS: Registry[type] = Registry("toy", "toy_family", "hsicl.test_toys")


def test_a_file_is_a_member_under_its_name(add: Callable[[str, str], Path]) -> None:
    add("red", MEMBER.format(name="Red"))
    add("blue_green", MEMBER.format(name="BlueGreen"))
    add("_helper", "raise RuntimeError('never imported')\n")
    assert TOYS.names() == ["blue_green", "red"]
    assert TOYS.get("blue_green").__name__ == "BlueGreen"


def test_an_instance_may_be_the_member_and_an_imported_class_is_none(add: Callable[[str, str], Path]) -> None:
    add("red", MEMBER.format(name="Red"))
    add("pair", "from toy_family.base import Toy\nfrom toy_family.red import Red\n\n_HIDDEN = Toy()\nPAIR = Red()\n")
    assert type(TOYS.get("pair")).__name__ == "Red"


def test_listing_imports_no_member(add: Callable[[str, str], Path]) -> None:
    add("broken", "raise RuntimeError('imported')\n")
    assert TOYS.names() == ["broken"]
    assert "toy_family.broken" not in sys.modules


@pytest.mark.parametrize("name", ["", "base", "_helper", "rde", "Red", "__init__", "red.py", "../red"])
def test_other_names_are_unknown(add: Callable[[str, str], Path], name: str) -> None:
    add("red", MEMBER.format(name="Red"))
    add("_helper", MEMBER.format(name="Helper"))
    with pytest.raises(UnknownNameError):
        TOYS.get(name)


def test_an_unknown_name_is_met_with_the_closest(add: Callable[[str, str], Path]) -> None:
    add("crimson", MEMBER.format(name="Crimson"))
    add("teal", MEMBER.format(name="Teal"))
    with pytest.raises(UnknownNameError) as caught:
        TOYS.get("crimsno")
    assert str(caught.value) == "unknown toy 'crimsno': did you mean 'crimson'? (known: crimson, teal)"
    with pytest.raises(UnknownNameError) as caught:
        TOYS.get("zzz")
    assert str(caught.value) == "unknown toy 'zzz': choose one of these (known: crimson, teal)"


@pytest.mark.parametrize(
    ("text", "error"),
    [("import no_such_package_at_all\n", ModuleNotFoundError), ("from sys import no_such_name\n", ImportError)],
)
def test_a_broken_plug_in_is_not_skipped(
    add: Callable[[str, str], Path], text: str, error: type[ImportError]
) -> None:  # fmt: skip
    add("broken", text)
    assert "broken" in TOYS.names()
    with pytest.raises(error, match="no_such") as caught:
        TOYS.get("broken")
    assert not isinstance(caught.value, UnknownNameError)


@pytest.mark.parametrize("names", [[], ["One", "Two"]])
def test_a_file_holds_exactly_one_member(add: Callable[[str, str], Path], names: list[str]) -> None:
    path = add("crowd", "from toy_family.base import Toy\n" + "".join(f"class {name}(Toy): pass\n" for name in names))
    with pytest.raises(TypeError, match=rf"crowd\.py must define exactly one public Toy, found {len(names)}") as caught:
        TOYS.get("crowd")
    assert str(path) in str(caught.value)


def test_another_package_adds_through_its_entry_point(add: Callable[[str, str], Path], tmp_path: Path) -> None:
    add("red", MEMBER.format(name="Red"))
    (tmp_path / "foreign.py").write_text(MEMBER.format(name="Foreign"))
    info = tmp_path / "foreign-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[hsicl.test_toys]\nalien = foreign:Foreign\nlost = foreign:NoSuch\n")
    assert TOYS.names() == ["alien", "lost", "red"]
    try:
        assert TOYS.get("alien").__name__ == "Foreign"
        with pytest.raises(AttributeError, match="NoSuch"):
            TOYS.get("lost")
    finally:
        del sys.modules["foreign"]
