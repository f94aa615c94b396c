"""What the views of noise, erasing, parity and mixing promise beyond the contract of all views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hsicl_core import InvalidValueError
from hsicl_core.views.band_parity import BandParity
from hsicl_core.views.base import View
from hsicl_core.views.center_keeping_erasing import CenterKeepingErasing
from hsicl_core.views.channel_noise import ChannelNoise
from hsicl_core.views.spectral_mixing import SpectralMixing


def batch(n: int, channels: int, side: int) -> Tensor:
    patches = torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(0))
    return patches.contiguous(memory_format=torch.channels_last)


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Noise.


def test_noise_is_as_large_as_its_share_of_each_channels_spread() -> None:
    n, channels, side, noise = 300, 4, 5, 0.2
    scales = torch.tensor([1e-3, 1.0, 50.0, 0.0]).view(1, channels, 1, 1)
    patches = batch(n, channels, side) * scales + 7
    added = ChannelNoise(noise=noise)(patches.double(), seeded()) - patches.double()
    # By hand: the deviation of each channel around its own mean.
    for channel in range(channels):
        values = patches[:, channel].double().flatten().tolist()
        mean = sum(values) / len(values)
        spread = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
        drawn = added[:, channel].flatten()
        # Five standard errors of a mean and of a standard deviation.
        error = noise * spread / len(values) ** 0.5
        assert abs(drawn.mean().item()) <= 5 * error
        assert abs(drawn.std().item() - noise * spread) <= 5 * error
    assert (added[:, 3] == 0).all()


def test_noise_is_drawn_apart_for_every_value() -> None:
    patches = batch(200, 3, 4)
    drawn = (ChannelNoise(noise=1.0)(patches, seeded()) - patches).flatten(1)
    correlation = torch.corrcoef(drawn.T) - torch.eye(drawn.shape[1])
    # Six standard errors of a correlation, over some thousand pairs.
    assert correlation.abs().max() < 6 / 200**0.5


def test_no_noise_changes_nothing() -> None:
    patches = batch(20, 5, 3)
    assert torch.equal(ChannelNoise(noise=0.0)(patches, seeded()), patches)


# Erasing.


def rectangles(side: int, longest: int) -> dict[tuple[int, int], set[tuple[int, int, int, int]]]:
    """Every rectangle beside the centre, by its sides, found by trying all of them."""
    centre = side // 2
    found: dict[tuple[int, int], set[tuple[int, int, int, int]]] = {}
    for height in range(1, longest + 1):
        for width in range(1, longest + 1):
            places = {
                (top, left, height, width)
                for top in range(side - height + 1)
                for left in range(side - width + 1)
                if not (top <= centre < top + height and left <= centre < left + width)
            }
            found[height, width] = places
    return found


def erased(view: Tensor) -> tuple[int, int, int, int]:
    """Return the rectangle of zeros of one patch, and check that it is one."""
    is_zero = (view == 0).all(dim=0)
    rows, columns = is_zero.any(dim=1).nonzero()[:, 0], is_zero.any(dim=0).nonzero()[:, 0]
    top, left = int(rows[0]), int(columns[0])
    height, width = int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
    assert is_zero[top : top + height, left : left + width].all()
    assert is_zero.sum() == height * width
    return top, left, height, width


@pytest.mark.parametrize(
    ("side", "largest", "longest"), [(5, 0.5, 2), (3, 0.5, 1), (4, 0.5, 2), (2, 0.5, 1), (7, 0.1, 1)]
)
def test_erasing_draws_every_rectangle_beside_the_centre(side: int, largest: float, longest: int) -> None:
    n = 6000
    patches = batch(n, 2, side)
    views = CenterKeepingErasing(largest=largest)(patches, seeded())
    counts = Counter(erased(view) for view in views)
    expected = rectangles(side, longest)
    assert set(counts) == set.union(*expected.values())
    for places in expected.values():
        share = 1 / len(expected) / len(places)
        for place in places:
            # Six standard deviations of a binomial count, over at most some dozen counts.
            assert abs(counts[place] - n * share) <= 6 * (n * share * (1 - share)) ** 0.5
    kept = views != 0
    assert torch.equal(views[kept], patches[kept])
    assert torch.equal(views[:, :, side // 2, side // 2], patches[:, :, side // 2, side // 2])


@pytest.mark.parametrize("side", [9, 13])
def test_erasing_never_reaches_the_centre_of_larger_patches(side: int) -> None:
    views = CenterKeepingErasing()(torch.ones(20000, 1, side, side), seeded())
    assert (views[:, :, side // 2, side // 2] == 1).all()
    sides = [erased(view)[2:] for view in views[:500]]
    assert {length for pair in sides for length in pair} == set(range(1, side // 2 + 1))


def test_a_patch_of_one_pixel_is_not_erased() -> None:
    patches = batch(8, 4, 1)
    views = CenterKeepingErasing()(patches, seeded())
    assert torch.equal(views, patches)
    assert views.data_ptr() != patches.data_ptr()


# Parity.


@pytest.mark.parametrize("channels", [1, 2, 7])
def test_each_view_keeps_the_even_or_the_odd_channels(channels: int) -> None:
    n = 2000
    patches = batch(n, channels, 3)
    views = BandParity()(patches, seeded())
    n_even = 0
    for view, patch in zip(views, patches, strict=True):
        is_even = torch.equal(view[0], patch[0])
        n_even += is_even
        for channel in range(channels):
            is_kept = (channel % 2 == 0) == is_even
            assert torch.equal(view[channel], patch[channel] if is_kept else torch.zeros_like(patch[channel]))
    # Five standard deviations of a fair coin.
    assert abs(n_even - n / 2) < 5 * (n / 4) ** 0.5


# Mixing.


def test_mixing_is_convex_and_stays_mostly_itself() -> None:
    n, side, largest = 400, 4, 0.3
    area = side * side
    # Each pixel has a channel of its own, so that the mixture can be read off.
    patches = torch.eye(area).view(1, area, side, side).repeat(n, 1, 1, 1).contiguous(memory_format=torch.channels_last)
    views = SpectralMixing(largest=largest)(patches, seeded()).flatten(2)
    own = views.diagonal(dim1=1, dim2=2)
    others = views * (1 - torch.eye(area))
    torch.testing.assert_close(views.sum(dim=1), torch.ones(n, area))
    assert (views >= 0).all()
    assert ((own >= 1 - largest) & (own <= 1)).all()
    # One other pixel, every other one, and never the pixel itself.
    assert ((others > 0).sum(dim=1) == 1).all()
    pairs = Counter(map(tuple, (others > 0).nonzero()[:, 1:].tolist()))
    assert len(pairs) == area * (area - 1)
    share = 1 / (area - 1)
    # Six standard deviations of a binomial count.
    assert all(abs(count - n * share) <= 6 * (n * share * (1 - share)) ** 0.5 for count in pairs.values())
    # Uniform weights: mean largest / 2, and five standard errors.
    weights = 1 - own
    assert abs(weights.mean().item() - largest / 2) < 5 * largest / (12 * n * area) ** 0.5


def test_mixing_stays_within_the_patch() -> None:
    patches = torch.arange(50.0).view(50, 1, 1, 1).expand(-1, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    assert torch.equal(SpectralMixing()(patches, seeded()), patches)


def test_mixing_nothing_changes_nothing() -> None:
    patches = batch(20, 5, 3)
    assert torch.equal(SpectralMixing(largest=0.0)(patches, seeded()), patches)
    single = batch(8, 4, 1)
    views = SpectralMixing()(single, seeded())
    assert torch.equal(views, single)
    assert views.data_ptr() != single.data_ptr()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ChannelNoise(noise=-1), "noise must be a number >= 0, got noise=-1"),
        (lambda: CenterKeepingErasing(largest=0), "largest must be a number > 0 and <= 0.5, got largest=0"),
        (lambda: CenterKeepingErasing(largest=0.6), "largest must be a number > 0 and <= 0.5, got largest=0.6"),
        (lambda: SpectralMixing(largest=0.6), "largest must be a number >= 0 and <= 0.5, got largest=0.6"),
    ],
)
def test_a_value_outside_its_range_is_refused(make: Callable[[], View], message: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        make()
    assert str(caught.value) == message
