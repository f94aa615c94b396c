"""Entrants against each other on the same blocks: ranks, tests, probability of improvement. Pure functions on arrays.

A block is a scene with one split and one seed, on which every entrant was scored. Where every block has a split and a
seed of its own, those of one scene are independent draws, given the scene: what is said here is said of these scenes
under this way of splitting. How other pixels of the same kind would do is another question: ``corrected_interval`` is
wider for it. Cells of splits crossed with seeds share them: there ``wilcoxon_p`` and the interval of
``probability_of_improvement`` do not hold. Figures on simulated data: tests/report/test_pairing.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from report.statistics import Interval, crossed_mean, sample_sd

# Scores of one block that differ by less are equal: sums in another order differ in the last bits.
_DIGITS = 12
# Pairs for which all choices of signs are counted.
_EXACT, _EXACT_WITH_TIES = 50, 13


def mean_ranks(scores: ArrayLike) -> NDArray[np.float64]:
    """Return every entrant's mean rank over the blocks, 1 is best, equal scores share the mean of their ranks.

    Ranks are among the entrants given: for a subset, give its columns. Where scenes have different numbers of blocks,
    those with more weigh more.

    Args:
        scores: (blocks, entrants), higher is better, no NaN.

    Raises:
        ValueError: ``scores`` is not a full matrix.

    **Source:** Friedman 1937, doi 10.1080/01621459.1937.10503522; Demsar 2006, JMLR 7, sec. 3.2.2.
    """
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size or not np.isfinite(matrix).all():
        raise ValueError(f"scores must be a full (blocks, entrants) matrix, got shape {matrix.shape}: leave out holes")
    ranks: NDArray[np.float64] = _ranks(-np.round(matrix, _DIGITS)).mean(axis=0)
    return ranks


def wilcoxon_p(first: ArrayLike, second: ArrayLike) -> float:
    """Return the two-sided p-value of the signed-rank test that paired scores differ symmetrically about zero.

    Equal pairs are left out, and if all are equal it is 1. Exact for up to 50 others without ties, and for up to 13
    with ties, else a normal approximation, as scipy's ``wilcoxon`` does, whose numbers these are; to import it takes as
    long as all else that a leaderboard needs. With n different pairs it is at least 2 / 2^n: five
    repeats of one scene cannot fall below 0.06. Blocks must be independent: over the cells of 5 splits x 3 seeds it
    falls below 0.05 in 24% of null cases where splits, seeds and residual vary alike.

    Args:
        first: (n,) scores.
        second: (n,) scores of the same blocks, in the same order.

    **Source:** Wilcoxon 1945, doi 10.2307/3001968.
    """
    difference = np.round(np.subtract(first, second, dtype=np.float64), _DIGITS)
    difference = difference[difference != 0]
    n = difference.size
    if n == 0:
        return 1.0
    ranks = _ranks(np.abs(difference)[None])[0]
    positive = float(ranks[difference > 0].sum())
    smaller = min(positive, n * (n + 1) / 2 - positive)
    counts = np.unique(ranks, return_counts=True)[1].astype(np.float64)
    has_ties = bool((counts > 1).any())
    if n <= (_EXACT_WITH_TIES if has_ties else _EXACT):
        return min(1.0, 2 * _share_up_to(smaller, ranks))
    variance = n * (n + 1) * (2 * n + 1) / 24 - float((counts**3 - counts).sum()) / 48
    return math.erfc(abs(smaller - n * (n + 1) / 4) / math.sqrt(2 * variance))


def _ranks(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ranks within each row, 1 is lowest, equal values share the mean of theirs."""
    return pd.DataFrame(rows).rank(axis=1).to_numpy(dtype=np.float64)


def _share_up_to(most: float, ranks: NDArray[np.float64]) -> float:
    """Return the share of all choices of signs in which the ranks of one sign sum to ``most`` or less."""
    # Shared ranks are halves.
    doubled = np.rint(2 * ranks).astype(np.int64)
    ways = np.zeros(doubled.sum() + 1)
    ways[0] = 1
    for rank in doubled:
        ways[rank:] += ways[: len(ways) - rank].copy()
    return float(ways[: round(2 * most) + 1].sum() / 2.0 ** len(ranks))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number: the chance of any false rejection stays at the level.

    Args:
        p_values: of one family of tests.

    **Source:** Holm 1979, Scand. J. Stat. 6, 65-70.
    """
    n = len(p_values)
    adjusted, largest = [1.0] * n, 0.0
    for done, index in enumerate(sorted(range(n), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (n - done) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def probability_of_improvement(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the chance that first beats second on a block, ties count half, with Wilson's interval.

    Over 20 independent blocks without ties the nominal 95 % interval covers a chance of 0.5, 0.8 and 0.95 in 95.9, 95.6
    and 92.5 %.

    Args:
        first: (n,) scores.
        second: (n,) scores of the same blocks, in the same order.
        confidence: nominal coverage, in (0, 1).

    **Source:** Agarwal et al. 2021, arXiv 2108.13264, sec. 4.3; Wilson 1927, doi 10.1080/01621459.1927.10502953.
    **Differs:** pairs share split and seed, where the paper compares all runs with all; the interval is Wilson's over
    the blocks instead of a bootstrap, whose percentiles end at 1 where few blocks agree. Blocks of several scenes are
    taken together: where scenes differ in their chances it covers more often than it says.
    """
    difference = np.round(np.subtract(first, second, dtype=np.float64), _DIGITS)
    n = difference.size
    share = float(((difference > 0) + 0.5 * (difference == 0)).mean())
    z = float(special.ndtri(0.5 + confidence / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    # The bounds meet 0 and 1 up to rounding.
    return Interval(share, max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share)))


def scenes_mean_interval(matrices: Sequence[ArrayLike], confidence: float = 0.95) -> Interval:
    """Return the mean over scenes of each scene's mean, with an interval from the draws within the scenes.

    Scenes are fixed: the interval says nothing about other scenes. The variances of the scenes' means are those of
    ``crossed_mean_interval``; degrees of freedom are Welch's. On simulated normal data with 5 repeats the nominal 95 %
    interval covers 95 to 96 %, for one scene or for several whose standard deviations differ up to 50 times; the
    percentiles of a bootstrap of 5 repeats cover 83 %.

    Args:
        matrices: of every scene the (splits, seeds) or (repeats, 1) scores or paired differences.
        confidence: nominal coverage, in (0, 1).

    Returns:
        mean, low, high; low and high NaN where a scene has a single score.

    **Source:** Welch 1947, doi 10.1093/biomet/34.1-2.28 (a sum of means of unequal variances).
    """
    return _mean_of_means([crossed_mean(matrix) for matrix in matrices], confidence)


def corrected_interval(
    matrices: Sequence[ArrayLike], test_over_train: Sequence[float], confidence: float = 0.95
) -> Interval:
    """Return ``scenes_mean_interval`` with variances corrected for splits that overlap.

    Repeats that draw their splits from one scene test on much the same pixels. As far as the question is how methods
    compare on pixels beyond these, their scores are correlated, and the variance of a scene's mean does not fall with
    the number n of repeats: it is s^2 (1/n + n_test / n_train). With few labels and a large scene the last term is
    large, so hardly any difference is separated: one scene says little about other pixels.

    On simulated scenes of 400 pixels with 5 repeats the nominal 95 % interval for other pixels covers 99 % with 40
    training pixels, 95 % with 200; ``scenes_mean_interval``, which covers the scene's own mean in 95 %, covers that of
    other pixels in 43 and 69 %.

    Args:
        matrices: of every scene the paired differences.
        test_over_train: of every scene the mean number of test pixels over that of training pixels.
        confidence: nominal coverage, in (0, 1).

    **Source:** Nadeau and Bengio 2003, doi 10.1023/A:1024068626366, sec. 3: the correlation of two repeats is taken to
    be n_test / (n_train + n_test), the chance that a pixel tested once is tested again.
    **Differs:** s^2 / n is the variance of ``crossed_mean``, which it is where every repeat has a split and a seed of
    its own; the mean is over scenes.
    """
    parts = []
    for matrix, ratio in zip(matrices, test_over_train, strict=True):
        mean, variance, freedom = crossed_mean(matrix)
        parts.append((mean, variance + ratio * sample_sd(matrix) ** 2, freedom))
    return _mean_of_means(parts, confidence)


def _mean_of_means(parts: Sequence[tuple[float, float, float]], confidence: float) -> Interval:
    """Return the interval of the mean of independent means, given each one's mean, variance and degrees of freedom."""
    means, variances, freedoms = np.array(parts).T
    mean, total = float(means.mean()), float(variances.sum())
    if np.isnan(total):
        return Interval(mean, float("nan"), float("nan"))
    freedom = total**2 / float((variances**2 / freedoms).sum()) if total > 0 else 1.0
    half = float(special.stdtrit(freedom, 0.5 + confidence / 2)) * total**0.5 / len(means)
    return Interval(mean, mean - half, mean + half)
