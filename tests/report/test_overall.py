"""The leaderboard over several scenes: what is averaged, ranked, compared and withheld."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from report import ReportError, leaderboard_text
from report.critical_difference import critical_difference_picture
from report.groups import build_groups
from report.leaderboard import build_leaderboard
from report.overall import build_overall, cells, heads, overall_frame, overall_markdown, overall_text
from report.pairing import mean_ranks
from report.rows import tidy
from results import open_store
from tests.record_factory import make_record

# Test OA in points of three entrants on two scenes, three repeats each.
OA = {
    "one": {"nt_xent": (50, 52, 54), "mined_negatives": (60, 56, 58), "raw_spectra": (40, 60, 20)},
    "two": {"nt_xent": (80, 84, 82), "mined_negatives": (80, 90, 88), "raw_spectra": (90, 92, 94)},
}


def records(values=OA, **changes):
    return [
        make_record(
            scene=scene,
            scene_hash=scene * 4,
            method=method,
            split_index=repeat,
            seed=repeat,
            test_oa=oa / 100,
            **changes,
        )
        for scene, methods in values.items()
        for method, repeats in methods.items()
        for repeat, oa in enumerate(repeats)
    ]


def boards(made):
    rows = tidy(pa.concat_tables([record.to_table() for record in made]))
    return [build_leaderboard(group) for group in build_groups(rows)]


def only(made, **options):
    (overall,) = build_overall(boards(made), **options)
    return overall


def by_method(overall):
    return {entry.shown[0].method: entry for entry in overall.entries}


def test_means_ranks_and_differences_by_hand():
    overall = only(records())
    assert overall.scenes == ("one", "two")
    entries = by_method(overall)
    # Means of the scene means: (58 + 86) / 2, (52 + 82) / 2, (40 + 92) / 2.
    assert [entries[name].scores["OA"].mean for name in ("mined_negatives", "nt_xent", "raw_spectra")] == pytest.approx(
        [0.72, 0.67, 0.66]
    )
    assert [entry.rank for entry in overall.entries] == [1, 2, 3]
    # Ranks of mined: 1 2 1, then 2.5 2 2; of NT-Xent: 2 3 2, 2.5 3 3; of spectra: 3 1 3, 1 1 1.
    assert entries["mined_negatives"].standing.mean_rank == pytest.approx(10.5 / 6)
    assert entries["nt_xent"].standing.mean_rank == pytest.approx(15.5 / 6)
    assert entries["raw_spectra"].standing.mean_rank == pytest.approx(10 / 6)
    standing = entries["mined_negatives"].standing
    assert standing.difference.mean == pytest.approx(0.05)
    # Five wins and a tie.
    assert standing.improvement.mean == pytest.approx(5.5 / 6)
    p = stats.wilcoxon([10, 4, 4, 0, 6, 6]).pvalue
    assert standing.p == pytest.approx(p)
    other = entries["raw_spectra"].standing.p
    assert [standing.holm, entries["raw_spectra"].standing.holm] == pytest.approx(
        [min(1, 2 * p), max(min(1, 2 * p), other)] if p <= other else [max(p, min(1, 2 * other)), min(1, 2 * other)]
    )
    assert entries["nt_xent"].standing.p is None


def test_interval_is_welch_over_the_scenes():
    entry = by_method(only(records()))["nt_xent"]
    variances = [np.var(values, ddof=1) / 3 for values in ((0.50, 0.52, 0.54), (0.80, 0.84, 0.82))]
    freedom = sum(variances) ** 2 / sum(v**2 / 2 for v in variances)
    half = stats.t.ppf(0.975, freedom) * sum(variances) ** 0.5 / 2
    assert entry.scores["OA"] == pytest.approx((0.67, 0.67 - half, 0.67 + half))


def test_an_entrant_without_all_scenes_is_withheld_with_the_reason_and_does_not_count_in_ranks():
    made = [record for record in records() if (record.scene, record.method) != ("two", "raw_spectra")]
    made += records({"two": {"broken": (90, 90, 90)}}, status="failed", error_type="MemoryError", error="no memory")
    entries = by_method(only(made))
    assert entries["raw_spectra"].rank is None
    assert entries["raw_spectra"].withheld == "two: not run"
    assert entries["broken"].withheld == "one: not run; two: withheld: 3 of 3 trials failed: MemoryError"
    assert entries["mined_negatives"].standing.mean_rank == pytest.approx((5 + 1.5) / 6)
    assert entries["mined_negatives"].standing.holm == entries["mined_negatives"].standing.p


def test_a_bound_is_compared_but_neither_ranked_nor_in_the_family_of_tests():
    bound = {"one": {"oracle_negatives": (70, 71, 72)}, "two": {"oracle_negatives": (99, 99, 99)}}
    overall = only(records() + records(bound, sees_labels="all", kind="bound"))
    entry = by_method(overall)["oracle_negatives"]
    assert overall.entries[-1] is entry
    assert (entry.rank, entry.standing.mean_rank, entry.standing.holm) == (None, None, None)
    assert entry.standing.difference.mean == pytest.approx((19 + 17) / 200)
    without = by_method(only(records()))
    assert by_method(overall)["mined_negatives"].standing == without["mined_negatives"].standing


def test_another_reference():
    overall = only(records(), reference="raw_spectra")
    assert overall.reference == ("raw_spectra", "linear", "none")
    entries = by_method(overall)
    assert entries["nt_xent"].standing.difference.mean == pytest.approx(0.01)
    assert entries["raw_spectra"].standing.difference is None
    assert "OA minus raw_spectra (linear)" in heads(overall)
    assert only(records(), reference="nobody").reference is None


def test_scenes_of_other_rules_are_another_table_and_one_scene_is_none():
    assert build_overall(boards(records({"one": OA["one"]}))) == ()
    tables = build_overall(boards(records() + records(split_rule="random")))
    assert [table.title.split(": ")[1] for table in tables] == [
        "block split, 10 labels per class", "random split, 10 labels per class"
    ]  # fmt: skip
    # Nothing in common, nothing to tell.
    assert build_overall(boards(records({"one": {"a": (1, 2, 3)}, "two": {"b": (1, 2, 3)}}))) == ()


def test_every_form_shows_every_entry():
    overall = only(records())
    text, markdown, frame = overall_text(overall), "\n".join(overall_markdown(overall)), overall_frame([overall])
    for method in ("nt_xent", "mined_negatives", "raw_spectra"):
        assert method in text
        assert method in markdown
    assert all(len(row) == len(heads(overall)) for row in cells(overall))
    assert frame["OA"].tolist() == pytest.approx([0.72, 0.67, 0.66])
    assert frame["holm_p"].isna().tolist() == [False, True, False]
    few = overall_markdown(overall, ["method", "OA"])
    assert few[2] == "| method | OA |"


def test_ranks_and_tests_are_made_anew_for_what_is_asked_for(tmp_path):
    store = open_store(tmp_path)
    for record in records() + records(split_rule="random"):
        store.write(record)
    whole = leaderboard_text(tmp_path)
    assert "random split" in whole
    part = leaderboard_text(
        tmp_path, only={"rule": ["block"], "method": ["nt_xent", "raw_spectra"]}, reference="raw_spectra"
    )
    assert "random split" not in part
    assert "mined_negatives" not in part
    # NT-Xent beats spectra on 2 of 6 blocks: mean ranks 10 / 6 and 8 / 6.
    (line,) = [line for line in part.split("All of ")[1].splitlines() if " nt_xent " in line]
    assert "1.7" in line.split()
    assert "33" in line.split()
    for only_these, reference, message in (
        ({"scene": ["three"]}, "nt_xent", "no row of scene 'three' in this store: it has one, two"),
        ({"kind": ["classic"]}, "nt_xent", "no row of kind 'classic'"),
        ({}, "nobody", "no row of the reference 'nobody'"),
        ({"method": ["nt_xent"]}, "raw_spectra", "no row of the reference 'raw_spectra'"),
    ):
        with pytest.raises(ReportError, match=message):
            leaderboard_text(tmp_path, only=only_these, reference=reference)


def test_narrowing_keeps_the_grid_and_says_that_the_reference_is_gone(tmp_path):
    store = open_store(tmp_path)
    made = [record for record in records() if (record.method, record.split_index) != ("raw_spectra", 2)]
    for record in made + records({"one": {"oracle": (70, 71, 72)}}, sees_labels="all", kind="bound"):
        store.write(record)
    part = leaderboard_text(tmp_path, only={"method": ["raw_spectra"]})
    assert "withheld: 1 of 3 trials not run" in part
    assert "Nothing is compared: the reference nt_xent is not shown" in part
    # A bound stays whatever kind is asked for.
    of_kind = leaderboard_text(tmp_path, only={"scene": ["one"], "kind": ["self_supervised"]})
    assert "bound" in of_kind
    assert "Nothing is compared" not in of_kind


def test_of_a_folder_of_studies_the_leaderboard_is_shown(tmp_path):
    for folder, made in (("leaderboard", records()), ("other", records({"three": {"else": (1, 2, 3)}}))):
        store = open_store(tmp_path / folder)
        for record in made:
            store.write(record)
    assert leaderboard_text(tmp_path) == leaderboard_text(tmp_path / "leaderboard")
    # Rows of its own come first.
    open_store(tmp_path).write(make_record(method="its_own"))
    assert "its_own" in leaderboard_text(tmp_path)
    assert "mined_negatives" not in leaderboard_text(tmp_path)


def test_the_critical_difference_diagram_shows_the_scenes_ranks_and_is_the_same_each_time():
    from itertools import count

    overall = only(records())
    one, other = (critical_difference_picture(overall, count(1)) for _ in range(2))
    assert one.files == other.files
    expected = mean_ranks([[entry.shown[scene].oa.mean() for entry in overall.entries] for scene in range(2)])
    assert one.data["mean_rank"].tolist() == expected.tolist()
    assert "separates 0 of 3 pairs" in one.caption
    two = {scene: {name: methods[name] for name in ("nt_xent", "raw_spectra")} for scene, methods in OA.items()}
    assert critical_difference_picture(only(records(two)), count(1)) is None
