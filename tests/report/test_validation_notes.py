"""What validation lacked is said beside the scores that it chose; rows that do not know say nothing."""

import csv
import io
import itertools
import json
from pathlib import Path

import pyarrow as pa

from report import build_report, leaderboard_text
from report.groups import build_groups
from report.leaderboard import build_leaderboard
from report.rows import read_rows, tidy
from report.tables import notes, render_markdown
from results import open_store
from tests.record_factory import make_record

VERSION_1 = Path(__file__).parents[1] / "golden" / "schema_v1"
NAMES = ["wheat", "oats", "barley"]


def grid(unvalidated, *, seeds=2, **changes):
    """Return trials whose split k lacks ``unvalidated[k]``."""
    return [
        make_record(split_index=split, seed=seed, class_names=NAMES, unvalidated_classes=classes, **changes)
        for (split, classes), seed in itertools.product(enumerate(unvalidated), range(seeds))
    ]


def notes_of(records):
    rows = tidy(pa.concat_tables([record.to_table() for record in records]))
    (group,) = build_groups(rows)
    return notes(build_leaderboard(group))


def test_a_class_that_no_split_validates_is_named():
    assert notes_of(grid([["oats"], ["oats"]])) == ["toy_method (linear): chosen without validation pixels of oats"]


def test_splits_are_counted_where_they_differ_and_seeds_are_not():
    found = notes_of(grid([["wheat", "oats"], ["oats"], ["barley", "oats"]], seeds=3))
    classes = "barley (1 of 3 splits), oats, wheat (1 of 3 splits)"
    assert found == [f"toy_method (linear): chosen without validation pixels of {classes}"]


def test_entrants_of_which_the_same_is_known_share_a_line():
    same = [record for method in ("a", "b") for record in grid([["oats"]], method=method)]
    assert notes_of(same) == ["all entrants: chosen without validation pixels of oats"]
    other = notes_of([*same, *grid([[]], method="c")])
    assert other == ["a (linear), b (linear): chosen without validation pixels of oats"]


def test_nothing_is_said_where_nothing_is_lacking_or_known():
    assert notes_of(grid([[], []])) == []
    assert notes_of(grid([None, None], leakage_val=None)) == []


def test_splits_that_do_not_say_are_not_counted_as_validated():
    found = notes_of(grid([["oats"], None, [], ["oats"]]))
    assert found == ["toy_method (linear): chosen without validation pixels of oats (2 of 3 splits)"]
    found = notes_of(grid([["oats"], None]))
    assert found == ["toy_method (linear): chosen without validation pixels of oats (1 of 1 splits)"]


def test_withheld_entrants_were_not_chosen():
    records = grid([["oats"], ["oats"]])
    assert notes_of(records[1:]) == ["toy_method (linear): withheld: 1 of 4 trials not run"]
    # They do not keep the others from being all.
    whole = [record for method in ("a", "b") for record in grid([["oats"], ["oats"]], method=method)]
    assert "all entrants: chosen without validation pixels of oats" in notes_of([*records[1:], *whole])


def test_page_markdown_terminal_and_csv_say_it(tmp_path):
    store = open_store(tmp_path / "store")
    for record in grid([["<b>oats</b>\n*"], []], leakage_val=0.25):
        store.write(record)
    out = build_report(tmp_path / "store", tmp_path / "out").parent
    said = "chosen without validation pixels of {} (1 of 2 splits)"
    assert said.format("&lt;b&gt;oats&lt;/b&gt; *") in (out / "index.html").read_text()
    assert said.format(r"&lt;b&gt;oats&lt;/b&gt; \*") in (out / "leaderboard.md").read_text()
    assert said.format("<b>oats</b> *") in leaderboard_text(str(tmp_path / "store"))
    cells = list(csv.DictReader(io.StringIO((out / "trials.csv").read_text())))
    assert {row["leakage_val"] for row in cells} == {"0.25"}
    assert sorted(json.loads(row["unvalidated_classes"]) for row in cells) == [[], [], *[["<b>oats</b>\n*"]] * 2]


def test_a_store_of_schema_version_1_is_reported_as_before(tmp_path):
    rows = read_rows(str(VERSION_1))
    assert rows["leakage_val"].dtype == "float64"
    assert rows["leakage_val"].isna().all()
    markdown = render_markdown([build_leaderboard(group) for group in build_groups(rows)], rows)
    assert "mined_negatives (linear): validation chose" in markdown
    assert "without validation" not in markdown
    out = build_report(VERSION_1, tmp_path / "out").parent
    cells = list(csv.DictReader(io.StringIO((out / "trials.csv").read_text())))
    assert {(row["leakage_val"], row["unvalidated_classes"]) for row in cells} == {("", "")}


def test_what_records_remark_on_is_said_of_the_entrants_that_it_holds_for():
    remark = "embedding | sees\nmuch"
    records = [*grid([[], []], method="a"), *grid([[], ["oats"]], method="b", noted={remark: 7})]
    # Of one split it is enough.
    records += grid([[]], method="c", noted={remark: 9}) + [
        make_record(split_index=1, seed=seed, method="c", class_names=NAMES, noted={}) for seed in range(2)
    ]
    oats = "b (linear): chosen without validation pixels of oats (1 of 2 splits)"
    found = notes_of(records)
    assert sorted(found) == [oats, "b (linear), c (linear): embedding | sees much"][::-1]
    assert notes_of(grid([[], []], noted={remark: 7})) == ["toy_method (linear): embedding | sees much"]
    assert notes_of(grid([[], []], noted=None)) == []
