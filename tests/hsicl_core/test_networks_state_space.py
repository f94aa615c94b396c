"""MambaHSI of patches: the layers of its authors' code, and what every network of patches must keep."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from hsicl_core.encoder import evaluating, n_learnt
from hsicl_core.errors import InvalidValueError
from hsicl_core.networks import mamba_hsi
from hsicl_core.networks.base import PatchNetwork, embed_pixels
from hsicl_core.networks.mamba_hsi import MambaHSI
from hsicl_core.patches import PatchSource
from tests.hsicl_core import network_checks as checks

# Factory, channels, side of the patch.
CASES: dict[str, tuple[checks.Factory, int, int]] = {
    "of 9": (partial(MambaHSI, 30, width=16), 30, 9),
    "of 5": (partial(MambaHSI, 4, width=8), 4, 5),
    "of 3": (partial(MambaHSI, 7, width=8, n_tokens=2), 7, 3),
    "of one pixel and channel": (partial(MambaHSI, 1, width=32), 1, 1),
}
each = pytest.mark.parametrize("case", CASES)


@each
def test_features_have_the_promised_shape_in_any_memory_format(case: str) -> None:
    checks.check_shape(*CASES[case])


@each
def test_gradients_reach_every_parameter(case: str) -> None:
    unreached = checks.unreached(*CASES[case])
    if case == "of 9":
        assert not unreached
    # Where a block has one pixel, its scan has nothing to remember, and its kernel one token to see.
    assert {name.rpartition(".")[2] for name in unreached} <= {"log_rates"}
    assert all("spatial" in name for name in unreached)


@each
def test_the_whole_patch_is_seen(case: str) -> None:
    # An average of 2 x 2 leaves out the last of an odd number of pixels, which the scan before it has read.
    checks.check_the_whole_patch_is_seen(*CASES[case])


@each
def test_in_evaluation_a_patch_does_not_depend_on_the_batch(case: str) -> None:
    checks.check_a_patch_does_not_depend_on_the_batch(*CASES[case])


@each
def test_features_of_the_scene_are_those_of_every_patch(case: str) -> None:
    checks.check_features_of_the_scene(*CASES[case])


def test_patches_are_read_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mamba_hsi, "_PATCHES", 5)
    network = checks.seeded(partial(MambaHSI, 3, width=8))
    source = PatchSource(torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(0)), 3)
    seen: list[int] = []
    network.register_forward_hook(lambda *given: seen.append(len(given[2])))
    found = embed_pixels(network, source, batch_size=12)
    assert seen == [5, 5, 2] * 2
    with evaluating(network), torch.no_grad():
        torch.testing.assert_close(found, network(source.gather(torch.arange(24))))


@pytest.mark.parametrize(
    ("n_bands", "n_classes", "width", "expected"), [(103, 9, 128, 412_239), (144, 15, 128, 418_261)]
)
def test_it_has_the_layers_of_the_authors_code(n_bands: int, n_classes: int, width: int, expected: int) -> None:
    # li-yapeng/MambaHSI trains with 128 maps: Pavia University, then Houston.
    def mamba(size: int) -> int:
        inner, rank = 2 * size, size // 16
        return 3 * inner * size + (4 + 1) * inner + inner * (rank + 32) + (rank + 1) * inner + 17 * inner

    embedding = (n_bands + 1 + 2) * width
    block = mamba(width) + 2 * width + mamba(width // 4) + 2 * width + 2
    head = (width + 1 + 2) * 128
    network = MambaHSI(n_bands, width=width)
    assert n_learnt(network) == embedding + 3 * block + head
    assert n_learnt(network, nn.Linear(network.dim, n_classes)) == expected
    assert network.dim == 128


@pytest.mark.parametrize(
    ("side", "sides"), [(9, [9, 4, 2]), (7, [7, 3, 1]), (5, [5, 2, 1]), (3, [3, 1, 1]), (1, [1, 1, 1])]
)
def test_blocks_see_ever_coarser_patches(side: int, sides: list[int]) -> None:
    network = MambaHSI(4, width=8)
    found: list[tuple[int, ...]] = []
    for block in network.blocks:
        block.register_forward_hook(lambda *given: found.append(tuple(given[2].shape[1:])))
    network(torch.randn(2, 4, side, side))
    assert found == [(8, size, size) for size in sides]


def by_loops(network: MambaHSI, patch: Tensor) -> Tensor:
    """The features (128,) of one patch (channels, size, size), pixel by pixel."""

    def mapped(x: Tensor, layer: nn.Conv2d) -> Tensor:
        weight = layer.weight[:, :, 0, 0]
        out = x.new_empty(len(weight), *x.shape[1:])
        for row in range(x.shape[1]):
            for column in range(x.shape[2]):
                out[:, row, column] = weight @ x[:, row, column] + layer.bias
        return out

    def activated(x: Tensor, norm: nn.GroupNorm) -> Tensor:
        size = len(x) // 4
        parts = [x[i : i + size] for i in range(0, len(x), size)]
        parts = [(part - part.mean()) / (part.var(unbiased=False) + norm.eps).sqrt() for part in parts]
        normal = torch.cat(parts) * norm.weight[:, None, None] + norm.bias[:, None, None]
        return normal * normal.sigmoid()

    def fused(x: Tensor, block: nn.Module) -> Tensor:
        width, rows, columns = x.shape
        places = [(row, column) for row in range(rows) for column in range(columns)]
        read = block.spatial(torch.stack([x[:, row, column] for row, column in places])[None])[0]
        spatial, spectral = torch.empty_like(x), torch.empty_like(x)
        for (row, column), vector in zip(places, read, strict=True):
            spatial[:, row, column] = vector
            groups = torch.stack([x[i : i + width // 4, row, column] for i in range(0, width, width // 4)])
            spectral[:, row, column] = torch.cat(list(block.spectral(groups[None])[0]))
        spatial = x + activated(spatial, block.spatial_activation[0])
        spectral = x + activated(spectral, block.spectral_activation[0])
        first, second = block.mixture.exp() / block.mixture.exp().sum()
        return first * spatial + second * spectral + x

    x = activated(mapped(patch, network.embedding[0]), network.embedding[1])
    for i, block in enumerate(network.blocks):
        half = x.shape[1] // 2
        if i > 0 and half > 0:
            pooled = x.new_empty(len(x), half, half)
            for row in range(half):
                for column in range(half):
                    pooled[:, row, column] = x[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean(dim=(1, 2))
            x = pooled
        x = fused(x, block)
    return activated(mapped(x, network.head[0]), network.head[1]).flatten(1).mean(dim=1)


@pytest.mark.parametrize("side", [9, 5, 3])
def test_it_is_what_its_authors_layers_give_pixel_by_pixel(side: int) -> None:
    network = checks.trained(partial(MambaHSI, 6, width=16), 6, side).double().eval()
    with torch.no_grad():
        for block, share in zip(network.blocks, (1.5, -0.5, 0.2), strict=True):
            block.mixture[0] = share
        patches = checks.patches_of(2, 6, side).double()
        expected = torch.stack([by_loops(network, patch) for patch in patches])
        torch.testing.assert_close(network(patches), expected, rtol=1e-9, atol=1e-9)


def test_the_average_of_features_is_the_upsampled_middle() -> None:
    # The authors upsample class scores with aligned corners; the classifier is linear.
    maps = torch.randn(1, 128, 2, 2, generator=torch.Generator().manual_seed(0))
    upsampled = nn.functional.interpolate(maps, size=(9, 9), mode="bilinear", align_corners=True)
    torch.testing.assert_close(upsampled[:, :, 4, 4], maps.mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MambaHSI(0), "n_channels=0"),
        (lambda: MambaHSI(4, width=0), "width=0"),
        (lambda: MambaHSI(4, n_tokens=0), "n_tokens=0"),
        (lambda: MambaHSI(4, width=10), "width=10 is not a multiple of 4"),
        (lambda: MambaHSI(4, width=12, n_tokens=5), "of n_tokens=5"),
    ],
)
def test_bad_arguments_are_named_in_one_line(make: Callable[[], PatchNetwork], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
