"""Standardisation, principal components and window means against NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from hsicl_core import InvalidValueError
from hsicl_core.preprocessing import principal_components, standardize, window_mean

HEIGHT, WIDTH, BANDS = 9, 13, 6
SOME = np.random.default_rng(5).permutation(HEIGHT * WIDTH)[:70]


def cube(seed: int = 0) -> np.ndarray:
    """Correlated bands with distinct variances, far from mean 0."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(BANDS, BANDS)) * np.array([5, 3, 2, 1, 0.5, 0.2])[:, None]
    return (generator.normal(size=(HEIGHT, WIDTH, BANDS)) @ mixing + 10).astype(np.float32)


def test_standardize_takes_its_statistics_from_the_given_pixels() -> None:
    data = cube()
    seen = data.reshape(-1, BANDS)[SOME].astype(np.float64)
    expected = (data - seen.mean(axis=0)) / seen.std(axis=0)
    found = standardize(torch.from_numpy(data), torch.from_numpy(SOME))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_statistics_are_those_of_float64() -> None:
    # A small signal on a large offset: every value is exact in float32, the sum of their squares is not.
    signal = np.arange(200 * 200).reshape(200, 200, 1) % 3
    found = standardize(torch.from_numpy((signal + 100_000).astype(np.float32)), torch.arange(200 * 200))
    expected = (signal - signal.mean()) / signal.std()
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-6)


def test_a_constant_band_becomes_zero() -> None:
    data = cube()
    data[..., 2] = 7.25
    found = standardize(torch.from_numpy(data), torch.arange(HEIGHT * WIDTH))
    assert (found[..., 2] == 0).all()
    assert found.isfinite().all()


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("n_components", [1, 4, BANDS])
def test_components_are_those_of_an_svd(whiten: bool, n_components: int) -> None:
    data = cube().astype(np.float64)
    seen = data.reshape(-1, BANDS)[SOME]
    mean = seen.mean(axis=0)
    _, singular, axes = np.linalg.svd(seen - mean, full_matrices=False)
    axes = axes[:n_components]
    # The sign of a component is that which makes its largest loading positive.
    axes *= np.sign(axes[np.arange(n_components), np.abs(axes).argmax(axis=1)])[:, None]
    deviation = singular[:n_components] / np.sqrt(len(SOME))
    expected = (data - mean) @ axes.T / (deviation if whiten else deviation[0])
    found = principal_components(
        torch.from_numpy(data.astype(np.float32)), torch.from_numpy(SOME), n_components, whiten=whiten
    )
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_components_without_variance_are_zero_also_when_whitened() -> None:
    data = cube()
    data[..., 3:] = data[..., :3] * 2 + 1
    everything = torch.arange(HEIGHT * WIDTH)
    found = principal_components(torch.from_numpy(data.astype(np.float32)), everything, BANDS, whiten=True)
    deviations = found.double().std(dim=(0, 1), unbiased=False)
    torch.testing.assert_close(deviations[:3], torch.ones(3, dtype=torch.float64), rtol=1e-4, atol=1e-4)
    # What float32 rounding leaves of the other three may be noise of unit variance, but never NaN or infinity.
    assert found.isfinite().all()
    exact = principal_components(torch.from_numpy(data.round()), everything, BANDS)
    assert exact.isfinite().all()


def test_a_constant_cube_has_components_of_zero() -> None:
    for whiten in (False, True):
        found = principal_components(torch.full((4, 5, 3), 2.5), torch.arange(20), 2, whiten=whiten)
        assert torch.equal(found, torch.zeros(4, 5, 2))


def test_more_components_than_bands_are_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"n_components=7 exceeds the scene's 6 bands: use at most 6"):
        principal_components(torch.from_numpy(cube()), torch.arange(20), 7)


@pytest.mark.parametrize("size", [1, 3, 5, 9])
def test_window_mean_is_a_mirrored_uniform_filter(size: int) -> None:
    data = cube()
    expected = ndimage.uniform_filter(data.astype(np.float64), size=(size, size, 1), mode="mirror")
    np.testing.assert_allclose(window_mean(torch.from_numpy(data), size).numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [0, 2, 1.5])
def test_a_window_must_be_odd(size: object) -> None:
    with pytest.raises(InvalidValueError, match="size must be an odd integer >= 1"):
        window_mean(torch.zeros(4, 4, 1), size)


def test_nothing_is_changed_in_place() -> None:
    data = torch.from_numpy(cube())
    before = data.clone()
    everything = torch.arange(HEIGHT * WIDTH)
    standardize(data, everything)
    principal_components(data, everything, 2, whiten=True)
    window_mean(data, 3)
    assert torch.equal(data, before)
