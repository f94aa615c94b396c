"""What the claims of speed are made of: the usual loop has our views, exponents are slopes, peaks are peaks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.computing import peak_memory_mib, reset_peak_memory
from benchmark.speed.claims import clustering, growth, starting, tiled_loss, usual_loop
from benchmark.speed.claims.base import Bound, Row
from benchmark.speed.claims.growth import Growth, exponent
from benchmark.speed.claims.tiled_loss import TiledLoss
from benchmark.speed.claims.usual_loop import PatchPairs
from benchmark.speed.fresh_process import NO_PEAK, Memory, in_a_fresh_process, memory_of
from benchmark.speed.large_store import write_large_store
from hsicl_core.patches import PatchSource
from report.groups import build_groups
from report.rows import read_rows

GOLDEN_STORE = Path(__file__).parents[1] / "golden" / "store"
CPU = torch.device("cpu")
GROWTHS = [*growth._TIMES, *growth._MEMORIES]
TELLS_PEAKS = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc")


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


def test_commands_are_run_as_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_REPEATS", 1)
    monkeypatch.setattr(starting, "RELEASED", GOLDEN_STORE)
    monkeypatch.setattr(starting, "_SMALL", 1)
    monkeypatch.setattr(starting, "_LARGE", 2)
    rows = {row.what: row for row in starting.Starting().measure(CPU)}
    assert [row.unit for row in rows.values()] == ["s", "s", "s", "MiB", "ratio"]
    large = rows["hsicl report of 2,000 rows, a sweep of ratio, temperature and K: memory"]
    # More than torch-free Python with pandas, and not what this process holds.
    assert large.figure is not None
    assert 100 < large.figure.median < 1000


def test_a_process_that_fails_is_not_measured() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        starting._run("-c", "raise SystemExit(3)")


@pytest.mark.parametrize("n_configurations", [1, 3])
def test_a_large_store_is_one_that_a_sweep_could_have_written(n_configurations: int, tmp_path: Path) -> None:
    assert write_large_store(tmp_path, n_configurations) == 1000 * n_configurations
    groups = build_groups(read_rows(str(tmp_path)))
    assert len(groups) == 4
    for group in groups:
        assert group.cells == "10 x 5"
        assert len(group.configurations) == 5 * n_configurations
        assert all(item.is_complete for item in group.configurations)
        # What was mixed up keeps the pixels of every class: scores are fractions that differ.
        assert len({item.oa.tobytes() for item in group.configurations}) == 5 * n_configurations
        assert all(0 < item.oa.min() <= item.oa.max() < 1 for item in group.configurations)


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


def filled() -> float | None:
    """What is told of a run of 64 MiB."""
    kept = []

    def filling(n_mib: int) -> growth.Run:
        kept.append(torch.ones(40 * 2**18))
        return lambda: torch.ones(n_mib * 2**18).sum()

    # In a process of its own, where nobody else looks.
    growth._MEMORIES = [Growth(title="t", x="MiB", sizes=(8, 64), prepare=filling)]
    return growth._peak_mib(0, 64)


@TELLS_PEAKS
def test_a_peak_is_what_a_run_takes_beyond_what_was_there() -> None:
    # Of its own: what a process that has run a thousand tests frees meanwhile would count.
    assert in_a_fresh_process(filled) == pytest.approx(64, abs=4)


def told() -> tuple[float | None, Memory | None]:
    """What is there, and what is told of a run of 40 MiB after 300 MiB have come and gone."""
    torch.ones(2**18).sum()
    reset_peak_memory(CPU)
    before = peak_memory_mib(CPU)
    torch.ones(300 * 2**18).sum()
    return before, memory_of(lambda: torch.ones(40 * 2**18).sum(), CPU)


@TELLS_PEAKS
def test_memory_is_told_beyond_what_is_there_and_as_a_whole() -> None:
    before, memory = in_a_fresh_process(told)
    assert before is not None
    assert memory is not None
    assert memory.beyond_mib == pytest.approx(40, abs=4)
    # Nothing of the 300 beyond, but all of them in the whole.
    assert memory.whole_mib == pytest.approx(before + 300, abs=8)


@TELLS_PEAKS
def test_a_fresh_process_has_nothing_of_this_one() -> None:
    kept = torch.ones(1024 * 2**18)
    whole = in_a_fresh_process(peak_memory_mib, CPU)
    assert whole is not None
    assert whole < kept.numel() / 2**18 < (peak_memory_mib(CPU) or 0)


@pytest.fixture
def tiny_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_LARGE": 1024, "_SMALL": 256, "_DENSE": 512, "_WARM_UP": 32, "_REPEATS": 2}.items():
        monkeypatch.setattr(tiled_loss, name, value)
    # What is measured in fresh processes is tested above; here it is what is done with it.
    monkeypatch.setattr(tiled_loss, "in_a_fresh_process", lambda run, *arguments: run(*arguments))


@pytest.mark.usefixtures("tiny_tiles")
def test_the_claim_of_the_tiles_has_a_row_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    memories = iter([Memory(beyond_mib=60, whole_mib=400), Memory(beyond_mib=40, whole_mib=380)])

    def told(run: growth.Run, device: torch.device) -> Memory:
        run()
        return next(memories)

    monkeypatch.setattr(tiled_loss, "memory_of", told)
    rows = list(TiledLoss().measure(CPU))
    here, on_cuda = rows[:5], rows[5:]
    whole, grown, gradient, *times = here
    assert [row.figure and row.figure.median for row in (whole, grown)] == [400, 1.5]
    assert [row.bound for row in here] == [Bound(most=1000), Bound(most=4), Bound(most=1e-5), None, None]
    assert [row.unit for row in here] == ["MiB", *["ratio"] * 4]
    assert "one table of all similarities would take 4 MiB" in whole.note
    assert grown.note == "60 MiB over 40; linear is 4, quadratic 16"
    assert gradient.figure is not None
    assert gradient.figure.median < 1e-5
    assert [row.n_threads for row in times] == [1, 2]
    assert {row.what for row in on_cuda} == {row.what for row in here}
    assert all(row.figure is None and "no Triton kernel" in row.note for row in on_cuda)
    keys = {(row.what, row.device, row.n_threads) for row in rows}
    assert len(keys) == len(rows) == 9


@pytest.mark.usefixtures("tiny_tiles")
def test_without_a_peak_the_claim_of_the_tiles_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiled_loss, "memory_of", lambda run, device: run())
    rows: list[Row] = list(TiledLoss().measure(CPU))
    assert [row.note for row in rows[:2]] == [NO_PEAK, NO_PEAK]
    assert all(row.figure is None for row in rows[:2])


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
