"""How many fits share a GPU, and what twice the room is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark import METHODS, InvalidValueError
from sweeps import EXECUTORS
from sweeps.on_ray.packing import Room, share_of_gpu


@given(used=st.floats(1.0, 1e5), free=st.floats(1.0, 2e5))
def test_fits_that_share_a_gpu_leave_it_a_tenth_even_if_each_takes_a_fifth_more(used: float, free: float) -> None:
    share = share_of_gpu(used, free)
    n_fits = round(1 / share)
    assert 0 < share <= 1
    assert n_fits * share <= 1.0 + 1e-9
    if n_fits > 1:
        assert n_fits * 1.2 * used <= 0.9 * free + 1e-6 * free
        # One more would not fit, unless Ray could not count so small a share.
        assert (n_fits + 1) * 1.2 * used > 0.9 * free or n_fits >= 9999


def test_a_share_worked_by_hand() -> None:
    # 80 GiB free, 2 GiB used: 0.9 * 80 / (1.2 * 2) = 30.
    assert share_of_gpu(2048.0, 81920.0) == pytest.approx(1 / 30)
    assert share_of_gpu(70000.0, 81920.0) == 1.0


@pytest.mark.parametrize(("used", "free"), [(None, None), (0.0, 1000.0), (100.0, None), (-5.0, 1000.0)])
def test_what_could_not_be_measured_has_a_gpu_of_its_own(used: Any, free: Any) -> None:
    assert share_of_gpu(used, free) == 1.0


def test_twice_the_room_ends_with_a_whole_gpu_or_machine() -> None:
    room: Room | None = Room(gpus=0.3)
    shares = []
    while room is not None:
        shares.append(room.gpus)
        room = room.doubled(most_cpus=8.0)
    assert shares == [0.3, 0.6, 1.0]
    on_cpus: Room | None = Room()
    cpus = []
    while on_cpus is not None:
        cpus.append(on_cpus.cpus)
        on_cpus = on_cpus.doubled(most_cpus=6.0)
    assert cpus == [1.0, 2.0, 4.0, 6.0]


@pytest.mark.parametrize("share", [-1.0, float("nan"), float("inf"), "half", 1.5, 1e-5])
def test_a_share_out_of_range_is_one_line(share: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"--gpus-per-trial must be auto, 0, 0\.0001\.\.1 or a whole number"):
        EXECUTORS.get("ray")(gpus_per_trial=share)


def test_methods_without_a_network_leave_the_gpu_to_others() -> None:
    gains = {name: METHODS.get(name).gains_from_gpu for name in METHODS.names()}
    assert not gains["raw_spectra"]
    assert gains["mined_negatives"]
    for name in METHODS.names():
        if METHODS.get(name).fine_tunes:
            assert gains[name], name
