import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from report.statistics import (
    captured_gain,
    crossed_mean_interval,
    mean_squares,
    paired_difference,
    sample_sd,
    score_interval,
)

# Three splits x two seeds, worked out by hand:
#            seed 0  seed 1   split mean
#   split 0    1       3          2
#   split 1    2       6          4
#   split 2    6       6          6
#   seed mean  3       5          4 = grand mean
# SS_split = 2 * ((2-4)^2 + (4-4)^2 + (6-4)^2) = 16, df 2, MS 8
# SS_seed  = 3 * ((3-4)^2 + (5-4)^2)           =  6, df 1, MS 6
# residuals y - split - seed + grand: 0, 0; -1, 1; 1, -1 -> SS 4, df 2, MS 2
# Var(mean) = (8 + 6 - 2) / 6 = 2;  df = 12^2 / (8^2/2 + 6^2/1) = 144 / 68
HAND = np.array([[1.0, 3.0], [2.0, 6.0], [6.0, 6.0]])

scores = arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    elements=st.integers(0, 1000).map(lambda count: count / 1000),
)


def test_mean_squares_by_hand():
    assert mean_squares(HAND) == pytest.approx((8.0, 6.0, 2.0))


def test_crossed_interval_by_hand():
    interval = crossed_mean_interval(HAND)
    half = stats.t.ppf(0.975, 144 / 68) * 2**0.5
    assert interval == pytest.approx((4.0, 4.0 - half, 4.0 + half))


def test_one_split_or_one_seed_is_the_one_way_interval():
    values = np.array([1.0, 2.0, 6.0])
    expected = stats.t.interval(0.95, 2, loc=3.0, scale=values.std(ddof=1) / 3**0.5)
    assert crossed_mean_interval(values[:, None])[1:] == pytest.approx(expected)
    assert crossed_mean_interval(values[None, :])[1:] == pytest.approx(expected)


def test_single_score_has_no_interval():
    interval = crossed_mean_interval([[0.7]])
    assert interval.mean == 0.7
    assert not interval.is_defined
    assert not interval.excludes_zero


def test_variance_is_never_below_what_one_factor_shows():
    # Pure interaction: MS_split = MS_seed = 0 < MS_res, so the unbiased estimate is negative.
    interval = crossed_mean_interval([[0.0, 1.0], [1.0, 0.0]])
    assert interval.low <= interval.mean <= interval.high
    # MS_split = 2, MS_seed = 0.5, MS_res = 4.5: the estimate (2 + 0.5 - 4.5) / 4 < 0 is held at 2 / 4.
    a, b, e = 1.0, 0.5, 1.5
    noisy = crossed_mean_interval([[a + b + e, a - b - e], [-a + b - e, -a - b + e]])
    ms_split, ms_seed = 4 * a**2, 4 * b**2
    freedom = max(ms_split**2 / (ms_split**2 + ms_seed**2), 1.0)
    assert noisy.high - noisy.mean == pytest.approx(stats.t.ppf(0.975, freedom) * (ms_split / 4) ** 0.5)


def test_holes_are_refused():
    with pytest.raises(ValueError, match="holes"):
        crossed_mean_interval([[0.5, np.nan]])
    with pytest.raises(ValueError, match="matrix"):
        crossed_mean_interval([0.5, 0.6])
    with pytest.raises(ValueError, match="confidence"):
        crossed_mean_interval([[0.5, 0.6]], confidence=95)


# (splits, seeds), variances of (split, seed, residual), measured coverage allowed. The ends are honest: long where
# residual noise dominates, short with two seeds whose variance dominates (issue: add seeds before splits).
COVERAGE = [
    ((2, 2), (1, 1, 1), (0.93, 1.00)),
    ((3, 2), (1, 0.1, 0.3), (0.95, 0.995)),
    ((3, 2), (1, 4, 1), (0.94, 0.99)),
    ((3, 3), (1, 1, 1), (0.95, 0.99)),
    ((5, 2), (1, 0.1, 0.3), (0.95, 0.99)),
    ((5, 2), (1, 4, 1), (0.91, 0.95)),
    ((5, 3), (1, 1, 1), (0.94, 0.99)),
    ((5, 5), (1, 1, 1), (0.93, 0.98)),
    ((5, 5), (4, 1, 1), (0.93, 0.98)),
    ((5, 5), (0, 0, 1), (0.97, 1.00)),
    ((10, 10), (1, 1, 1), (0.93, 0.97)),
    ((20, 2), (1, 4, 1), (0.86, 0.93)),
]


@pytest.mark.parametrize(("shape", "variances", "allowed"), COVERAGE)
def test_coverage_on_simulated_scores(shape, variances, allowed):
    rng = np.random.default_rng(7)
    split, seed, residual = np.sqrt(variances)
    n = 1500  # standard error of a coverage of 0.95: 0.006
    hits = naive = 0
    for _ in range(n):
        drawn = rng.normal(0, split, (shape[0], 1)) + rng.normal(0, seed, (1, shape[1]))
        drawn = drawn + rng.normal(0, residual, shape)
        interval = crossed_mean_interval(drawn)
        hits += interval.low <= 0 <= interval.high
        half = stats.t.ppf(0.975, drawn.size - 1) * sample_sd(drawn) / drawn.size**0.5
        naive += abs(drawn.mean()) <= half
    assert allowed[0] <= hits / n <= allowed[1]
    if max(variances[:2]) > 0:
        assert naive / n < hits / n
        assert naive / n < 0.92


def test_captured_gain_covers_its_share():
    rng = np.random.default_rng(11)
    hits = defined = 0
    for _ in range(200):
        plain, mined, oracle = (
            base + rng.normal(0, 0.03, (5, 1)) * common + rng.normal(0, 0.01, (5, 3))
            for base, common in ((0.5, 1), (0.56, 1), (0.6, 1))
        )
        share = captured_gain(mined, plain, oracle)
        if share.is_defined:
            defined += 1
            hits += share.low <= 0.6 <= share.high
    assert defined > 150
    assert 0.92 <= hits / defined <= 1.0


def test_captured_gain_by_hand():
    plain = np.zeros((2, 2))
    oracle = np.full((2, 2), 0.2)
    # The oracle's gain has no spread, so the share's interval is that of mined / 0.2.
    mined = np.array([[0.08, 0.10], [0.10, 0.12]])
    direct = crossed_mean_interval(mined / 0.2)
    assert captured_gain(mined, plain, oracle) == pytest.approx(direct, abs=1e-9)


def test_captured_gain_is_undefined_without_an_oracle_gain():
    rng = np.random.default_rng(1)
    plain = rng.normal(0.5, 0.02, (3, 2))
    for oracle in (plain, plain - 0.2, plain + np.array([0.1, -0.1])):
        assert np.isnan(captured_gain(plain + 0.01, plain, oracle)).all()
    assert np.isnan(captured_gain([[0.6]], [[0.5]], [[0.7]])).all()


def test_paired_difference_takes_out_what_is_shared():
    hard_split = np.array([[0.0], [0.3], [-0.3]])
    low = 0.5 + hard_split + np.array([[0.0, 0.01]])
    assert paired_difference(low + 0.05, low) == pytest.approx((0.05, 0.05, 0.05))
    assert crossed_mean_interval(low).high - crossed_mean_interval(low).low > 0.5
    with pytest.raises(ValueError, match="share splits and seeds"):
        paired_difference(low, low.T)


def test_sample_sd_divides_by_n_minus_one():
    assert sample_sd([[1.0, 3.0]]) == pytest.approx(2**0.5)
    assert np.isnan(sample_sd([[1.0]]))


@given(scores)
def test_order_of_splits_and_seeds_does_not_matter(matrix):
    interval = crossed_mean_interval(matrix)
    assert crossed_mean_interval(matrix[::-1, ::-1]) == pytest.approx(interval, abs=1e-9, nan_ok=True)
    assert crossed_mean_interval(matrix.T) == pytest.approx(interval, abs=1e-9, nan_ok=True)


@given(scores, st.floats(-5, 5), st.floats(0.1, 100))
def test_interval_moves_and_scales_with_the_scores(matrix, shift, scale):
    interval = np.array(crossed_mean_interval(matrix))
    moved = np.array(crossed_mean_interval(scale * matrix + shift))
    np.testing.assert_allclose(moved, scale * interval + shift, rtol=1e-6, atol=1e-6)


@given(scores, scores)
def test_difference_changes_its_sign_with_the_order(first, second):
    if first.shape != second.shape:
        return
    forward, back = paired_difference(first, second), paired_difference(second, first)
    assert (-back.mean, -back.high, -back.low) == pytest.approx(forward, abs=1e-12, nan_ok=True)


def test_an_interval_of_scores_stays_in_their_range() -> None:
    near_one = [[1.0, 0.9], [1.0, 1.0]]
    plain, cut = crossed_mean_interval(near_one), score_interval(near_one)
    assert plain.high > 1.0
    assert cut == (plain.mean, max(plain.low, 0.0), 1.0)
    below = [[-0.9, -1.0], [-1.0, -1.0]]
    assert crossed_mean_interval(below).low < -1.0
    assert score_interval(below, lowest=-1.0).low == -1.0
    assert np.isnan(score_interval([[0.5]]).low)
