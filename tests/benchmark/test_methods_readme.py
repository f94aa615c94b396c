"""The page of methods says what the files say."""

from __future__ import annotations

import sys
import types

import pytest

from benchmark import METHODS, methods_readme
from benchmark.methods.raw_spectra import RawSpectra


def test_the_page_is_current() -> None:
    assert methods_readme.PATH.read_text(encoding="utf-8") == methods_readme.text(), (
        "run python -m benchmark.methods_readme"
    )


def test_every_method_is_on_it_once() -> None:
    headings = [
        line.removeprefix("### ").strip("`") for line in methods_readme.text().splitlines() if line[:4] == "### "
    ]
    assert sorted(headings) == METHODS.names()


@pytest.mark.parametrize("mark", ["", "**"])
def test_the_paragraphs_of_a_docstring_are_told_apart(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("benchmark.methods.made_up")
    module.__doc__ = (
        f"What it is.\n\nMore of it.\n{mark}Source:{mark} A 2020,\n  eq. 1. See Cost: no heading.\n"
        f"{mark}Differs:{mark} nothing.\n{mark}Cost:{mark} O(n).\n"
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    method = type("MadeUp", (RawSpectra,), {"__module__": module.__name__})
    assert methods_readme.described(method) == {
        "": "What it is. More of it.",
        "Source": "A 2020, eq. 1. See Cost: no heading.",
        "Differs": "nothing.",
        "Cost": "O(n).",
    }


def test_a_search_space_is_counted_and_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS.get("nt_xent"), "search_space", {"temperature": (0.1, 0.2), "steps": (1, 2, 3)})
    assert "- Search space (6 combinations): temperature of 0.1, 0.2, steps of 1, 2, 3\n" in methods_readme.text()
