"""How speed is measured and told: turns, ratios, bounds, the JSON, the tables and figures that are made from it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.registries import CLAIMS
from benchmark.speed import __main__ as command
from benchmark.speed import table
from benchmark.speed.claims.base import NOT_MEASURED, Bound, Claim, Curve, Row
from benchmark.speed.growth_plots import curves_of, described, digest_of, drawn
from benchmark.speed.timing import Figure, alternate, ratio, seconds

NUMBERS = st.floats(min_value=1e-6, max_value=1e6)
CURVES = st.builds(
    Curve, title=st.text(max_size=9), x=st.text(max_size=9), y=st.text(max_size=9),
    points=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=4).map(tuple),
)  # fmt: skip
ROWS = st.builds(
    Row, what=st.text(max_size=20), unit=st.sampled_from(["ratio", "s", "MiB"]),
    device=st.sampled_from(["cpu", "cuda"]), n_threads=st.none() | st.integers(1, 64),
    bound=st.none() | st.builds(Bound, least=NUMBERS) | st.builds(Bound, most=NUMBERS),
    figure=st.none() | st.lists(NUMBERS, min_size=1, max_size=5).map(Figure.of), note=st.text(max_size=20),
    curve=st.none() | CURVES,
)  # fmt: skip
MACHINE = {
    "processor": "Abacus", "cores": 2, "accelerator": None, "commit": "0123456789abcdef", "dirty": True,
    "versions": {"python": "3.11", "torch": "2", "numpy": "1"},
}  # fmt: skip
SIXTEEN = Figure(median=16.04, low=15.5, high=17, n=9)
SLOPE = Curve(title="steps", x="batch", y="time in s", points=((1.0, 2.0), (10.0, 20.0)))


class Clock:
    """Time that passes only where somebody says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def taking(self, name: str, *durations: float) -> Callable[[], None]:
        """Return what takes so long, call by call, the last over and over."""
        left = list(durations)

        def run() -> None:
            self.calls.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    return clock


def test_a_figure_is_median_and_quartiles() -> None:
    assert Figure.of([5, 1, 4, 2, 3]) == Figure(median=3, low=2, high=4, n=5)
    # Between two values in proportion.
    assert Figure.of([1, 2]) == Figure(median=1.5, low=1.25, high=1.75, n=2)
    assert Figure.of([7]) == Figure(median=7, low=7, high=7, n=1)


def test_seconds_are_those_of_one_run(clock: Clock) -> None:
    assert seconds(clock.taking("a", 2.5)) == 2.5
    assert clock.calls == ["a"]


def test_both_sides_run_in_turn_each_as_often_first_and_the_warm_up_does_not_count(clock: Clock) -> None:
    ours, other = alternate(clock.taking("a", 100, 2, 3), clock.taking("b", 100, 5, 7), repeats=3)
    assert (ours, other) == ([2, 3, 3], [5, 7, 7])
    pairs = ["".join(clock.calls[place : place + 2]) for place in range(0, len(clock.calls), 2)]
    assert sorted(pairs) == ["ab", "ab", "ba", "ba"]
    assert all(first != second for first, second in pairwise(pairs))


def test_a_ratio_is_taken_turn_by_turn() -> None:
    # A machine ten times as slow in the last turn changes nothing.
    assert ratio([2, 4, 30], [1, 1, 10]) == Figure.of([2, 4, 3])
    with pytest.raises(ValueError, match="zip"):
        ratio([1, 2], [1])


@pytest.mark.parametrize(
    ("bound", "within", "without"),
    [
        (Bound(least=2), [2, 3], [1.99]),
        (Bound(most=2), [2, 0.1], [2.01]),
        (Bound(least=1, most=2), [1, 2], [0.9, 2.1]),
    ],
)
def test_a_bound_holds_at_its_end(bound: Bound, within: list[float], without: list[float]) -> None:
    assert all(bound.holds(value) for value in within)
    assert not any(bound.holds(value) for value in without)


@given(st.dictionaries(st.text(max_size=5), st.lists(ROWS, max_size=3), max_size=3))
def test_rows_come_back_from_json_as_they_were(rows: dict[str, list[Row]]) -> None:
    assert table.from_json(table.as_json(rows, MACHINE)) == {
        name: (MACHINE, of_claim) for name, of_claim in rows.items()
    }


def test_what_was_measured_now_replaces_its_claim_and_leaves_the_others() -> None:
    old, new = Row(what="old"), Row(what="new")
    before = table.as_json({"b": [old], "a": [old]}, MACHINE)
    both = table.merged(before, table.as_json({"b": [new, new], "c": [new]}, {**MACHINE, "cores": 4}))
    assert {name: rows for name, (_, rows) in table.from_json(both).items()} == {
        "a": [old],
        "b": [new, new],
        "c": [new],
    }
    assert [where["cores"] for where, _ in table.from_json(both).values()] == [2, 4, 4]
    assert list(json.loads(both)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            Row(
                what="a over b", n_threads=1, bound=Bound(least=15), figure=Figure(median=16.04, low=15.5, high=17, n=9)
            ),
            "| a over b | cpu, 1 thread | 16 | 15.5 to 17, n = 9 | at least 15 |  |\n",
        ),
        (
            Row(what="a", n_threads=2, bound=Bound(most=0.9), figure=Figure(median=1, low=1, high=1, n=1), note="why"),
            "| a | cpu, 2 threads | 1 |  | at most 0.9 | **missed**; why |\n",
        ),
        (
            Row(what="a", device="cuda", bound=Bound(least=8), note=NOT_MEASURED),
            "| a | cuda | - |  | at least 8 | not measured: no CUDA device at hand |\n",
        ),
        (
            Row(what="a", unit="MiB", bound=Bound(most=1000), figure=Figure(median=2345.6, low=1, high=1, n=1)),
            "| a | cpu | 2,346 MiB |  | at most 1,000 MiB | **missed** |\n",
        ),
        (Row(what="a", unit="s", figure=Figure(median=0.1234, low=1, high=1, n=1)), "| a | cpu | 0.123 s |  |  |  |\n"),
    ],
)
def test_a_row_as_a_line(row: Row, line: str) -> None:
    assert table.as_line(row) == line


def test_tables_go_between_the_marks_and_nothing_else_changes() -> None:
    readme = f"before\n{table.BEGIN}old{table.END}after\n"
    once = table.with_tables(readme, "| new |\n")
    assert once == f"before\n{table.BEGIN}\n| new |\n{table.END}after\n"
    assert table.with_tables(once, "| new |\n") == once


def test_a_figure_is_the_same_from_the_same_curves_and_shows_them() -> None:
    svg = drawn([SLOPE] * 5)
    assert svg == drawn([SLOPE] * 5)
    texts = [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    for shown in ("steps", "batch", "time in s"):
        assert texts.count(shown) == 5
    assert {"1", "10", "2", "20"} <= set(texts)
    assert digest_of([SLOPE] * 5) in svg
    assert digest_of([SLOPE]) not in svg


class _Registry:
    """Two claims: one that holds, and has a curve; one that is missed."""

    class Holding(Claim):
        title: ClassVar[str] = "It holds"

        def measure(self, device: torch.device) -> Iterator[Row]:
            figure = Figure.of([2.0])
            yield Row(what="kept", device=device.type, bound=Bound(least=2), figure=figure, curve=SLOPE)

    class Missing(Claim):
        title: ClassVar[str] = "It does not"

        def measure(self, device: torch.device) -> Iterator[Row]:
            yield Row(what="missed", bound=Bound(most=1), figure=Figure.of([2.0]))
            yield Row(what="elsewhere", device="cuda", bound=Bound(most=1), note=NOT_MEASURED)

    def names(self) -> list[str]:
        return ["holding", "missing"]

    def get(self, name: str) -> type[Claim]:
        return {"holding": self.Holding, "missing": self.Missing}[name]


@pytest.fixture
def two_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (command, table):
        monkeypatch.setattr(module, "CLAIMS", _Registry())


@pytest.mark.usefixtures("two_claims")
def test_the_exit_status_says_whether_all_bounds_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--device", "cpu", "--only", "holding"]) == 0
    assert command.main(["--device", "cpu", "--only", "missing"]) == 1
    assert command.main(["--device", "cpu"]) == 1
    assert "It holds\n| kept | cpu | 2 |" in capsys.readouterr().out
    assert command.main(["--list"]) == 0
    assert capsys.readouterr().out == "holding\nmissing\n"


def test_users_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--only", "dense_embeding"]) == 2
    assert command.main(["--only", "dense_embedding", "--device", "tpu"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "dense_embedding" in lines[0]
    assert "tpu" in lines[1]


@pytest.mark.usefixtures("two_claims")
def test_from_measuring_to_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured, readme = tmp_path / "measured.json", tmp_path / "README.md"
    for name, value in {"FOLDER": tmp_path, "MEASURED": measured, "README": readme}.items():
        monkeypatch.setattr(table, name, value)
    assert command.main(["--device", "cpu", "--only", "missing", "--json", str(measured)]) == 1
    assert command.main(["--device", "cpu", "--only", "holding", "--json", str(measured)]) == 0
    assert set(table.from_json(measured.read_text())) == {"holding", "missing"}
    readme.write_text(f"# head\n{table.BEGIN}{table.END}")
    assert command.main(["--readme"]) == 0
    text = readme.read_text()
    assert "### It holds\n" in text
    assert "| missed | cpu | 2 |  | at most 1 | **missed** |\n" in text
    assert f"![{described([SLOPE])}](holding.svg)" in text
    assert "missing.svg" not in text
    assert (tmp_path / "holding.svg").read_text() == drawn([SLOPE])
    # Whoever looks at the page without the figure reads what it shows.
    assert "time of steps against batch" in described([SLOPE])


# The claims themselves, and what was measured last.


@pytest.mark.parametrize("name", CLAIMS.names())
def test_a_claim_says_what_it_is_about(name: str) -> None:
    claim = CLAIMS.get(name)
    assert issubclass(claim, Claim)
    assert claim.title
    assert claim.title.strip(".") == claim.title
    assert claim.__doc__
    assert [CLAIMS.get(other).title for other in CLAIMS.names()].count(claim.title) == 1


def measured() -> dict[str, tuple[dict[str, Any], list[Row]]]:
    return table.from_json(table.MEASURED.read_text("utf-8"))


def test_every_claim_has_been_measured_and_no_other() -> None:
    assert sorted(measured()) == sorted(CLAIMS.names())


@pytest.mark.parametrize("name", CLAIMS.names())
def test_what_was_measured_says_what_it_must(name: str) -> None:
    where, rows = measured()[name]
    assert where["processor"]
    assert rows
    assert len({(row.what, row.device, row.n_threads) for row in rows}) == len(rows)
    for row in rows:
        assert row.unit in ("ratio", "s", "MiB"), row.what
        assert row.device in ("cpu", "cuda"), row.what
        # A figure, or why there is none.
        assert row.figure is not None or row.note.startswith("not measured: "), row.what
        if row.bound is not None:
            assert (row.bound.least is None) != (row.bound.most is None), row.what
        if row.unit == "s":
            assert row.bound is not None, f"{row.what}: seconds are told only where some are promised"


def test_the_readme_is_made_of_what_was_measured() -> None:
    readme = table.README.read_text("utf-8")
    assert readme == table.with_tables(readme, table.as_markdown(table.MEASURED.read_text("utf-8")))


def test_the_figures_are_drawn_from_what_was_measured() -> None:
    figures = {name: curves for name, (_, rows) in measured().items() if (curves := curves_of(rows))}
    assert "growth" in figures
    for name, curves in figures.items():
        assert f">{digest_of(curves)}<" in (table.FOLDER / table.figure_name(name)).read_text("utf-8")
