"""SpectralFormer and SSFTT: the layers of their authors' code, and what every network of patches must keep."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hsicl_core.encoder import n_learnt
from hsicl_core.errors import InvalidValueError
from hsicl_core.networks._encoder_block import EncoderBlock, with_class_token
from hsicl_core.networks.base import PatchNetwork
from hsicl_core.networks.spectral_former import SpectralFormer
from hsicl_core.networks.ssftt import SSFTT
from tests.hsicl_core import network_checks as checks

# Factory, channels, side of the patch.
CASES: dict[str, tuple[checks.Factory, int, int]] = {
    "spectral_former": (partial(SpectralFormer, 20, 5), 20, 5),
    "spectral_former of a stride": (partial(SpectralFormer, 21, 7, 7, 4, width=16), 21, 7),
    "spectral_former of one pixel": (partial(SpectralFormer, 9, 1, 1, width=8), 9, 1),
    "spectral_former of 3 channels": (partial(SpectralFormer, 3, 3, 3, 5, width=8), 3, 3),
    "spectral_former of fewer channels than a group": (partial(SpectralFormer, 4, 3, 7, width=8), 4, 3),
    "spectral_former of one channel": (partial(SpectralFormer, 1, 1, 5, width=8), 1, 1),
    "spectral_former of one block": (partial(SpectralFormer, 5, 3, depth=1, width=8), 5, 3),
    "ssftt": (partial(SSFTT, 30, 9), 30, 9),
    "ssftt of 7": (partial(SSFTT, 5, 7, 2, width=16), 5, 7),
    "ssftt of 3 channels": (partial(SSFTT, 3, 5, 1), 3, 5),
}
each = pytest.mark.parametrize("case", CASES)


@each
def test_features_have_the_promised_shape_in_any_memory_format(case: str) -> None:
    checks.check_shape(*CASES[case])


@each
def test_gradients_reach_every_parameter(case: str) -> None:
    # Of patches of 5, SSFTT has one pixel left to choose from.
    assert checks.unreached(*CASES[case]) == ({"weights"} if case == "ssftt of 3 channels" else set())


@each
def test_the_whole_patch_is_seen(case: str) -> None:
    checks.check_the_whole_patch_is_seen(*CASES[case])


@each
def test_in_evaluation_a_patch_does_not_depend_on_the_batch(case: str) -> None:
    checks.check_a_patch_does_not_depend_on_the_batch(*CASES[case])


@each
def test_features_of_the_scene_are_those_of_every_patch(case: str) -> None:
    checks.check_features_of_the_scene(*CASES[case])


@pytest.mark.parametrize("factory", [partial(SpectralFormer, 20, 5), partial(SSFTT, 12, 9)])
def test_dropout_follows_the_global_stream(factory: checks.Factory) -> None:
    network = checks.seeded(factory)
    patches = checks.patches_of(8, *((20, 5) if isinstance(network, SpectralFormer) else (12, 9)))
    with torch.random.fork_rng(devices=[]):
        found = [torch.manual_seed(seed) and network(patches) for seed in (0, 0, 1)]
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2], atol=1e-3)


@pytest.mark.parametrize("case", ["spectral_former", "ssftt"])
def test_tokens_are_dropped_before_the_first_block(case: str) -> None:
    factory, channels, side = CASES[case]
    network = checks.seeded(factory)
    dropped: list[Tensor] = []
    entered: list[Tensor] = []
    network.dropout.register_forward_hook(lambda *given: dropped.append(given[2]))
    first = next(layer for layer in network.modules() if isinstance(layer, EncoderBlock))
    first.register_forward_pre_hook(lambda layer, given: entered.append(given[0]))
    network(checks.patches_of(4, channels, side))
    assert len(dropped) == len(entered) == 1
    assert entered[0] is dropped[0]
    # Class token and places too.
    assert 0 < (entered[0] == 0).float().mean() < 0.2


def test_spectral_former_has_the_layers_of_the_authors_code() -> None:
    # danfenghong/IEEE_TGRS_SpectralFormer, vit_pytorch.py: 200 bands, 7 x 7 pixels, groups of 3, 16 classes.
    network = SpectralFormer(200, 7, 3)
    block = 2 * 64 + 64 * 3 * 64 + (64 + 1) * 64 + 2 * 64 + (64 + 1) * 8 + (8 + 1) * 64
    fusion = 201 * 201 * 2 + 201
    rest = (147 + 1) * 64 + 201 * 64 + 64 + 2 * 64
    classifier = nn.Linear(network.dim, 16)
    assert n_learnt(network, classifier) == rest + 5 * block + 3 * fusion + 65 * 16 == 355_577
    # Other sizes of the paper: one pixel and 7 bands, and Houston's 144 bands with 15 classes.
    assert n_learnt(SpectralFormer(200, 1, 7), classifier) == 346_617
    assert n_learnt(SpectralFormer(144, 7, 3), nn.Linear(64, 15)) == 235_504
    assert [(block.n_heads, block.scale) for block in network.blocks] == [(4, None)] * 5
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.1] * 16


def test_ssftt_has_the_layers_of_the_authors_code() -> None:
    # SSFTTnet.py: 30 components, 13 x 13 pixels, 16 classes.
    network = SSFTT(30, 13).eval()
    sizes: list[tuple[int, ...]] = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d | nn.Conv2d):
            layer.register_forward_hook(lambda *given: sizes.append(tuple(given[2].shape[1:])))
    assert network(torch.zeros(1, 30, 13, 13)).shape == (1, 64)
    assert sizes == [(8, 28, 11, 11), (64, 9, 9)]
    assert (network.block.n_heads, network.block.scale) == (8, 1 / 8)
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.1] * 4
    convolutions = (27 + 1 + 2) * 8 + (8 * 28 * 9 + 1 + 2) * 64
    tokens = 4 * 64 + 64 * 64 + 5 * 64 + 64
    block = 2 * 64 + (64 + 1) * 3 * 64 + (64 + 1) * 64 + 2 * 64 + (64 + 1) * 8 + (8 + 1) * 64
    assert n_learnt(network, nn.Linear(64, 16)) == convolutions + tokens + block + 65 * 16 == 153_224


def spectral_former_by_groups(network: SpectralFormer, patches: Tensor, near_bands: int, stride: int) -> Tensor:
    """The features with groups cut one by one, the authors' convolution for the fusion, and no token left out."""
    n_bands, reach = patches.shape[1], near_bands // 2
    groups = []
    for middle in range(0, n_bands, stride):
        bands = [patches[:, band % n_bands].flatten(1) for band in range(middle - reach, middle + reach + 1)]
        groups.append(network.embedding(torch.cat(bands, dim=1)))
    tokens = torch.stack([network.class_token.expand_as(groups[0]), *groups], dim=1) + network.positions
    inputs = []
    for i, block in enumerate(network.blocks):
        inputs.append(tokens)
        if i >= 2:
            sums = network.fusions[i - 2].sums
            kernels = sums.weight.view(len(sums.weight), 2, -1).transpose(1, 2)[:, :, None]
            pairs = torch.stack((tokens, inputs[i - 2]), dim=3)
            tokens = F.conv2d(pairs, kernels, sums.bias)[..., 0]
        tokens = block(tokens)
    return F.layer_norm(tokens[:, 0], (network.dim,), network.norm.weight, network.norm.bias)


def test_groups_are_no_wider_than_the_spectrum() -> None:
    assert SpectralFormer(4, 3, 7).groups.tolist() == [[3, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 0]]
    assert SpectralFormer(5, 3, 7, 3).groups.tolist() == [[3, 4, 0, 1, 2], [1, 2, 3, 4, 0]]


@pytest.mark.parametrize(("near_bands", "stride"), [(3, 1), (1, 1), (7, 4), (5, 2)])
def test_spectral_former_is_what_its_groups_and_fusions_give(near_bands: int, stride: int) -> None:
    factory = partial(SpectralFormer, 22, 3, near_bands, stride, width=16)
    network = checks.trained(factory, 22, 3).double().eval()
    patches = checks.patches_of(4, 22, 3).double()
    expected = spectral_former_by_groups(network, patches, near_bands, stride)
    torch.testing.assert_close(network(patches), expected, rtol=1e-9, atol=1e-9)


def ssftt_by_loops(network: SSFTT, patches: Tensor) -> Tensor:
    """The features with tokens gathered pixel by pixel, and no token left out of the block."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm3d | nn.BatchNorm2d)]

    def activated(x: Tensor, norm: nn.BatchNorm2d | nn.BatchNorm3d) -> Tensor:
        shape = (1, -1, *[1] * (x.ndim - 2))
        x = (x - norm.running_mean.view(shape)) / (norm.running_var.view(shape) + norm.eps).sqrt()
        return (x * norm.weight.view(shape) + norm.bias.view(shape)).clamp(min=0)

    first, second = network.volumes[0], network.plane[0]
    volumes = activated(F.conv3d(patches[:, None], first.weight, first.bias), norms[0])
    # Kernel by kernel, every kernel's bands in turn.
    maps = torch.cat([volumes[:, k] for k in range(8)], dim=1)
    maps = activated(F.conv2d(maps, second.weight, second.bias), norms[1])
    out = []
    for image in maps:
        pixels = [image[:, row, column] for row in range(image.shape[1]) for column in range(image.shape[2])]
        tokens = [network.class_token]
        for weights in network.weights:
            likings = torch.stack([(weights * pixel).sum() for pixel in pixels]).exp()
            shares = likings / likings.sum()
            tokens.append(sum(share * (pixel @ network.values) for share, pixel in zip(shares, pixels, strict=True)))
        out.append(network.block(torch.stack(tokens)[None] + network.positions)[0, 0])
    return torch.stack(out)


def test_ssftt_is_what_its_tokens_give() -> None:
    network = checks.trained(partial(SSFTT, 6, 9, 3), 6, 9).double().eval()
    patches = checks.patches_of(3, 6, 9).double()
    torch.testing.assert_close(network(patches), ssftt_by_loops(network, patches), rtol=1e-9, atol=1e-9)


def block_of(qkv_bias: bool, scale: float | None = None) -> EncoderBlock:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        block = EncoderBlock(12, 3, 5, 0.1, qkv_bias=qkv_bias, scale=scale).double().eval()
        for parameter in block.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return block


@pytest.mark.parametrize("qkv_bias", [True, False])
def test_a_block_is_torchs_own_that_normalises_first(qkv_bias: bool) -> None:
    block = block_of(qkv_bias)
    other = nn.TransformerEncoderLayer(
        12, 3, 5, activation="gelu", norm_first=True, batch_first=True, dtype=torch.float64
    ).eval()  # fmt: skip
    pairs = [
        (other.norm1, block.norm), (other.norm2, block.layers[0]), (other.self_attn.out_proj, block.attended[0]),
        (other.linear1, block.layers[1]), (other.linear2, block.layers[4]),
    ]  # fmt: skip
    for mine, theirs in pairs:
        mine.load_state_dict(theirs.state_dict())
    other.self_attn.in_proj_weight.data = torch.cat((block.query.weight, block.key_value.weight))
    biases = torch.cat((block.query.bias, block.key_value.bias)) if qkv_bias else torch.zeros(36, dtype=torch.float64)
    other.self_attn.in_proj_bias.data = biases
    tokens = torch.randn(4, 7, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(block(tokens), other(tokens), rtol=1e-9, atol=1e-9)


def test_a_block_that_reads_some_tokens_gives_what_it_gives_of_all() -> None:
    block = block_of(True, 12**-0.5)
    tokens = torch.randn(4, 7, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for n in (1, 3):
        torch.testing.assert_close(block(tokens, n_read=n), block(tokens)[:, :n], rtol=1e-12, atol=1e-12)


def test_the_scale_is_that_of_the_products_of_queries_and_keys() -> None:
    block, plain = block_of(True, 0.7), block_of(True)
    # A head has 4 numbers.
    with torch.no_grad():
        block.query.weight.mul_(0.5 / 0.7)
        block.query.bias.mul_(0.5 / 0.7)
    tokens = torch.randn(4, 7, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(block(tokens), plain(tokens), rtol=1e-9, atol=1e-9)


def test_the_class_token_comes_first_and_is_shared() -> None:
    tokens = torch.randn(3, 4, 5)
    found = with_class_token(tokens, torch.arange(5.0))
    assert torch.equal(found[:, 1:], tokens)
    assert torch.equal(found[:, 0], torch.arange(5.0).expand(3, 5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpectralFormer(30, 4), "patch_size=4"),
        (lambda: SpectralFormer(30, 7, 2), "near_bands=2"),
        (lambda: SpectralFormer(30, 7, 3, 0), "stride=0"),
        (lambda: SpectralFormer(0, 7), "n_channels=0"),
        (lambda: SpectralFormer(30, 7, width=30), "width=30 is not a multiple of the 4 attention heads"),
        (lambda: SSFTT(30, 3), "patch_size=3"),
        (lambda: SSFTT(30, 8), "patch_size=8"),
        (lambda: SSFTT(2, 9), "at least 3 channels, got 2: raise n_components"),
        (lambda: SSFTT(30, 9, 0), "n_tokens=0"),
    ],
)
def test_bad_arguments_are_named_in_one_line(make: Callable[[], PatchNetwork], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
