"""Rows of a search enter no table, however good they are: every reader gives the same with and without them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest

from report import build_report, leaderboard_text, readme
from report.configurations import configurations_markdown
from results import RunRecord, open_store
from tests.golden.make_store import golden_records
from tests.record_factory import confusion, make_record

TRIALS = [record for record in golden_records() if record.purpose == "trial"]
# What may tell of a search: the raw rows, and what it says of the parameters.
OF_SEARCHES = ("trials.csv", "importance.csv", "index.html")


def searched(record: RunRecord, **changes: object) -> RunRecord:
    """Return the row that a search would have left of the same trial, perfect; forged to have test scores as well."""
    perfect = confusion(1.0)
    values = {"purpose": "search", "status": "ok", "confusion_val": perfect, "confusion_test": perfect, "error": None}
    values |= {"trial_id": f"search{record.trial_id[6:]}", "fit_s": 0.0, **changes}
    return dataclasses.replace(record, **values)


SEARCHES = [
    *map(searched, TRIALS),
    # In cells that no trial has: the grid must not grow by them.
    *(searched(record, split_index=77, seed=77, trial_id=f"other{record.trial_id[5:]}") for record in TRIALS),
]


def store_of(folder: Path, records: Iterable[RunRecord]) -> str:
    store = open_store(folder)
    for record in records:
        store.write(record)
    return str(folder)


def tables(store: str, out: Path) -> dict[str, str]:
    """Return everything that shows scores of the store, by its name."""
    folder = build_report(store, out).parent
    found = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="latin-1")
        for path in folder.rglob("*")
        if path.is_file() and path.name not in OF_SEARCHES
    }
    found["leaderboard_text"] = leaderboard_text(store)
    found["configurations"] = configurations_markdown(store)
    # The page less its parts that may tell of searches.
    page = (folder / "index.html").read_text()
    found["articles"] = "".join(part.partition("</article>")[0] for part in page.split("<article")[1:])
    found["summaries"] = page.partition("<article")[0]
    found["failures"] = page.partition('id="failures"')[2].partition("</section>")[0]
    return found


def test_perfect_search_rows_change_no_table(tmp_path: Path) -> None:
    plain = tables(store_of(tmp_path / "plain", TRIALS), tmp_path / "plain_out")
    mixed = tables(store_of(tmp_path / "mixed", [*TRIALS, *SEARCHES]), tmp_path / "mixed_out")
    assert {"leaderboard.csv", "overall.csv", "leaderboard.tex", "failures.csv", "articles"} <= plain.keys()
    assert "mined_negatives" in plain["articles"]
    assert plain.keys() == mixed.keys()
    assert [name for name, text in plain.items() if mixed[name] != text] == []


def test_configurations_that_only_a_search_tried_are_counted_and_no_more(tmp_path: Path) -> None:
    new = [searched(record, config_id=f"new{record.config_id[3:]}") for record in TRIALS]
    frames = []
    for name, records in (("plain", TRIALS), ("mixed", [*TRIALS, *new])):
        out = build_report(store_of(tmp_path / name, records), tmp_path / f"{name}_out").parent
        frames.append(pd.read_csv(out / "leaderboard.csv"))
    plain, mixed = frames
    assert (mixed["n_tried"] >= plain["n_tried"]).all()
    assert (mixed["n_tried"] > plain["n_tried"]).any()
    pd.testing.assert_frame_equal(mixed.drop(columns="n_tried"), plain.drop(columns="n_tried"))


def test_a_store_of_search_rows_alone_has_no_table(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", SEARCHES)
    found = tables(store, tmp_path / "out")
    assert found["articles"] == ""
    assert "Nothing to rank" in found["summaries"]
    assert "<td" not in found["summaries"]
    assert not [name for name in found if name.startswith("figures/")]
    # Heads at most.
    assert all(len(found[name].splitlines()) <= 1 for name in ("leaderboard.csv", "overall.csv", "failures.csv"))
    for name in ("leaderboard_text", "leaderboard.md", "leaderboard.tex", "configurations"):
        assert "mined_negatives" not in found[name]


def test_the_released_pages_show_no_search_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {}
    for name, records in (("plain", TRIALS), ("mixed", [*TRIALS, *SEARCHES])):
        released = tmp_path / name
        for study in ("controls", "leaderboard"):
            store_of(released / study, records)
        monkeypatch.setattr(readme, "RELEASED", released)
        monkeypatch.setattr(readme, "_LEADERBOARD", released / "leaderboard")
        monkeypatch.setattr(readme, "README", Path(__file__).parents[2] / "README.md")
        pages = readme.pages()
        shown[name] = [text for _, text in sorted(pages.items())]
        assert len(pages) == 3
    assert shown["plain"] == shown["mixed"]


def test_a_forged_row_is_what_it_should_be() -> None:
    row = searched(make_record(test_oa=0.1))
    assert (row.purpose, row.confusion_test) == ("search", confusion(1.0))
