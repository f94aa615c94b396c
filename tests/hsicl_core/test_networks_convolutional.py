"""Convolutional networks: the shapes and sizes of their papers, and what every one of them must keep."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hsicl_core.encoder import evaluating, n_learnt
from hsicl_core.errors import InvalidValueError
from hsicl_core.networks.base import PatchNetwork, embed_pixels
from hsicl_core.networks.cnn_1d import CNN1D
from hsicl_core.networks.cnn_2d import CNN2D
from hsicl_core.networks.cnn_3d import CNN3D
from hsicl_core.networks.hybrid_sn import HybridSN
from hsicl_core.networks.ssrn import SSRN
from hsicl_core.patches import PatchSource

Case = tuple[Callable[..., PatchNetwork], tuple[int, ...]]
# Channels, then the side of the patch where there is one.
CASES: dict[str, Case] = {
    "cnn_1d": (CNN1D, (30,)), "cnn_1d of 4 channels": (CNN1D, (4,)), "cnn_1d of one": (CNN1D, (1,)),
    "cnn_2d": (CNN2D, (12, 9)), "cnn_2d of one pixel": (CNN2D, (12, 1)), "cnn_2d of 5": (CNN2D, (3, 5)),
    "cnn_3d": (CNN3D, (30, 5)), "cnn_3d of 3 channels": (CNN3D, (3, 5)), "cnn_3d of 9": (CNN3D, (13, 9)),
    "hybrid_sn": (HybridSN, (30, 9)), "hybrid_sn of 5": (HybridSN, (4, 5)), "hybrid_sn of 11": (HybridSN, (13, 11)),
    "ssrn": (SSRN, (30, 7)), "ssrn of 4 channels": (SSRN, (4, 3)), "ssrn of 9": (SSRN, (9, 9)),
}  # fmt: skip
each = pytest.mark.parametrize("case", CASES)


def made(case: str) -> PatchNetwork:
    factory, arguments = CASES[case]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return factory(*arguments)


def patches_for(case: str, n: int, seed: int = 0) -> Tensor:
    channels, side = (*CASES[case][1], 1)[:2]
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


def trained(case: str) -> PatchNetwork:
    """A network whose weights and running statistics are those of a few steps, in training mode."""
    network = made(case)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for step in range(3):
            loss = (network(1 + 2 * patches_for(case, 16, step)) - 1).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


@each
def test_features_have_the_promised_shape_in_any_memory_format(case: str) -> None:
    network = made(case).eval()
    patches = patches_for(case, 5)
    found = network(patches)
    assert found.shape == (5, network.dim)
    assert found.dtype == torch.float32
    assert found.std(dim=0).max() > 0
    torch.testing.assert_close(network(patches.contiguous(memory_format=torch.channels_last)), found)
    assert network(patches[:1]).shape == (1, network.dim)


@each
def test_gradients_reach_every_parameter(case: str) -> None:
    # In evaluation mode: batch normalisation of a batch takes the gradient from the bias before it, dropout others.
    network = made(case).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = torch.randn(32, network.dim)
    (network(patches_for(case, 32)) * weights).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@each
def test_the_whole_patch_is_seen(case: str) -> None:
    network = made(case).eval()
    patches = patches_for(case, 32).requires_grad_()
    network(patches).sum().backward()
    seen = patches.grad.abs().sum(dim=0) > 0
    # Of an even number of bands, 8 or more, the last falls outside SSRN's first stride, in its paper too.
    unseen = 1 if case.startswith("ssrn") and len(seen) >= 8 and len(seen) % 2 == 0 else 0
    assert seen[: len(seen) - unseen].all()
    assert not seen[len(seen) - unseen :].any()


@each
def test_in_evaluation_a_patch_does_not_depend_on_the_batch(case: str) -> None:
    network = trained(case).eval()
    patches = patches_for(case, 9)
    together = network(patches)
    for i in (0, 5):
        torch.testing.assert_close(network(patches[i : i + 1]), together[i : i + 1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(network(patches.flip(0)), together.flip(0), rtol=1e-5, atol=1e-5)


@each
@pytest.mark.parametrize("batch_size", [7, 512])
def test_features_of_the_scene_are_those_of_every_patch(case: str, batch_size: int) -> None:
    network = trained(case)
    channels, side = (*CASES[case][1], 1)[:2]
    source = PatchSource(1 + torch.randn(8, 11, channels, generator=torch.Generator().manual_seed(3)), side)
    found = embed_pixels(network, source, batch_size=batch_size)
    assert network.training
    assert not found.requires_grad
    with evaluating(network), torch.no_grad():
        expected = network(source.gather(torch.arange(88)))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert expected.std(dim=0).max() > 1e-3


@each
def test_evaluating_leaves_the_network_as_it_was(case: str) -> None:
    network = trained(case)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    channels, side = (*CASES[case][1], 1)[:2]
    embed_pixels(network, PatchSource(torch.ones(9, 9, channels), side))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def shapes_of(network: nn.Module, patches: Tensor, kinds: tuple[type[nn.Module], ...]) -> list[tuple[int, ...]]:
    """Return the shape after every layer of some kinds, without the batch."""
    found: list[tuple[int, ...]] = []
    layers = [layer for layer in network.modules() if isinstance(layer, kinds)]
    hooks = [layer.register_forward_hook(lambda *given: found.append(tuple(given[2].shape[1:]))) for layer in layers]
    network(patches)
    for hook in hooks:
        hook.remove()
    return found


def test_hybrid_sn_is_that_of_the_paper() -> None:
    # Shapes and sizes: arXiv 1902.06701, table 1, for 25 x 25 x 30 and 16 classes. Here bands come before pixels.
    network = HybridSN(30, 25).eval()
    found = shapes_of(network, torch.randn(1, 30, 25, 25), (nn.Conv3d, nn.Conv2d, nn.Flatten, nn.Linear))
    assert found == [
        (8, 24, 23, 23), (16, 20, 21, 21), (32, 18, 19, 19), (64, 17, 17), (18_496,), (256,), (128,),
    ]  # fmt: skip
    layers = [layer for layer in network.modules() if n_learnt(layer) and not list(layer.children())]
    assert [n_learnt(layer) for layer in layers] == [512, 5_776, 13_856, 331_840, 4_735_232, 32_896]
    assert n_learnt(network, nn.Linear(network.dim, 16)) == 5_122_176
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.4, 0.4]


def test_hybrid_sn_of_the_largest_guarded_patch_keeps_every_kernel() -> None:
    network = HybridSN(30, 9).eval()
    found = shapes_of(network, torch.randn(1, 30, 9, 9), (nn.Conv3d, nn.Conv2d))
    assert found == [(8, 24, 7, 7), (16, 20, 5, 5), (32, 18, 3, 3), (64, 1, 1)]


def test_ssrn_is_that_of_the_paper() -> None:
    # Shapes: figure 3 of the authors' repository, 7 x 7 x 200 -> 7 x 7 x 97, 24 -> 7 x 7 x 1, 128 -> 5 x 5 x 1, 24.
    network = SSRN(200, 7).eval()
    found = shapes_of(network, torch.randn(1, 200, 7, 7), (nn.Conv2d,))
    assert found == [*[(24, 49, 97)] * 5, (128, 49, 1), *[(24, 5, 5)] * 5]
    # Kernels and biases of these layers, and two numbers per channel for each of eleven normalisations.
    spectral = (7 + 1) * 24 + 4 * (24 * 7 + 1) * 24 + (24 * 97 + 1) * 128
    spatial = (128 * 9 + 1) * 24 + 4 * (24 * 9 + 1) * 24
    assert n_learnt(network) == spectral + spatial + 2 * (10 * 24 + 128)


def ssrn_in_three_dimensions(network: SSRN, patches: Tensor) -> Tensor:
    """SSRN's features by 3-D convolutions of volumes (n, maps, bands, rows, columns), as the paper has them."""

    def normalised(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        mean, scale = norm.running_mean, (norm.running_var + norm.eps).sqrt()
        normal = (x - mean.view(-1, 1, 1, 1)) / scale.view(-1, 1, 1, 1)
        return (normal * norm.weight.view(-1, 1, 1, 1) + norm.bias.view(-1, 1, 1, 1)).clamp(min=0)

    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    x = patches[:, None]
    # Each layer: whether it is activated before, and whether a block begins or ends with it.
    kernel = iter(convolutions)
    norm = iter(norms)

    def spectral(x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        layer = next(kernel)
        return F.conv3d(x, layer.weight[:, :, 0, :, None, None], layer.bias, (stride, 1, 1), (padding, 0, 0))

    def spatial(x: Tensor, padding: int = 1) -> Tensor:
        layer = next(kernel)
        return F.conv3d(x, layer.weight[:, :, None], layer.bias, 1, (0, padding, padding))

    x = normalised(spectral(x, stride=2), next(norm))
    x = x + spectral(normalised(spectral(x, padding=3), next(norm)), padding=3)
    y = spectral(normalised(x, next(norm)), padding=3)
    x = x + spectral(normalised(y, next(norm)), padding=3)
    x = normalised(x, next(norm))
    x = normalised(spectral(x), next(norm))
    assert x.shape[2] == 1
    x = normalised(spatial(x, padding=0), next(norm))
    x = x + spatial(normalised(spatial(x), next(norm)))
    y = spatial(normalised(x, next(norm)))
    x = x + spatial(normalised(y, next(norm)))
    x = normalised(x, next(norm))
    assert next(kernel, None) is next(norm, None) is None
    return x.mean(dim=(2, 3, 4))


@pytest.mark.parametrize("case", ["ssrn", "ssrn of 9"])
def test_ssrn_equals_three_dimensional_convolutions(case: str) -> None:
    network = trained(case).double().eval()
    patches = patches_for(case, 3).double()
    torch.testing.assert_close(network(patches), ssrn_in_three_dimensions(network, patches), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_channels", range(1, 16))
def test_ssrn_of_any_number_of_channels_computes_what_it_does_in_float64(n_channels: int) -> None:
    # Kernels that lie channels-last once made garbage of 3, 5, 7 and 8 channels.
    network = SSRN(n_channels, 5).eval()
    patches = torch.randn(4, n_channels, 5, 5)
    # The same weights, not channels-last.
    exact = SSRN(n_channels, 5).double().eval()
    for weights, of_network in zip(exact.parameters(), network.parameters(), strict=True):
        weights.data = of_network.detach().double().clone(memory_format=torch.contiguous_format)
    torch.testing.assert_close(network(patches).double(), exact(patches.double()), rtol=1e-4, atol=1e-5)
    pixels = torch.randn(9, n_channels, 1, 1)
    torch.testing.assert_close(
        network.of_pixels(pixels).double(), exact.of_pixels(pixels.double()), rtol=1e-4, atol=1e-5
    )


def test_the_first_stage_of_ssrn_maps_every_pixel_by_itself() -> None:
    network = trained("ssrn").eval()
    patches = patches_for("ssrn", 2)
    order = torch.randperm(49, generator=torch.Generator().manual_seed(0))
    moved = patches.flatten(2)[:, :, order].view_as(patches)
    expected = network.of_pixels(patches).flatten(2)[:, :, order]
    torch.testing.assert_close(network.of_pixels(moved).flatten(2), expected)


def test_cnn_1d_is_that_of_the_paper() -> None:
    # 20 kernels and 100 hidden units; of 220 bands, kernels of ceil(220 / 9) = 25 and pools of ceil(25 / 5) = 5 bands.
    network = CNN1D(220).eval()
    found = shapes_of(network, torch.randn(1, 220, 1, 1), (nn.Conv1d, nn.MaxPool1d, nn.Linear))
    assert found == [(20, 196), (20, 39), (100,)]
    assert n_learnt(network) == 20 * (25 + 1) + (20 * 39 + 1) * 100


def test_cnn_2d_has_three_blocks_that_halve_the_patch_and_round_up() -> None:
    network = CNN2D(30, 9).eval()
    found = shapes_of(network, torch.randn(1, 30, 9, 9), (nn.Conv2d, nn.MaxPool2d))
    assert found == [(32, 9, 9), (32, 5, 5), (64, 5, 5), (64, 3, 3), (128, 3, 3), (128, 2, 2)]
    kernels = [(9, 30, 32), (9, 32, 64), (1, 64, 128)]
    # Kernels and biases, and two numbers per channel for each normalisation.
    assert n_learnt(network) == sum((size * n_in + 1) * n_out + 2 * n_out for size, n_in, n_out in kernels)


def test_cnn_3d_is_that_of_the_paper() -> None:
    # Of 103 bands and 5 x 5 pixels: the layers that nshaud/DeepHyperX reads from the paper.
    network = CNN3D(103, 5).eval()
    found = shapes_of(network, torch.randn(1, 103, 5, 5), (nn.Conv3d,))
    assert found == [(20, 101, 3, 3), (20, 51, 3, 3), (35, 51, 1, 1), (35, 26, 1, 1), (35, 26, 1, 1), (35, 14, 1, 1)]
    kernels = [(27, 1, 20), (3, 20, 20), (27, 20, 35), (3, 35, 35), (3, 35, 35), (2, 35, 35)]
    assert n_learnt(network) == sum((size * n_in + 1) * n_out for size, n_in, n_out in kernels)
    assert network.dim == 35 * 14


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SSRN(30, 1), "patch_size=1"),
        (lambda: SSRN(30, 4), "patch_size=4"),
        (lambda: SSRN(0, 7), "n_channels=0"),
        (lambda: HybridSN(30, 1), "patch_size=1"),
        (lambda: HybridSN(0, 9), "n_channels=0"),
        (lambda: CNN1D(0), "n_channels=0"),
        (lambda: CNN2D(0, 9), "n_channels=0"),
        (lambda: CNN2D(4, 2), "patch_size=2"),
        (lambda: CNN3D(30, 3), "patch_size=3"),
        (lambda: CNN3D(2, 5), "at least 3 channels, got 2: raise n_components"),
    ],
)
def test_bad_arguments_are_named_in_one_line(make: Callable[[], PatchNetwork], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
