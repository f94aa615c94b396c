import itertools

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from report import leaderboard_text
from report.columns import COLUMNS
from report.groups import build_groups
from report.leaderboard import build_leaderboard
from report.rows import tidy
from report.tables import leaderboard_frame, render_latex, render_markdown
from results import open_store
from tests.record_factory import make_record


def grid(splits=2, seeds=2, **changes):
    return [
        make_record(split_index=split, seed=seed, **changes)
        for split, seed in itertools.product(range(splits), range(seeds))
    ]


def boards(records):
    rows = tidy(pa.concat_tables([record.to_table() for record in records]))
    return [build_leaderboard(group) for group in build_groups(rows)], rows


def only_board(records):
    found, _ = boards(records)
    assert len(found) == 1
    return found[0]


def test_entries_by_hand():
    # a: OA .60 .70 / .50 .60 -> mean .60; b: .40 everywhere; two classes of equal support and recall: kappa = 2 OA - 1.
    values = {(0, 0): 0.6, (0, 1): 0.7, (1, 0): 0.5, (1, 1): 0.6}
    records = [make_record(method="a", split_index=p, seed=s, test_oa=oa) for (p, s), oa in values.items()]
    board = only_board(records + grid(method="b", test_oa=0.4))
    first, second = board.entries
    assert (first.shown.method, first.rank, second.shown.method, second.rank) == ("a", 1, "b", 2)
    assert first.scores["OA"].mean == pytest.approx(0.6)
    assert first.scores["AA"].mean == pytest.approx(0.6)
    assert first.scores["kappa"].mean == pytest.approx(0.2)
    assert second.scores["OA"] == pytest.approx((0.4, 0.4, 0.4))


def test_validation_selects_even_where_test_disagrees():
    good_on_val = grid(params={"temperature": 0.1}, val_oa=0.9, test_oa=0.3)
    good_on_test = grid(params={"temperature": 0.5}, val_oa=0.1, test_oa=0.8)
    (entry,) = only_board(good_on_val + good_on_test).entries
    assert entry.shown.params == {"temperature": 0.1}
    assert entry.scores["OA"].mean == pytest.approx(0.3)
    assert (entry.n_tried, entry.chosen) == (2, {"temperature": 0.1})


def test_equal_validation_falls_to_the_first_config_id():
    late = grid(params={"x": 1}, config_id="bbbb", val_oa=0.5, test_oa=0.9)
    early = grid(params={"x": 2}, config_id="aaaa", val_oa=0.5, test_oa=0.1)
    (entry,) = only_board(late + early).entries
    assert entry.shown.config_id == "aaaa"


def test_holes_withhold_the_aggregate_with_their_reason():
    records = grid(method="whole", test_oa=0.5)
    broken = grid(method="broken", test_oa=0.9)[:2]
    broken.append(make_record(method="broken", split_index=1, seed=0, status="failed", error_type="MemoryError"))
    entry = {item.shown.method: item for item in only_board(records + broken).entries}["broken"]
    assert entry.rank is None
    assert entry.scores == {}
    assert entry.withheld == "withheld: 1 of 4 trials failed: MemoryError; 1 of 4 trials not run"
    assert entry.n_failed == 1


def test_a_configuration_with_holes_cannot_be_chosen_and_is_counted():
    whole = grid(params={"x": 1}, val_oa=0.5, test_oa=0.5)
    best_but_holed = grid(params={"x": 2}, val_oa=0.9, test_oa=0.9)[:3]
    (entry,) = only_board(whole + best_but_holed).entries
    assert entry.shown.params == {"x": 1}
    assert (entry.n_tried, entry.n_incomplete) == (2, 1)


def test_bounds_are_set_apart_and_unranked():
    board = only_board(grid(method="oracle", sees_labels="all", test_oa=0.9) + grid(method="mined", test_oa=0.6))
    assert [entry.shown.method for entry in board.entries] == ["mined", "oracle"]
    assert [entry.rank for entry in board.entries] == [1, None]
    assert [entry.shown.method for entry in board.bounds] == ["oracle"]


def test_a_configuration_that_sees_all_labels_does_not_stand_for_one_that_does_not():
    seeing = grid(params={"source": "labels"}, sees_labels="all", val_oa=0.9, test_oa=0.9)
    blind = grid(params={"source": "kmeans"}, val_oa=0.5, test_oa=0.5)
    board = only_board(seeing + blind)
    assert [(entry.rank, entry.scores["OA"].mean) for entry in board.entries] == [
        (1, pytest.approx(0.5)),
        (None, pytest.approx(0.9)),
    ]


def test_ties_share_a_rank_and_the_next_is_skipped():
    # The same three scores on other cells: sums in another order differ in the last bit.
    one = [make_record(method="one", split_index=i, test_oa=oa) for i, oa in enumerate((0.1, 0.2, 0.3))]
    two = [make_record(method="two", split_index=i, test_oa=oa) for i, oa in enumerate((0.3, 0.2, 0.1))]
    last = [make_record(method="last", split_index=i, test_oa=0.1) for i in range(3)]
    assert [entry.rank for entry in only_board(one + two + last).entries] == [1, 1, 3]


def test_what_cannot_be_compared_stands_in_groups_of_its_own():
    changes = [{}, {"scene": "x"}, {"scene_hash": "f" * 16}, {"split_rule": "random"}, {"labels_per_class": 5}]
    changes += [{"val_per_class": 5}, {"patch_size": 11}, {"benchmark_version": "2"}]
    found, _ = boards([record for change in changes for record in grid(**change)])
    assert len(found) == len(changes)


def test_search_rows_never_enter():
    searched = grid(purpose="search", params={"x": 1}, test_oa=0.9, val_oa=0.9)
    (board,), rows = boards(grid(test_oa=0.5) + searched)
    assert [entry.scores["OA"].mean for entry in board.entries] == [0.5]
    assert [entry.chosen for entry in board.entries] == [{}]
    # What was tried is told all the same.
    assert [entry.n_tried for entry in board.entries] == [2]
    assert rows["is_usable"].sum() == 4


def test_an_ok_row_without_a_matrix_counts_as_failed():
    (entry,) = only_board([*grid()[:3], make_record(split_index=1, seed=1, confusion_test=None)]).entries
    assert entry.withheld == "withheld: 1 of 4 trials failed: IncompleteRecord"


def test_a_copied_file_does_not_count_twice():
    _, rows = boards([*grid(), *grid()])
    assert len(rows) == 4


def test_intervals_end_where_scores_do():
    records = [make_record(split_index=i, test_oa=oa) for i, oa in enumerate((0.7, 1.0))]
    (entry,) = only_board(records).entries
    assert entry.scores["OA"].high == 1.0
    assert entry.scores["OA"].low == 0.0
    assert entry.scores["kappa"].low == -1.0


def test_one_trial_has_no_interval():
    board = only_board([make_record(test_oa=0.5)])
    assert leaderboard_frame(board)["OA"].tolist() == ["50.0 [n/a]"]


def test_every_column_says_what_it_means():
    assert all(column.meaning and column.heading for column in COLUMNS)
    assert len({column.heading for column in COLUMNS}) == len(COLUMNS)


def test_markup_of_the_target_is_escaped():
    found, rows = boards(grid(method="a|b_<i>*x*", scene="50%_&$#{}"))
    markdown = render_markdown(found, rows)
    assert "a\\|b\\_&lt;i&gt;\\*x\\*" in markdown
    assert "50\\%\\_\\&\\$\\#\\{\\}" in render_latex(found).replace("% 50%_&$#{}", "50\\%\\_\\&\\$\\#\\{\\}")
    assert "a|b\\_<i>*x*" in render_latex(found)


def test_terminal_text_is_whole(tmp_path):
    store = open_store(tmp_path / "store")
    name = "a_method_with_a_long_name_" * 4
    for record in [*grid(method=name), make_record(split_index=1, seed=1, method="b", status="failed")]:
        store.write(record)
    text = leaderboard_text(str(tmp_path / "store"))
    assert name in text
    assert "..." not in text
    assert all(column.heading in text for column in COLUMNS)
    assert "Trials that failed or diverged: toy error 1" in text


def test_terminal_text_of_an_empty_store(tmp_path):
    (tmp_path / "store").mkdir()
    assert leaderboard_text(str(tmp_path / "store")).startswith("No trials in this store")


def repeats(values, **changes):
    """Return what ``hsicl bench`` leaves of an entrant: repeat r has split r and seed r."""
    return [make_record(split_index=r, seed=r, test_oa=oa, **changes) for r, oa in enumerate(values)]


def test_repeats_with_splits_and_seeds_of_their_own_are_no_grid_with_holes():
    values = (0.55, 0.61, 0.58, 0.70, 0.64)
    board = only_board(repeats(values, method="a") + repeats((0.5,) * 5, method="b"))
    assert (board.group.is_paired, board.group.shape, board.group.n_cells) == (True, (5, 1), 5)
    assert board.group.cells == "5 repeats"
    entry, other = board.entries
    assert [each.withheld for each in board.entries] == [None, None]
    assert entry.shown.oa.ravel().tolist() == list(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert entry.scores["OA"] == pytest.approx((np.mean(values), low, high))
    assert other.scores["OA"] == pytest.approx((0.5, 0.5, 0.5))


def test_seeds_may_pair_with_splits_in_any_order():
    records = [make_record(split_index=p, seed=s, test_oa=oa) for p, s, oa in ((0, 7, 0.5), (2, 3, 0.6), (1, 9, 0.7))]
    (entry,) = only_board(records).entries
    assert entry.shown.oa.ravel().tolist() == [0.5, 0.7, 0.6]


def test_a_missing_repeat_withholds():
    board = only_board(repeats((0.5,) * 4, method="whole") + repeats((0.9,) * 3, method="short"))
    assert board.group.is_paired
    assert {entry.shown.method: entry.withheld for entry in board.entries} == {
        "whole": None,
        "short": "withheld: 1 of 4 trials not run",
    }
    failed = [*repeats((0.9,) * 3), make_record(split_index=3, seed=3, status="failed", error_type="MemoryError")]
    (entry,) = only_board(failed).entries
    assert entry.withheld == "withheld: 1 of 4 trials failed: MemoryError"


def test_splits_crossed_with_seeds_are_a_grid_even_if_one_entrant_ran_the_diagonal():
    board = only_board(grid(method="whole") + repeats((0.9, 0.9), method="diagonal"))
    assert (board.group.is_paired, board.group.shape) == (False, (2, 2))
    assert board.group.cells == "2 x 2"
    assert board.entries[1].withheld == "withheld: 2 of 4 trials not run"
    # One split with several seeds, one seed for all splits, or one trial, is a grid too.
    assert only_board(grid(splits=1, seeds=3)).group.shape == (1, 3)
    assert not only_board(grid(splits=1, seeds=1)).group.is_paired
    assert only_board(grid(splits=3, seeds=1)).group.cells == "3 x 1"


def test_a_search_counts_for_its_own_entrant_alone():
    searched = [{"method": "tuned", "params": {"x": x}} for x in (1, 2, 3)]
    searched += [{"method": "tuned", "protocol": "knn", "params": {"x": 6}}]
    searched += [{"method": "tuned", "sees_labels": "all", "params": {"x": 5}}]
    # What is shown was tried; another scene's search says nothing here.
    searched += [{"method": "fixed"}, {"method": "tuned", "scene": "other_scene", "params": {"x": 4}}]
    records = [make_record(purpose="search", split_index=100, **changes) for changes in searched]
    records += repeats((0.5, 0.6), method="tuned", params={"x": 2}) + repeats((0.4, 0.5), method="fixed")
    records += repeats((0.3, 0.4), method="untuned")
    board = only_board(records)
    assert {entry.shown.method: entry.n_tried for entry in board.entries} == {"tuned": 3, "fixed": 1, "untuned": 1}
    assert [entry.n_failed for entry in board.entries] == [0, 0, 0]
    assert board.group.shape == (2, 1)
