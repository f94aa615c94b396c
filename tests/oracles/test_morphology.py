"""Morphological profiles against plain loops over one patch, against libraries, and against what theory says."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from hsicl_core import InvalidValueError, rows
from hsicl_core.morphology import eroded, morphological_profile, opening, radii_within

# Few values, so that there are plateaus and ties.
IMAGES = arrays(np.float64, st.tuples(st.integers(6, 9), st.integers(6, 9)), elements=st.integers(-3, 3))


def disk(radius: int) -> list[tuple[int, int]]:
    span = range(-radius, radius + 1)
    return [(i, j) for i in span for j in span if i * i + j * j <= radius * radius]


def grown_at_centre(patch: NDArray[np.float64], radius: int) -> float:
    """The middle of a patch after the erosion and as many steps of geodesic dilation as the patch has room for."""
    reach = len(patch) // 2

    @functools.cache
    def at(row: int, column: int, steps: int) -> float:
        if steps == 0:
            return min(patch[row + i, column + j] for i, j in disk(radius))
        around = max(at(row + i, column + j, steps - 1) for i in (-1, 0, 1) for j in (-1, 0, 1))
        return min(patch[row, column], around)

    return at(reach, reach, reach - radius)


def by_loops(image: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """The profile (height, width, 2 * n + 1) of an image (height, width), one patch at a time."""
    height, width = image.shape
    padded = np.pad(image, reach, mode="reflect")
    radii = [radius for radius in range(1, reach + 1) if 2 * radius <= reach]
    out = np.empty((height, width, 2 * len(radii) + 1))
    for row in range(height):
        for column in range(width):
            patch = padded[row : row + 2 * reach + 1, column : column + 2 * reach + 1]
            openings = [grown_at_centre(patch, radius) for radius in radii]
            closings = [-grown_at_centre(-patch, radius) for radius in radii]
            out[row, column] = [image[row, column], *openings, *closings]
    return out


def profile_of(image: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    return morphological_profile(torch.from_numpy(image[..., None]).float(), reach).double().numpy()


def random_image(height: int = 20, width: int = 23, channels: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(height, width, channels, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=10, deadline=None)
@given(image=IMAGES, reach=st.integers(2, 4))
def test_it_is_what_loops_over_the_patch_give(image: NDArray[np.float64], reach: int) -> None:
    np.testing.assert_array_equal(profile_of(image, reach), by_loops(image, reach))


@settings(max_examples=40, deadline=None)
@given(image=IMAGES, reach=st.integers(2, 5))
def test_it_lies_between_the_opening_and_the_opening_by_reconstruction(image: NDArray[np.float64], reach: int) -> None:
    morphology = pytest.importorskip("skimage.morphology")
    padded = np.pad(image, reach, mode="reflect")
    for radius in radii_within(reach):
        footprint = np.zeros((2 * radius + 1, 2 * radius + 1), dtype=bool)
        footprint[tuple(np.array(disk(radius)).T + radius)] = True
        plain = ndimage.grey_opening(padded, footprint=footprint)[reach:-reach, reach:-reach]
        # The border of the erosion is filled with what lets nothing grow from there.
        seed = np.full_like(padded, padded.min())
        inner = slice(radius, -radius)
        seed[inner, inner] = eroded(torch.from_numpy(padded)[None], radius)[0].numpy()
        full = morphology.reconstruction(seed, padded, footprint=np.ones((3, 3)))[reach:-reach, reach:-reach]
        found = opening(torch.from_numpy(padded)[None], radius, reach)[0].numpy()
        assert (plain <= found).all()
        assert (found <= full).all()


def test_what_a_disk_fits_into_keeps_its_tail_and_what_it_does_not_fit_into_goes() -> None:
    image = np.zeros((15, 15))
    image[3:6, 3:6] = 5
    image[4, 6:8] = 5
    image[10, 10] = 5
    found = profile_of(image, 4)
    assert radii_within(4) == range(1, 3)
    small, large = found[..., 1], found[..., 2]
    # The opening alone would cut the tail, two pixels from the disk; the whole square comes back, corners too.
    assert (small[3:6, 3:6] == 5).all()
    assert (small[4, 6:8] == 5).all()
    assert small[10, 10] == 0
    # No disk of radius 2 fits.
    assert (large == 0).all()
    assert (found[..., 3:] == image[..., None]).all()


def test_a_tail_ends_where_the_patch_ends() -> None:
    image = np.zeros((15, 20))
    image[6:9, 3:6] = 5
    image[7, 6:18] = 5
    small = profile_of(image, 4)[7, :, 1]
    # From the last place where the disk fits, column 5, three steps are left.
    assert (small[3:9] == 5).all()
    assert (small[9:] == 0).all()


@pytest.mark.parametrize("reach", [2, 3, 4, 6])
def test_openings_lie_below_the_image_and_closings_above_and_each_is_the_others_negative(reach: int) -> None:
    image = random_image()
    n = len(radii_within(reach))
    found = morphological_profile(image, reach)
    assert found.shape == (20, 23, 3 * (2 * n + 1))
    own, openings, closings = found.split([3, 3 * n, 3 * n], dim=2)
    assert torch.equal(own, image)
    assert (openings <= image.repeat(1, 1, n)).all()
    assert (closings >= image.repeat(1, 1, n)).all()
    assert torch.equal(morphological_profile(-image, reach)[..., 3 : 3 + 3 * n], -closings)


@pytest.mark.parametrize("reach", [2, 4, 5])
def test_it_sees_the_patch_and_no_pixel_beyond(reach: int) -> None:
    at = 11
    seen = np.zeros(2 * reach + 3, dtype=bool)
    for seed in range(15):
        image = random_image(23, 23, 1, seed)
        before = morphological_profile(image, reach)[at, at]
        for index, column in enumerate(range(at - reach - 1, at + reach + 2)):
            for value in (-9.0, 9.0):
                other = image.clone()
                other[at, column] = value
                seen[index] |= not torch.equal(morphological_profile(other, reach)[at, at], before)
        outside = image + 100
        outside[at - reach : at + reach + 1, at - reach : at + reach + 1] = image[
            at - reach : at + reach + 1, at - reach : at + reach + 1
        ]
        assert torch.equal(morphological_profile(outside, reach)[at, at], before)
    assert not seen[[0, -1]].any()
    assert seen[1:-1].all()


def test_blocks_of_rows_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    image = random_image()
    whole = morphological_profile(image, 4)
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 4 * 23 * 3 * 7)
    assert len(list(rows.row_blocks(image))) == 3
    assert torch.equal(morphological_profile(image, 4), whole)


def test_a_constant_image_stays_and_a_small_one_is_refused() -> None:
    constant = torch.full((9, 9, 2), 3.0)
    assert (morphological_profile(constant, 4) == 3).all()
    with pytest.raises(InvalidValueError, match="patch_size=19 is too large"):
        morphological_profile(constant, 9)
