"""Patches against numpy's reflecting pad, cut by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsicl_core import InvalidValueError
from hsicl_core.patches import PatchSource
from hsicl_core.rows import pad_reflect


def test_the_border_is_mirrored_without_its_edge() -> None:
    row = torch.tensor([1.0, 2.0, 3.0, 4.0])
    image = row[None, :, None].expand(3, 4, 1)
    assert pad_reflect(image, 2)[0, :, 0].tolist() == [3.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0]


@pytest.mark.parametrize(
    ("height", "width", "patch_size"), [(1, 1, 1), (4, 7, 1), (4, 7, 3), (7, 4, 5), (6, 9, 11), (5, 5, 9)]
)
def test_patches_are_cut_from_the_padded_image(height: int, width: int, patch_size: int) -> None:
    image = np.random.default_rng(0).normal(size=(height, width, 3)).astype(np.float32)
    radius = patch_size // 2
    padded = np.pad(image, ((radius, radius), (radius, radius), (0, 0)), mode="reflect")
    pixels = np.random.default_rng(1).permutation(height * width)
    patches = PatchSource(torch.from_numpy(image), patch_size).gather(torch.from_numpy(pixels))
    assert patches.shape == (height * width, 3, patch_size, patch_size)
    for patch, pixel in zip(patches.numpy(), pixels, strict=True):
        top, left = divmod(int(pixel), width)
        cut = padded[top : top + patch_size, left : left + patch_size]
        assert np.array_equal(patch.transpose(1, 2, 0), cut)
        assert np.array_equal(patch[:, radius, radius], image[top, left])


def test_patches_are_channels_last_and_a_copy() -> None:
    image = torch.arange(5 * 6 * 3.0).view(5, 6, 3)
    source = PatchSource(image, 3)
    first = source.gather(torch.tensor([8, 8]))
    assert first.is_contiguous(memory_format=torch.channels_last)
    first.fill_(-1.0)
    assert torch.equal(source.gather(torch.tensor([8]))[0, :, 1, 1], image[1, 2])
    assert torch.equal(image, torch.arange(5 * 6 * 3.0).view(5, 6, 3))


def test_no_pixels_give_no_patches() -> None:
    assert PatchSource(torch.zeros(4, 4, 2), 3).gather(torch.tensor([], dtype=torch.int64)).shape == (0, 2, 3, 3)


@pytest.mark.parametrize("patch_size", [0, 2, -3, 3.0])
def test_a_patch_size_must_be_odd_and_positive(patch_size: object) -> None:
    with pytest.raises(InvalidValueError, match="odd integer >= 1"):
        PatchSource(torch.zeros(4, 4, 2), patch_size)
