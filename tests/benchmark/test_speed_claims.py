"""What the claims of speed are made of: the usual loop has our views, exponents are slopes, peaks are peaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.speed.claims import clustering, growth, usual_loop
from benchmark.speed.claims.growth import Growth, exponent
from benchmark.speed.claims.usual_loop import PatchPairs
from hsicl_core.patches import PatchSource

GROWTHS = [*growth._TIMES, *growth._MEMORIES]


def test_the_usual_loop_cuts_our_patches_and_turns_and_flips_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usual_loop, "_DROPPED", 0.0)
    np.random.seed(0)  # noqa: NPY002
    image = torch.randn(6, 7, 3, generator=torch.Generator().manual_seed(0))
    pairs, source = PatchPairs(image.numpy(), np.arange(42), 5), PatchSource(image, 5)
    seen = set()
    for pixel in range(len(pairs)):
        (patch,) = source.gather(torch.tensor([pixel]))
        squares = [torch.rot90(square, turns, (1, 2)) for square in (patch, patch.flip(1)) for turns in range(4)]
        first, second, label = pairs[pixel]
        assert label == pixel
        for view in (first, second):
            places = [place for place, square in enumerate(squares) if torch.equal(square, view)]
            assert places
            # A patch that the border mirrors may be its own mirror image.
            seen |= set(places) if len(places) == 1 else set()
    # All eight symmetries of the square.
    assert len(seen) == 8


def test_the_usual_loop_drops_whole_channels_as_often_as_ours() -> None:
    np.random.seed(0)  # noqa: NPY002
    patch = np.ones((5, 5, 4000), dtype=np.float32)
    view = usual_loop.augmented(patch)
    assert view.dtype == torch.float32
    assert bool((view == view[:, :1, :1]).all())
    assert float((view[:, 0, 0] == 0).float().mean()) == pytest.approx(0.2, abs=0.03)


def test_inertia_is_the_squared_distances_to_the_means() -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    labels = np.arange(30) % 4
    means = {label: vectors[labels == label].mean(axis=0) for label in range(4)}
    expected = sum(float(((vector - means[label]) ** 2).sum()) for vector, label in zip(vectors, labels, strict=True))
    assert clustering.inertia(vectors, labels) == pytest.approx(expected, rel=1e-5)


@given(st.floats(-2, 3), st.floats(1e-3, 1e3), st.lists(st.integers(1, 10**6), min_size=2, max_size=6, unique=True))
def test_the_exponent_of_a_power_is_found(power: float, factor: float, sizes: list[int]) -> None:
    assert exponent(sizes, [factor * size**power for size in sizes]) == pytest.approx(power, abs=1e-6)


def test_a_round_is_a_slope_and_the_points_are_medians() -> None:
    grows = Growth(title="t", x="x", sizes=(1, 10), prepare=lambda size: lambda: None, most=1.15)
    row = growth._row(grows, "time", "s", [[1, 10], [1, 100], [3, 30]])
    assert row.figure is not None
    assert (row.figure.median, row.figure.n) == (pytest.approx(1), 3)
    assert row.figure.high == pytest.approx(1.5)
    assert row.curve is not None
    assert row.curve.points == ((1, 1), (10, 30))
    assert row.bound is not None
    assert row.bound.most == 1.15


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc")
def test_a_peak_is_what_a_run_takes_beyond_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def filling(n_mib: int) -> growth.Run:
        kept.append(torch.ones(40 * 2**18))
        return lambda: torch.ones(n_mib * 2**18).sum()

    monkeypatch.setattr(growth, "_MEMORIES", [Growth(title="t", x="MiB", sizes=(8, 64), prepare=filling)])
    assert growth._peak_mib(0, 64) == pytest.approx(64, abs=4)


@pytest.mark.parametrize("grows", GROWTHS, ids=lambda grows: f"{grows.title} {grows.x}")
def test_sizes_tell_a_linear_growth_from_others(grows: Growth) -> None:
    sizes = list(grows.sizes)
    assert sizes == sorted(set(sizes))
    assert len(sizes) >= 4
    assert sizes[-1] >= 8 * sizes[0]
    assert callable(grows.prepare(sizes[0] // 8))
    if grows.most is not None:
        # What is claimed is within the bound, one power more is not; what is not linear says so.
        power = 2 if "quadratic" in grows.note else 1
        assert (
            exponent(sizes, [size**power for size in sizes])
            <= grows.most
            < exponent(sizes, [size ** (power + 1) for size in sizes])
        )
