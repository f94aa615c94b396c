import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from report.comparison import captured_gains
from report.groups import build_groups
from report.leaderboard import build_leaderboard
from report.pairing import holm, mean_ranks, wilcoxon_p
from report.rows import tidy
from report.standings import Standing, entrant_of, reference_among, standings
from report.statistics import captured_gain
from tests.record_factory import make_record

PLAIN = ("nt_xent", "linear", "none")
MINED = ("mined", "linear", "none")
ORACLE = ("oracle", "linear", "all")
KNN = ("mined", "knn", "none")
CNN = ("cnn", "own_classifier", "train")
SCORES = {
    PLAIN: (0.60, 0.62, 0.58, 0.61, 0.60),
    MINED: (0.65, 0.66, 0.64, 0.63, 0.66),
    ORACLE: (0.80, 0.83, 0.79, 0.80, 0.81),
    KNN: (0.55, 0.64, 0.52, 0.54, 0.60),
    CNN: (0.50, 0.70, 0.57, 0.66, 0.41),
}
KINDS = {ORACLE: "bound", CNN: "supervised"}


def repeats(entrant, values, **changes):
    method, protocol, sees_labels = entrant
    changes = {"kind": KINDS.get(entrant, "self_supervised"), **changes}
    return [
        make_record(
            method=method, protocol=protocol, sees_labels=sees_labels, split_index=r, seed=r, test_oa=oa, **changes
        )
        for r, oa in enumerate(values)
    ]  # fmt: skip


def shown(*records):
    rows = tidy(pa.concat_tables([record.to_table() for record in records]))
    (group,) = build_groups(rows)
    return {entrant_of(item): item for item in group.configurations}


def scene(scores, **changes):
    return shown(*(record for entrant, values in scores.items() for record in repeats(entrant, values, **changes)))


def test_the_reference_is_named_by_method_and_protocol():
    entrants = [KNN, MINED, CNN, ("nt_xent", "knn", "none"), PLAIN]
    assert reference_among(entrants, "nt_xent") == PLAIN
    assert reference_among(entrants, "nt_xent:knn") == ("nt_xent", "knn", "none")
    assert reference_among(entrants, "nt_xent:svm") is None
    assert reference_among(entrants, "nt") is None
    assert reference_among([], "nt_xent") is None


def test_without_a_linear_protocol_the_first_by_name_is_the_reference():
    entrants = [("a", "svm", "none"), ("a", "knn", "train"), ("a", "knn", "none")]
    assert reference_among(entrants, "a") == ("a", "knn", "none")
    assert reference_among(entrants[::-1], "a") == ("a", "knn", "none")
    assert reference_among([*entrants, ("a", "linear", "train")], "a") == ("a", "linear", "train")


@pytest.mark.parametrize("others", [0.1, 0.9])
def test_scores_do_not_choose_the_reference(others):
    linear = repeats(MINED, (0.5, 0.5))
    knn = repeats(KNN, (others, others))
    found = standings([shown(*linear, *knn)], "mined")
    assert found[MINED].difference is None
    assert found[KNN].difference.mean == pytest.approx(others - 0.5)
    assert found[KNN].mean_rank == (1 if others > 0.5 else 2)


def test_one_scene():
    found = standings([scene(SCORES)])
    assert found.keys() == SCORES.keys()
    difference = np.subtract(SCORES[MINED], SCORES[PLAIN])
    mean, half = difference.mean(), stats.t.ppf(0.975, 4) * difference.std(ddof=1) * 0.2**0.5
    assert found[MINED].difference == pytest.approx((mean, mean - half, mean + half))
    # 200 test and 20 training pixels.
    half *= (1 + 5 * 200 / 20) ** 0.5
    assert found[MINED].corrected == pytest.approx((mean, mean - half, mean + half))
    assert found[MINED].improvement.mean == 1.0
    assert found[MINED].p == pytest.approx(2 / 2**5)
    # cnn loses, wins, loses, wins, loses; knn loses four times, wins once and ties once in the last.
    assert found[CNN].improvement.mean == pytest.approx(2 / 5)
    assert found[KNN].improvement.mean == pytest.approx((1 + 0.5) / 5)


def test_the_reference_has_a_rank_and_nothing_else():
    found = standings([scene(SCORES)])[PLAIN]
    assert found == Standing(mean_rank=found.mean_rank)
    assert found.mean_rank is not None


def test_without_the_reference_there_are_ranks_alone():
    found = standings([scene({entrant: SCORES[entrant] for entrant in (MINED, CNN, ORACLE)})])
    assert found[ORACLE] == Standing()
    assert found[MINED] == Standing(mean_rank=pytest.approx((1 + 2 + 1 + 2 + 1) / 5))
    assert standings([]) == {}


def test_two_scenes_count_alike_and_all_their_blocks_are_tested():
    other = {PLAIN: (0.3, 0.4, 0.5), MINED: (0.5, 0.5, 0.4), CNN: (0.9, 0.9, 0.1)}
    first, second = scene(SCORES), scene(other, scene="other_scene", n_train=50)
    found = standings([first, second])
    one, two = np.subtract(SCORES[MINED], SCORES[PLAIN]), np.subtract(other[MINED], other[PLAIN])
    welch = stats.ttest_ind(one, -two, equal_var=False).confidence_interval()
    expected = ((one.mean() + two.mean()) / 2, welch.low / 2, welch.high / 2)
    assert found[MINED].difference == pytest.approx(expected)
    # Ratios 200 / 20 and 200 / 50.
    variances = np.array([one.var(ddof=1) * (1 / 5 + 10), two.var(ddof=1) * (1 / 3 + 4)])
    freedom = variances.sum() ** 2 / (variances[0] ** 2 / 4 + variances[1] ** 2 / 2)
    half = stats.t.ppf(0.975, freedom) * variances.sum() ** 0.5 / 2
    assert found[MINED].corrected == pytest.approx((expected[0], expected[0] - half, expected[0] + half))
    assert found[MINED].improvement.mean == pytest.approx((5 + 2) / 8)
    assert found[MINED].p == pytest.approx(wilcoxon_p(np.r_[one, two], np.zeros(8)))
    columns = np.array([(*SCORES[each], *other[each]) for each in (PLAIN, MINED, CNN)]).T
    assert [found[each].mean_rank for each in (PLAIN, MINED, CNN)] == pytest.approx(list(mean_ranks(columns)))
    assert found[MINED].captured is None


def test_an_entrant_that_lacks_a_scene_is_left_out_and_ranks_are_among_the_others():
    first = scene(SCORES)
    for lacking in (KNN, ORACLE):
        second = scene({each: values[:3] for each, values in SCORES.items() if each != lacking}, scene="other_scene")
        for order in ([first, second], [second, first]):
            found = standings(order)
            assert found.keys() == SCORES.keys() - {lacking}
    # Without the reference on one of them nobody is compared to it.
    second = scene({each: SCORES[each] for each in (MINED, CNN)}, scene="other_scene")
    found = standings([first, second])
    assert {each: standing.difference for each, standing in found.items()} == {MINED: None, CNN: None}
    assert found[CNN].mean_rank == pytest.approx((2 + 1 + 2 + 1 + 2) / 5)


def test_ranks_are_recomputed_when_an_entrant_is_left_out():
    with_all = standings([scene(SCORES)])
    without = standings([scene({each: values for each, values in SCORES.items() if each != MINED})])
    # Block by block among plain, mined, knn, cnn, then among plain, knn, cnn; plain and knn tie in the last.
    assert with_all[PLAIN].mean_rank == pytest.approx((2 + 4 + 2 + 3 + 2.5) / 5)
    assert without[PLAIN].mean_rank == pytest.approx((1 + 3 + 1 + 2 + 1.5) / 5)


def test_a_bound_is_compared_but_neither_ranked_nor_in_the_family():
    found = standings([scene(SCORES)])
    assert found[ORACLE].mean_rank is None
    assert found[ORACLE].holm is None
    assert found[ORACLE].captured is None
    assert found[ORACLE].difference.mean == pytest.approx(np.subtract(SCORES[ORACLE], SCORES[PLAIN]).mean())
    assert found[ORACLE].p == pytest.approx(2 / 2**5)
    family = (MINED, KNN, CNN)
    expected = holm([wilcoxon_p(SCORES[each], SCORES[PLAIN]) for each in family])
    assert [found[each].holm for each in family] == pytest.approx(expected)
    # The smallest p of three counts three times: neither the bound nor the reference is a fourth.
    assert found[MINED].holm == pytest.approx(3 * 2 / 2**5)


def test_a_bound_is_no_reference():
    found = standings([scene({ORACLE: SCORES[ORACLE], MINED: SCORES[MINED]})], "oracle")
    assert found[MINED] == Standing(mean_rank=1.0)


def test_captured_gain_is_for_contrastive_entrants_of_the_same_protocol():
    found = standings([scene(SCORES)])
    column = {each: np.reshape(values, (-1, 1)) for each, values in SCORES.items()}
    assert found[MINED].captured == pytest.approx(captured_gain(column[MINED], column[PLAIN], column[ORACLE]))
    assert found[MINED].captured.mean == pytest.approx((0.648 - 0.602) / (0.806 - 0.602))
    assert found[KNN].captured is None
    assert found[CNN].captured is None


@pytest.mark.parametrize(("kind", "is_told"), [("ours", True), ("other", True), (None, True), ("classical", False)])
def test_whose_captured_gain_is_told(kind, is_told):
    records = [record for each in (PLAIN, ORACLE) for record in repeats(each, SCORES[each])]
    found = standings([shown(*records, *repeats(MINED, SCORES[MINED], kind=kind))])
    assert (found[MINED].captured is not None) is is_told


def test_a_bound_of_old_rows_captures_nothing():
    records = [record for each in (PLAIN, MINED, ORACLE) for record in repeats(each, SCORES[each], kind=None)]
    found = standings([shown(*records)])
    assert found[ORACLE].captured is None
    assert found[MINED].captured is not None


def test_captured_gain_needs_the_one_bound_of_the_protocol():
    elsewhere = ("oracle", "knn", "all")
    for bounds in ((), (elsewhere,), (ORACLE, ("second_oracle", "linear", "all"))):
        scores = {PLAIN: SCORES[PLAIN], MINED: SCORES[MINED], **dict.fromkeys(bounds, SCORES[ORACLE])}
        assert standings([scene(scores)])[MINED].captured is None
    scores = {each: SCORES[each] for each in (PLAIN, MINED, ORACLE)} | {elsewhere: SCORES[ORACLE]}
    assert standings([scene(scores)])[MINED].captured is not None


def test_crossed_cells_are_not_tested_as_if_they_were_independent():
    def crossed(entrant, values):
        method, protocol, sees_labels = entrant
        return [
            make_record(method=method, protocol=protocol, sees_labels=sees_labels, split_index=p, seed=s, test_oa=oa)
            for (p, s), oa in np.ndenumerate(values)
        ]  # fmt: skip

    plain, mined = np.array([[0.5, 0.6], [0.4, 0.5]]), np.array([[0.6, 0.7], [0.5, 0.4]])
    item = shown(*crossed(PLAIN, plain), *crossed(MINED, mined))
    found = standings([item])[MINED]
    assert (found.p, found.holm) == (None, None)
    assert found.improvement.mean == 0.75
    assert not found.improvement.is_defined
    assert found.difference.is_defined
    assert found.mean_rank == pytest.approx(1.25)
    # One crossed scene among several is enough.
    independent = scene({PLAIN: SCORES[PLAIN], MINED: SCORES[MINED]})
    for order in ([item, independent], [independent, item]):
        assert standings(order)[MINED].p is None
    # A seed that all splits share, or a split that all seeds share, is one draw of it.
    for part in (np.s_[:, :1], np.s_[:1, :]):
        shared = shown(*crossed(PLAIN, plain[part]), *crossed(MINED, mined[part]))
        assert standings([shared])[MINED].p is None
        assert not standings([shared])[MINED].improvement.is_defined
        assert standings([shared])[MINED].difference.is_defined


def test_the_leaderboard_shows_them():
    records = [record for entrant, values in SCORES.items() for record in repeats(entrant, values)]
    records += repeats(("broken", "linear", "none"), (0.9, 0.9))
    (group,) = build_groups(tidy(pa.concat_tables([record.to_table() for record in records])))
    board = build_leaderboard(group)
    expected = standings([{entrant_of(item): item for item in group.configurations if item.is_complete}])
    found = {entrant_of(entry.shown): entry.standing for entry in board.entries}
    assert found == expected | {("broken", "linear", "none"): Standing()}
    assert entrant_of(board.reference.shown) == PLAIN
    assert entrant_of(build_leaderboard(group, "mined:knn").reference.shown) == KNN
    assert build_leaderboard(group, "broken").reference is None
    assert build_leaderboard(group, "oracle").reference is None


def test_captured_gain_is_told_of_pretrained_entrants_only():
    oa = {"nt_xent": 0.5, "oracle_negatives": 0.8, "mined_negatives": 0.6, "raw_spectra": 0.7}
    kinds = {"oracle_negatives": "bound", "mined_negatives": "ours", "raw_spectra": "classical"}
    records = [
        make_record(
            method=method, kind=kinds.get(method, "self_supervised"), split_index=repeat, seed=repeat,
            sees_labels="all" if method == "oracle_negatives" else "none", test_oa=level + 0.01 * repeat,
        )
        for method, level in oa.items()
        for repeat in range(3)
    ]  # fmt: skip
    (group,) = build_groups(tidy(pa.concat_tables([record.to_table() for record in records])))
    assert {gain.method for gain in captured_gains(group)} == {"mined_negatives"}
    board = build_leaderboard(group)
    told = {entry.shown.method for entry in board.entries if entry.standing.captured is not None}
    assert told == {"mined_negatives"}
