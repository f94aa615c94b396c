"""The time left, against runs whose length is known."""

from __future__ import annotations

import heapq

import pytest

from sweeps.executors.base import Group
from sweeps.watching.pace import Pace
from tests.sweeps.progress_factory import record_of, trial_of


def group(method: str, seed: int, n_splits: int = 2) -> Group:
    return tuple(trial_of(method, seed=seed, index=index) for index in range(n_splits))


def seconds_of(pace: Pace, elapsed_s: float) -> float | None:
    left = pace.time_left(elapsed_s)
    return None if left is None else left.seconds


def test_one_after_the_other_it_is_exact_once_every_method_was_seen() -> None:
    # Ten times as long in one method as in the other: an average over all fits would be far off.
    seconds = {"noisy": (10.0, 1.0), "raw_spectra": (1.0, 0.5)}
    groups = [group(method, seed) for seed in range(3) for method in seconds]
    end_s = 5.0 + sum(fit_s + 2 * protocol_s for fit_s, protocol_s in seconds.values()) * 3
    pace, now_s = Pace(groups), 5.0
    for number, members in enumerate(groups):
        fit_s, protocol_s = seconds[members[0].method]
        now_s += fit_s
        for trial in members:
            now_s += protocol_s
            pace.add(record_of(trial, fit_s=fit_s, protocol_s=protocol_s), now_s)
            left = pace.time_left(now_s)
            if number == 0:
                # The other method may take any time.
                assert left is not None
                assert left.is_lower_bound
                assert left.seconds < end_s - now_s
            elif now_s < end_s:
                assert left is not None
                assert not left.is_lower_bound
                assert left.seconds == pytest.approx(end_s - now_s)
    assert now_s == end_s


def test_workers_side_by_side_are_counted_and_the_last_groups_are_not_shared_out() -> None:
    n_workers, n_groups, fit_s = 4, 18, 10.0
    groups = [group("noisy", seed, 1) for seed in range(n_groups)]
    pace = Pace(groups)
    # A naive scheduler: whoever is free takes the next.
    free = [3.0] * n_workers
    ends = []
    for _ in groups:
        ends.append(heapq.heappop(free) + fit_s)
        heapq.heappush(free, ends[-1])
    for number, (members, now_s) in enumerate(zip(groups, ends, strict=True)):
        pace.add(record_of(members[0], fit_s=fit_s), now_s)
        if number % n_workers == n_workers - 1 and number < n_groups - 1:
            assert seconds_of(pace, now_s) == pytest.approx(ends[-1] - now_s, rel=0.3)
    pace = Pace(groups)
    for members in groups[:-1]:
        pace.add(record_of(members[0], fit_s=fit_s), 45.0)
    # Seventeen fits in 45 s are 3.8 of them at a time; the one that is left still takes its ten seconds.
    assert seconds_of(pace, 45.0) == pytest.approx(10.0)


def test_it_is_counted_down_between_records_and_unknown_beyond_the_estimate() -> None:
    groups = [group("noisy", seed, 1) for seed in range(3)]
    pace = Pace(groups)
    pace.add(record_of(groups[0][0], fit_s=10.0), 10.0)
    assert seconds_of(pace, 10.0) == pytest.approx(20.0)
    assert seconds_of(pace, 25.0) == pytest.approx(5.0)
    assert seconds_of(pace, 31.0) is None


def test_what_is_not_known_is_not_invented() -> None:
    groups = [group("noisy", seed, 1) for seed in range(3)]
    pace = Pace(groups)
    assert pace.time_left(100.0) is None
    pace.add(record_of(groups[0][0], oa=None), 5.0)
    assert pace.time_left(5.0) is None
    pace.add(record_of(groups[1][0], fit_s=0.0), 6.0)
    assert pace.time_left(6.0) is None


def test_starting_the_workers_is_not_paid_again() -> None:
    groups = [group("noisy", seed) for seed in range(2)]
    pace = Pace(groups)
    for trial in groups[0]:
        # A worker's records come together.
        pace.add(record_of(trial, fit_s=4.0, protocol_s=3.0), 60.0)
    assert seconds_of(pace, 60.0) == pytest.approx(10.0)
