"""Images in blocks of rows: every block size gives what the whole image gives, and large ones lie in scratch files."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hsicl_core import rows as module
from hsicl_core.encoder import Encoder
from hsicl_core.errors import InvalidValueError
from hsicl_core.patches import PatchSource
from hsicl_core.preprocessing import principal_components, standardize, window_mean
from hsicl_core.rows import ArrayRows, empty, in_memory, mirrored_rows, pad_reflect, row_blocks, seen_blocks, whole

CPU = torch.device("cpu")
HEIGHT, WIDTH, BANDS = 23, 11, 5


@pytest.fixture
def image() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    mixing = torch.rand(BANDS, BANDS, generator=generator)
    return torch.rand(HEIGHT, WIDTH, BANDS, generator=generator) @ mixing * 50 + 1000


@pytest.fixture(params=[1, 4, 22])
def in_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Make blocks of so many rows of the image."""
    monkeypatch.setattr(module, "_BLOCK_BYTES", 4 * WIDTH * BANDS * request.param)
    return request.param


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep 1 MiB in memory, and what is larger in files of the folder that is returned."""
    monkeypatch.setenv("HSICL_RESIDENT_MIB", "1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_blocks_cover_every_row_once(image: torch.Tensor, in_blocks: int) -> None:
    blocks = list(row_blocks(image))
    assert [row for rows in blocks for row in range(rows.start, rows.stop)] == list(range(HEIGHT))
    assert max(rows.stop - rows.start for rows in blocks) == in_blocks


def test_seen_blocks_give_the_pixels_asked_for(image: torch.Tensor, in_blocks: int) -> None:
    pixels = torch.tensor([0, 5, 6, 60, 61, 200, HEIGHT * WIDTH - 1])
    found = torch.cat(list(seen_blocks(image, pixels)))
    assert torch.equal(found, image.reshape(-1, BANDS)[pixels])
    shuffled = torch.cat(list(seen_blocks(image, pixels.flip(0))))
    assert torch.equal(shuffled.sort(dim=0).values, found.sort(dim=0).values)


def test_statistics_of_blocks_are_those_of_the_whole(image: torch.Tensor, in_blocks: int) -> None:
    pixels = torch.arange(0, HEIGHT * WIDTH, 3)
    spectra = image.reshape(-1, BANDS).numpy().astype(np.float64)
    seen = spectra[pixels.numpy()]
    standard = (spectra - seen.mean(axis=0)) / seen.std(axis=0)
    found = whole(standardize(image, pixels)).reshape(-1, BANDS)
    np.testing.assert_allclose(found.numpy(), standard, rtol=1e-5, atol=1e-5)
    # Independently: the covariance by NumPy, directions up to their sign.
    variance, axes = np.linalg.eigh(np.cov(seen.T, bias=True))
    expected = (spectra - seen.mean(axis=0)) @ axes[:, ::-1][:, :3] / np.sqrt(variance[-1])
    components = principal_components(image, pixels, 3).reshape(-1, 3).numpy()
    signs = np.sign((components * expected).sum(axis=0))
    np.testing.assert_allclose(components, expected * signs, rtol=1e-4, atol=1e-4)


def test_windows_padding_and_embeddings_do_not_depend_on_the_blocks(
    image: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder(BANDS, 5, (4, 6))

    def everything() -> list[torch.Tensor]:
        patches = PatchSource(image, 5).gather(torch.arange(HEIGHT * WIDTH))
        return [window_mean(image, 3), pad_reflect(image, 4), patches, encoder.embed_scene(image, tile_rows=7)]

    expected = everything()
    np.testing.assert_array_equal(expected[1].numpy(), np.pad(image.numpy(), ((4, 4), (4, 4), (0, 0)), mode="reflect"))
    for n_rows in (1, 4, 22):
        monkeypatch.setattr(module, "_BLOCK_BYTES", 4 * WIDTH * BANDS * n_rows)
        for found, value in zip(everything(), expected, strict=True):
            torch.testing.assert_close(found, value, rtol=1e-6, atol=1e-6)


@given(st.data())
def test_mirrored_rows_are_those_of_the_padded_image(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 6))
    radius = data.draw(st.integers(0, min(height, width) - 1))
    top = data.draw(st.integers(0, height - 1))
    bottom = data.draw(st.integers(top + 1, height))
    array = np.arange(height * width * 2, dtype=np.float32).reshape(height, width, 2)
    padded = np.pad(array, ((radius, radius), (radius, radius), (0, 0)), mode="reflect")
    for image in (torch.from_numpy(array), ArrayRows(array, CPU)):
        found = mirrored_rows(image, top, bottom, radius)
        np.testing.assert_array_equal(found.numpy(), padded[top : bottom + 2 * radius])


def test_rows_of_an_array_are_copies_as_float32() -> None:
    array = np.arange(24, dtype=">u2").reshape(4, 3, 2)[:, ::-1]
    rows = ArrayRows(array, CPU)
    block = rows[1:3]
    assert block.dtype == torch.float32
    np.testing.assert_array_equal(block.numpy(), array[1:3].astype(np.float32))
    block.fill_(7)
    assert array.max() == 23
    assert rows.shape == (4, 3, 2)


def test_small_images_become_tensors_and_large_ones_stay_where_they_are(small_limit: Path) -> None:
    small, large = np.zeros((8, 8, 2), np.uint16), np.zeros((512, 512, 2), np.uint16)
    assert isinstance(in_memory(ArrayRows(small, CPU)), torch.Tensor)
    assert isinstance(in_memory(ArrayRows(large, CPU)), ArrayRows)


def is_mapped(folder: Path) -> bool:
    """Return whether this process maps a file of the folder."""
    return str(folder) in Path("/proc/self/maps").read_text()


def test_large_tensors_lie_in_a_file_that_goes_with_them(small_limit: Path) -> None:
    tensor = empty(600, 500, device=CPU)
    assert list(small_limit.iterdir()) == []
    assert is_mapped(small_limit)
    tensor.copy_(torch.arange(300_000.0).reshape(600, 500))
    assert float(tensor[599, 499]) == 299_999.0
    del tensor
    assert not is_mapped(small_limit)
    kept = empty(10, 10, device=CPU)
    assert not is_mapped(small_limit), kept.shape


def test_a_full_folder_is_named_before_anything_is_written(small_limit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10, 10, 1000))
    with pytest.raises(InvalidValueError, match=r"1200000 bytes.* has 1000 free: set TMPDIR"):
        empty(600, 500, device=CPU)
    assert list(small_limit.iterdir()) == []


@pytest.mark.parametrize("text", ["0", "-1", "much", "1.5", ""])
def test_a_limit_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("HSICL_RESIDENT_MIB", text)
    with pytest.raises(InvalidValueError, match="HSICL_RESIDENT_MIB"):
        empty(1, device=CPU)
