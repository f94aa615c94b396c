"""What every registered view must do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hsicl_core.registries import VIEWS
from hsicl_core.views.base import View

each = pytest.mark.parametrize("name", VIEWS.names())


def make(name: str) -> View:
    return VIEWS.get(name)()


def batch(n: int = 32, channels: int = 6, side: int = 5) -> Tensor:
    patches = torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(0))
    return patches.contiguous(memory_format=torch.channels_last)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@each
@pytest.mark.parametrize(("n", "channels", "side"), [(32, 6, 5), (1, 6, 5), (32, 1, 3), (8, 4, 1), (0, 6, 5)])
def test_keeps_shape_type_and_memory_format(name: str, n: int, channels: int, side: int) -> None:
    patches = batch(n, channels, side)
    views = make(name)(patches, seeded(1))
    assert views.shape == patches.shape
    assert views.dtype == patches.dtype
    assert views.isfinite().all()
    assert views.is_contiguous(memory_format=torch.channels_last)


@each
def test_the_patches_are_left_as_they_were(name: str) -> None:
    patches = batch()
    before = patches.clone()
    views = make(name)(patches, seeded(1))
    views.fill_(7.0)
    assert torch.equal(patches, before)


@each
def test_the_generator_alone_decides(name: str) -> None:
    patches = batch()
    torch.manual_seed(0)
    first = make(name)(patches, seeded(1))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert torch.equal(make(name)(patches, seeded(1)), first)
    assert not torch.equal(make(name)(patches, seeded(2)), first)
    assert torch.equal(torch.get_rng_state(), state)


@each
def test_two_views_in_a_row_differ(name: str) -> None:
    patches, generator = batch(), seeded(1)
    assert not torch.equal(make(name)(patches, generator), make(name)(patches, generator))


@each
def test_every_patch_is_changed_by_a_draw_of_its_own(name: str) -> None:
    views = make(name)(batch(1).expand(32, -1, -1, -1).contiguous(memory_format=torch.channels_last), seeded(1))
    assert len({tuple(view.flatten().tolist()) for view in views}) > 1


@each
def test_bfloat16_stays_bfloat16(name: str) -> None:
    views = make(name)(batch().bfloat16(), seeded(1))
    assert views.dtype == torch.bfloat16
