import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from report.pairing import (
    corrected_interval,
    holm,
    mean_ranks,
    probability_of_improvement,
    scenes_mean_interval,
    wilcoxon_p,
)
from report.statistics import crossed_mean_interval

percents = st.integers(0, 20).map(lambda count: count / 20)
blocks_by_entrants = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=percents)
grids = arrays(np.float64, st.tuples(st.integers(2, 5), st.integers(1, 3)), elements=percents)
p_values = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.5, 1.0]), min_size=1, max_size=6)


def chance(better, ties, worse):
    return probability_of_improvement([0.6] * better + [0.5] * ties + [0.4] * worse, [0.5] * (better + ties + worse))


def test_mean_ranks_by_hand():
    # Block by block, highest first: 1 2 3; 3 1 2; a tie for the first place shares (1 + 2) / 2.
    scores = [[0.9, 0.8, 0.7], [0.1, 0.3, 0.2], [0.5, 0.5, 0.4]]
    assert mean_ranks(scores) == pytest.approx([(1 + 3 + 1.5) / 3, (2 + 1 + 1.5) / 3, (3 + 2 + 3) / 3])


def test_scores_that_differ_in_the_last_bits_are_tied():
    assert 0.1 + 0.2 != 0.3
    assert mean_ranks([[0.1 + 0.2, 0.3]]) == pytest.approx([1.5, 1.5])
    assert wilcoxon_p([0.1 + 0.2], [0.3]) == 1.0
    assert probability_of_improvement([0.1 + 0.2], [0.3]).mean == 0.5


def test_ranks_of_a_subset_are_among_the_subset():
    scores = np.array([[0.9, 0.8, 0.7], [0.7, 0.8, 0.9]])
    assert mean_ranks(scores) == pytest.approx([2, 2, 2])
    assert mean_ranks(scores[:, [0, 2]]) == pytest.approx([1.5, 1.5])
    assert mean_ranks(scores[:1, [2, 0]]) == pytest.approx([2, 1])


@given(blocks_by_entrants)
def test_ranks_count_who_is_better(scores):
    expected = [
        np.mean([1 + sum(other > row[k] for other in row) + (sum(other == row[k] for other in row) - 1) / 2
                 for row in scores])
        for k in range(scores.shape[1])
    ]  # fmt: skip
    assert mean_ranks(scores) == pytest.approx(expected)
    assert mean_ranks(scores).sum() == pytest.approx(scores.shape[1] * (scores.shape[1] + 1) / 2)


@pytest.mark.parametrize("scores", [[0.5, 0.6], np.empty((0, 3)), [[0.5, np.nan]], [[0.5, np.inf]]])
def test_ranks_need_a_full_matrix(scores):
    with pytest.raises(ValueError, match="full"):
        mean_ranks(scores)


def test_holm_is_that_of_statsmodels():
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(1)
    for n in (1, 2, 5, 12, 30):
        values = np.round(rng.random(n) ** 3, 2)  # with ties and, once adjusted, ones
        assert holm(list(values)) == pytest.approx(multipletests(values, method="holm")[1])


@given(p_values)
def test_holm_closes_bonferroni(values):
    # A hypothesis falls if every set of hypotheses that holds it does: the largest of their Bonferroni p-values.
    n = len(values)
    subsets = [each for size in range(1, n + 1) for each in itertools.combinations(range(n), size)]
    bonferroni = {each: min(1.0, len(each) * min(values[index] for index in each)) for each in subsets}
    adjusted = holm(values)
    assert adjusted == pytest.approx([max(p for each, p in bonferroni.items() if k in each) for k in range(n)])
    in_order = [adjusted[index] for index in np.argsort(values, kind="stable")]
    assert in_order == sorted(in_order)
    assert all(p <= one <= 1 for p, one in zip(values, adjusted, strict=True))


def test_holm_by_hand():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


def exact_signed_rank_p(difference):
    # Every assignment of signs is equally likely; two-sided: as far from the middle as what was seen, or farther.
    ranks = stats.rankdata(np.abs(difference))
    signs = np.array(list(itertools.product((0, 1), repeat=len(ranks))))
    distance = np.abs(signs @ ranks - ranks.sum() / 2)
    return (distance >= abs(ranks[np.array(difference) > 0].sum() - ranks.sum() / 2) - 1e-9).mean()


@pytest.mark.parametrize("difference", [[3, -1, 4, 2, 5], [1, 1, -1, 2, 2, 3], [-2, -2], [7]])
def test_wilcoxon_is_the_exact_test(difference):
    first = 0.5 + np.array(difference) / 100
    assert wilcoxon_p(first, np.full(len(first), 0.5)) == pytest.approx(exact_signed_rank_p(difference))
    assert wilcoxon_p(np.full(len(first), 0.5), first) == pytest.approx(exact_signed_rank_p(difference))


@given(
    differences=st.lists(st.integers(-30, 30).filter(bool), min_size=1, max_size=60)
    | st.lists(st.integers(-900, 900).filter(bool), min_size=1, max_size=60, unique_by=abs)
)
@settings(deadline=None, max_examples=150)
def test_wilcoxon_gives_the_numbers_of_scipy(differences):
    # Many ties, or none; from where every choice of signs is counted to where it is not.
    found = wilcoxon_p(np.array(differences) / 1000, np.zeros(len(differences)))
    assert found == pytest.approx(stats.wilcoxon(differences).pvalue, rel=1e-9)


def test_wilcoxon_of_many_pairs_is_that_of_scipy():
    first, second = np.random.default_rng(2).normal(size=(2, 30))
    assert wilcoxon_p(first, second) == pytest.approx(stats.wilcoxon(first - second, method="exact").pvalue)


@pytest.mark.parametrize("n_equal", [0, 1, 9, 40])
@pytest.mark.parametrize("n", [1, 3, 5])
def test_equal_pairs_say_nothing(n, n_equal):
    # Nothing is below 2 / 2^n, however many pairs are equal; if all are, nothing speaks against equality.
    first = [0.5 + 0.01 * i for i in range(1, n + 1)] + [0.5] * n_equal
    assert wilcoxon_p(first, [0.5] * len(first)) == pytest.approx(2 / 2**n)
    assert wilcoxon_p([0.5] * (n_equal + 1), [0.5] * (n_equal + 1)) == 1.0


@pytest.mark.parametrize(("better", "ties", "worse"), [(5, 0, 0), (0, 0, 5), (7, 0, 3), (19, 0, 1), (3, 4, 3)])
def test_improvement_is_wilsons_of_statsmodels(better, ties, worse):
    from statsmodels.stats.proportion import proportion_confint

    n, count = better + ties + worse, better + ties // 2
    expected = (count / n, *proportion_confint(count, n, method="wilson"))
    assert chance(better, ties, worse) == pytest.approx(expected, abs=1e-12)
    narrow = probability_of_improvement([1.0] * 3 + [0.0], [0.5] * 4, confidence=0.5)
    assert narrow == pytest.approx((0.75, *proportion_confint(3, 4, alpha=0.5, method="wilson")))


def test_improvement_by_hand():
    # Share s = (2 + 1/2) / 4: centre (s + z^2/8) / (1 + z^2/4), half z sqrt(s(1-s)/4 + z^2/64) / (1 + z^2/4).
    z = 1.959964
    centre, half = (0.625 + z**2 / 8) / (1 + z**2 / 4), z * (0.625 * 0.375 / 4 + z**2 / 64) ** 0.5 / (1 + z**2 / 4)
    found = probability_of_improvement([0.6, 0.7, 0.5, 0.1], [0.5, 0.5, 0.5, 0.5])
    assert found == pytest.approx((0.625, centre - half, centre + half), abs=1e-6)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_improvement_stays_in_range_and_turns_with_the_order(better, ties, worse):
    if better + ties + worse == 0:
        return
    found, back = chance(better, ties, worse), chance(worse, ties, better)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.low < found.high
    assert (1 - back.mean, 1 - back.high, 1 - back.low) == pytest.approx(found)


@given(grids)
def test_one_scene_is_the_crossed_interval(matrix):
    assert scenes_mean_interval([matrix]) == pytest.approx(crossed_mean_interval(matrix), abs=1e-12)


def test_two_scenes_are_welchs_interval():
    one, other = np.random.default_rng(4).normal([[0.1], [0.3]], [[0.01], [0.2]], size=(2, 5))
    other = other[:4]
    # The mean of two means is half the difference between one and the negated other.
    sum_of_means = stats.ttest_ind(one, -other, equal_var=False).confidence_interval(0.9)
    found = scenes_mean_interval([one[:, None], other[:, None]], confidence=0.9)
    assert found.mean == pytest.approx((one.mean() + other.mean()) / 2)
    assert found[1:] == pytest.approx((sum_of_means.low / 2, sum_of_means.high / 2))


def test_two_scenes_by_hand():
    # Means 2 and 10, variances of means 1/3 and 4/3: of their mean (1/3 + 4/3) / 4; df (5/3)^2 / ((1/9 + 16/9) / 2).
    found = scenes_mean_interval([[[1.0], [2.0], [3.0]], [[8.0], [10.0], [12.0]]])
    half = stats.t.ppf(0.975, (25 / 9) / (17 / 18)) * (5 / 12) ** 0.5
    assert found == pytest.approx((6.0, 6.0 - half, 6.0 + half))


def test_a_scene_with_one_score_has_no_interval():
    scenes = [[[0.5]], [[0.1], [0.3]]]
    for found in (scenes_mean_interval(scenes), corrected_interval(scenes, [9, 9])):
        assert found.mean == pytest.approx(0.35)
        assert not found.is_defined
    assert scenes_mean_interval([[[0.5], [0.5]]]) == (0.5, 0.5, 0.5)


def test_corrected_interval_by_hand():
    # s^2 = 1, n = 3, 90 test and 10 training pixels: s^2 (1/3 + 9) with 2 degrees of freedom.
    half = stats.t.ppf(0.975, 2) * (1 / 3 + 9) ** 0.5
    assert corrected_interval([[[1.0], [2.0], [3.0]]], [9.0]) == pytest.approx((2.0, 2.0 - half, 2.0 + half))
    # A second scene with s^2 = 4 and a ratio of 1: (28/3 + 16/3) / 4; df (44/3)^2 / (((28/3)^2 + (16/3)^2) / 2).
    half = stats.t.ppf(0.975, 2 * 44**2 / (28**2 + 16**2)) * (44 / 12) ** 0.5
    found = corrected_interval([[[1.0], [2.0], [3.0]], [[8.0], [10.0], [12.0]]], [9.0, 1.0])
    assert found == pytest.approx((6.0, 6.0 - half, 6.0 + half))
    with pytest.raises(ValueError, match="shorter"):
        corrected_interval([[[1.0], [2.0]], [[1.0], [2.0]]], [9.0])


@given(grids, st.floats(0.1, 100))
def test_the_correction_never_narrows_one_scene(matrix, ratio):
    plain, corrected = scenes_mean_interval([matrix]), corrected_interval([matrix], [ratio])
    assert corrected.low <= plain.low <= plain.high <= corrected.high
    assert corrected_interval([matrix], [0.0]) == pytest.approx(plain)


# What follows checks what intervals and tests claim: exactly where it can be counted out, else on simulated data.


@pytest.mark.parametrize("spreads", [(1,), (1, 1), (1, 5), (1, 3, 10), (0.1, 1, 1, 5)])
def test_mean_over_scenes_covers_with_five_repeats(spreads):
    drawn = np.random.default_rng(5).normal(0, 1, (1500, len(spreads), 5, 1)) * np.reshape(spreads, (-1, 1, 1))
    found = np.array([scenes_mean_interval(list(scenes)) for scenes in drawn])
    covered = ((found[:, 1] <= 0) & (found[:, 2] >= 0)).mean()
    assert 0.93 <= covered <= 0.975


def test_a_bootstrap_of_five_repeats_covers_less():
    rng = np.random.default_rng(6)
    drawn = rng.normal(size=(2000, 5))
    resampled = drawn[:, rng.integers(5, size=(500, 5))].mean(axis=2)
    low, high = np.percentile(resampled, [2.5, 97.5], axis=1)
    covered = ((low <= 0) & (high >= 0)).mean()
    found = np.array([scenes_mean_interval([scores[:, None]]) for scores in drawn])
    assert 0.80 <= covered <= 0.86
    assert ((found[:, 1] <= 0) & (found[:, 2] >= 0)).mean() >= covered + 0.08


@pytest.mark.parametrize(("share", "expected"), [(0.5, 0.959), (0.8, 0.956), (0.95, 0.925)])
def test_improvement_covers_over_twenty_blocks(share, expected):
    found = [chance(count, 0, 20 - count) for count in range(21)]
    covered = sum(stats.binom.pmf(k, 20, share) for k, each in enumerate(found) if each.low <= share <= each.high)
    assert covered == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("sizes", [[1, 2, 3, 4, 5, 6], [1, 1, 2, 2, 3]])
def test_wilcoxon_rejects_no_more_often_than_it_says(sizes):
    # Under the null every sign is a coin's throw: all of them are counted out.
    throws = itertools.product((-1, 1), repeat=len(sizes))
    found = np.array([wilcoxon_p(np.multiply(signs, sizes) / 100, np.zeros(len(sizes))) for signs in throws])
    for level in np.unique(found):
        assert (found <= level).mean() <= level + 1e-12
    assert found.min() == pytest.approx(2 / 2 ** len(sizes))


def test_holm_keeps_the_chance_of_any_false_rejection():
    # Five entrants as good as the reference: all differences share its noise, and the blocks differ in difficulty.
    rng = np.random.default_rng(8)
    plain = adjusted = 0
    for _ in range(300):
        scores = rng.normal(size=(12, 1)) + rng.normal(size=(12, 6))
        found = [wilcoxon_p(scores[:, k], scores[:, 0]) for k in range(1, 6)]
        plain += min(found) <= 0.05
        adjusted += min(holm(found)) <= 0.05
    assert plain / 300 > 0.10
    assert 0.01 < adjusted / 300 <= 0.05 + 0.015


def test_crossed_cells_are_no_independent_blocks():
    # Why report.standings gives neither p nor Wilson's interval there.
    rng = np.random.default_rng(9)
    crossed = [rng.normal(size=(5, 1)) + rng.normal(size=(1, 3)) + rng.normal(size=(5, 3)) for _ in range(300)]
    zero = np.zeros(15)
    assert np.mean([wilcoxon_p(each.ravel(), zero) <= 0.05 for each in crossed]) > 0.15
    chances = [probability_of_improvement(each.ravel(), zero) for each in crossed]
    assert np.mean([each.low <= 0.5 <= each.high for each in chances]) < 0.90
    means = [scenes_mean_interval([each]) for each in crossed]
    assert np.mean([each.low <= 0 <= each.high for each in means]) >= 0.93


def differences_on_simulated_scenes(rng, *, n_scenes, n_pixels, n_train, n_repeats):
    """Return (scenes, repeats) differences in accuracy between two methods that are equally good in the population.

    A scene is a finite population of pixels of two classes with two features each; a method is the nearest mean on one
    of them. A repeat draws as many training pixels of either class and tests on all others.
    """
    truth = np.tile([1.0, -1.0], n_pixels // 2)
    found = np.empty((n_scenes, n_repeats))
    for scene in range(n_scenes):
        features = truth + rng.normal(size=(2, n_pixels))
        drawn = rng.random((n_repeats, n_pixels // 2, 2)).argsort(axis=1).argsort(axis=1) < n_train // 2
        is_train = drawn.reshape(n_repeats, n_pixels)
        first, second = ((is_train & (truth == sign)) @ features.T / (n_train // 2) for sign in (1, -1))
        side = (features - ((first + second) / 2)[:, :, None]) * np.sign(first - second)[:, :, None]
        right = ((side > 0) == (truth > 0)) & ~is_train[:, None, :]
        found[scene] = np.subtract(*right.sum(axis=2).T) / (n_pixels - n_train)
    return found


# Of 400 pixels: few training pixels, and as many as test pixels.
@pytest.mark.parametrize(("n_train", "plain_beyond", "corrected_beyond"), [(40, 0.43, 0.99), (200, 0.69, 0.95)])
def test_within_a_scene_and_beyond(n_train, plain_beyond, corrected_beyond):
    rng = np.random.default_rng(3)
    drawn = differences_on_simulated_scenes(rng, n_scenes=200, n_pixels=400, n_train=n_train, n_repeats=60)
    of_scene = np.repeat(drawn.mean(axis=1), 12)
    repeats = drawn.reshape(-1, 5, 1)
    plain = np.array([scenes_mean_interval([each]) for each in repeats])
    corrected = np.array([corrected_interval([each], [(400 - n_train) / n_train]) for each in repeats])

    def covers(intervals, value):
        return ((intervals[:, 1] <= value) & (intervals[:, 2] >= value)).mean()

    assert 0.935 <= covers(plain, of_scene) <= 0.975
    assert covers(plain, 0) == pytest.approx(plain_beyond, abs=0.04)
    assert covers(corrected, 0) == pytest.approx(corrected_beyond, abs=0.02)
