"""What every network of patches must keep, for the suites of the architectures."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hsicl_core.encoder import evaluating
from hsicl_core.networks.base import PatchNetwork, embed_pixels
from hsicl_core.patches import PatchSource

Factory = Callable[[], PatchNetwork]


def seeded(factory: Factory) -> PatchNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return factory()


def patches_of(n: int, channels: int, side: int, seed: int = 0) -> Tensor:
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


def trained(factory: Factory, channels: int, side: int) -> PatchNetwork:
    """A network after a few steps, in training mode."""
    network = seeded(factory)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for step in range(3):
            loss = (network(1 + 2 * patches_of(16, channels, side, step)) - 1).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


def check_shape(factory: Factory, channels: int, side: int) -> None:
    network = seeded(factory).eval()
    patches = patches_of(5, channels, side)
    found = network(patches)
    assert found.shape == (5, network.dim)
    assert found.dtype == torch.float32
    assert found.std(dim=0).max() > 0
    torch.testing.assert_close(network(patches.contiguous(memory_format=torch.channels_last)), found)
    assert network(patches[:1]).shape == (1, network.dim)
    # Also in training mode, of one patch where nothing is normalised over the batch.
    assert network.train()(patches[:2]).isfinite().all()


def unreached(factory: Factory, channels: int, side: int) -> set[str]:
    """Return the parameters that no gradient reaches."""
    network = seeded(factory).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = torch.randn(32, network.dim)
    (network(patches_of(32, channels, side)) * weights).sum().backward()
    return {name for name, value in network.named_parameters() if value.grad is None or value.grad.abs().max() < 1e-7}


def check_the_whole_patch_is_seen(factory: Factory, channels: int, side: int) -> None:
    network = seeded(factory).eval()
    patches = patches_of(16, channels, side).requires_grad_()
    weights = torch.randn(network.dim, generator=torch.Generator().manual_seed(0))
    (network(patches) @ weights).sum().backward()
    assert (patches.grad.abs().sum(dim=0) > 0).all()


def check_a_patch_does_not_depend_on_the_batch(factory: Factory, channels: int, side: int) -> None:
    network = trained(factory, channels, side).eval()
    patches = patches_of(9, channels, side)
    together = network(patches)
    for i in (0, 5):
        torch.testing.assert_close(network(patches[i : i + 1]), together[i : i + 1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(network(patches.flip(0)), together.flip(0), rtol=1e-5, atol=1e-5)


def check_features_of_the_scene(factory: Factory, channels: int, side: int) -> None:
    network = trained(factory, channels, side)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    image = 1 + torch.randn(8, 11, channels, generator=torch.Generator().manual_seed(3))
    source = PatchSource(image, side)
    with evaluating(network), torch.no_grad():
        expected = network(source.gather(torch.arange(88)))
    assert expected.std(dim=0).max() > 1e-3
    for batch_size in (7, 512):
        found = embed_pixels(network, source, batch_size=batch_size)
        assert not found.requires_grad
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
