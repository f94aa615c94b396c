"""What each view promises beyond the contract of all of them (tests/contracts/test_views.py)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hsicl_core import InvalidValueError
from hsicl_core.views.base import View
from hsicl_core.views.channel_dropout import ChannelDropout
from hsicl_core.views.flip_rotate import FlipRotate
from hsicl_core.views.spectral_gain import SpectralGain


def batch(n: int, channels: int, side: int) -> Tensor:
    patches = torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(0))
    return patches.contiguous(memory_format=torch.channels_last)


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def symmetries(patch: Tensor) -> list[Tensor]:
    """The eight images of (channels, side, side) under the symmetries of the square."""
    turned = [patch]
    for _ in range(3):
        # A quarter turn, by hand: transpose, then mirror the columns.
        turned.append(turned[-1].transpose(1, 2).flip(2))
    return turned + [image.flip(2) for image in turned]


def test_a_view_of_neither_form_says_what_it_lacks() -> None:
    with pytest.raises(NotImplementedError, match="Empty has no draw: give it draw and apply, or __call__ alone"):
        type("Empty", (View,), {})()(batch(1, 1, 3), seeded())


def test_flip_rotate_draws_all_symmetries_equally_often() -> None:
    n = 4000
    patch = batch(1, 3, 5)
    views = FlipRotate()(patch.expand(n, -1, -1, -1), seeded())
    images = symmetries(patch[0])
    counts = [(views == image).flatten(1).all(dim=1).sum().item() for image in images]
    assert sum(counts) == n
    # Five standard deviations of a binomial count of share 1/8.
    assert all(abs(count - n / 8) < 5 * (n * 7 / 64) ** 0.5 for count in counts)


def test_flip_rotate_keeps_spectra_together_and_the_centre_in_place() -> None:
    patches = batch(50, 4, 7)
    views = FlipRotate()(patches, seeded())
    assert torch.equal(views[:, :, 3, 3], patches[:, :, 3, 3])
    for view, patch in zip(views, patches, strict=True):
        assert sorted(view.flatten(1).T.tolist()) == sorted(patch.flatten(1).T.tolist())
    # Patches are moved each by its own draw.
    assert (
        len({tuple(view.flatten().tolist()) for view in FlipRotate()(patches[:1].expand(50, -1, -1, -1), seeded())}) > 4
    )


def test_channel_dropout_drops_whole_channels_at_its_share() -> None:
    n, channels, share = 400, 50, 0.3
    patches = batch(n, channels, 3)
    views = ChannelDropout(share=share)(patches, seeded())
    is_dropped = (views == 0).flatten(2).all(dim=2)
    assert torch.equal(views[~is_dropped], patches[~is_dropped])
    dropped = is_dropped.double().mean().item()
    assert abs(dropped - share) < 5 * (share * (1 - share) / (n * channels)) ** 0.5
    # Channels and patches are drawn apart from each other.
    assert is_dropped.any(dim=0).all()
    assert is_dropped.any(dim=1).all()
    assert not is_dropped.all(dim=1).any()


def test_channel_dropout_at_share_zero_drops_nothing() -> None:
    patches = batch(20, 5, 3)
    assert torch.equal(ChannelDropout(share=0.0)(patches, seeded()), patches)


def test_spectral_gain_is_one_factor_per_channel_and_patch() -> None:
    n, channels, gain = 400, 50, 0.2
    patches = batch(n, channels, 3)
    factors = SpectralGain(gain=gain)(patches, seeded()) / patches
    torch.testing.assert_close(factors, factors[:, :, :1, :1].expand_as(factors), rtol=1e-4, atol=1e-5)
    drawn = factors[:, :, 0, 0]
    error = gain / (n * channels) ** 0.5
    assert abs(drawn.mean().item() - 1) < 5 * error
    assert abs(drawn.std().item() - gain) < 5 * error
    assert torch.equal(SpectralGain(gain=0.0)(patches, seeded()), patches)


@pytest.mark.parametrize("share", [1.0, -0.1, float("nan")])
def test_a_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(InvalidValueError, match="share must be a number >= 0 and < 1"):
        ChannelDropout(share=share)


def test_a_negative_gain_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="gain=-1"):
        SpectralGain(gain=-1)
