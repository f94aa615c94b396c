"""What SpectralFormer, SSFTT and MambaHSI make of their parameters; the rest is in the suites of all methods."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmark import METHODS, InvalidValueError
from hsicl_core.networks.mamba_hsi import MambaHSI
from hsicl_core.networks.spectral_former import SpectralFormer
from hsicl_core.networks.ssftt import SSFTT


def network_of(name: str, n_channels: int, **params: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        return METHODS.get(name)(**params).make_network(n_channels)


def test_parameters_reach_the_network() -> None:
    former = network_of("spectral_former", 20, near_bands=3, stride=2, width=12, patch_size=5)
    assert isinstance(former, SpectralFormer)
    assert former.groups.tolist() == [[(middle + i) % 20 for i in (-1, 0, 1)] for middle in range(0, 20, 2)]
    assert (former.dim, former.embedding.in_features) == (12, 3 * 25)
    ssftt = network_of("ssftt", 20, n_tokens=3)
    assert isinstance(ssftt, SSFTT)
    assert ssftt.positions.shape == (4, 64)
    mamba = network_of("mamba_hsi", 20, width=12)
    assert isinstance(mamba, MambaHSI)
    assert mamba.embedding[0].weight.shape[:2] == (12, 20)


def test_default_groups_hold_every_band_of_indian_pines() -> None:
    former = network_of("spectral_former", 200)
    assert former.groups.shape == (25, 9)
    assert set(former.groups.flatten().tolist()) == set(range(200))


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("spectral_former", {"near_bands": 4}, "near_bands=4"),
        ("spectral_former", {"stride": 0}, "stride=0"),
        ("spectral_former", {"width": 0}, "width=0"),
        ("spectral_former", {"width": 30}, "width=30 is not a multiple of 4"),
        ("ssftt", {"patch_size": 3}, "patch_size=3"),
        ("ssftt", {"n_tokens": 0}, "n_tokens=0"),
        ("mamba_hsi", {"width": 0}, "width=0"),
        ("mamba_hsi", {"width": 10}, "width=10 is not a multiple of 4"),
        ("mamba_hsi", {"patch_size": 4}, "patch_size=4"),
    ],
)
def test_bad_parameters_are_named_in_one_line_before_anything_is_computed(
    name: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        METHODS.get(name)(**params)
    assert "\n" not in str(caught.value)
