"""The dense pass over a scene gives what every pixel's own patch gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hsicl_core import Encoder, InvalidValueError, ProjectionHead
from hsicl_core.encoder import n_learnt
from hsicl_core.patches import PatchSource

CHANNELS = 5


def image_of(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(height, width, CHANNELS, generator=torch.Generator().manual_seed(seed))


def trained_encoder(patch_size: int, widths: tuple[int, ...] = (6, 6, 8)) -> Encoder:
    """An encoder whose weights and running statistics are those of a few steps, in training mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        encoder = Encoder(CHANNELS, patch_size, widths)
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    for step in range(5):
        patches = 3 + 2 * torch.randn(
            16, CHANNELS, patch_size, patch_size, generator=torch.Generator().manual_seed(step)
        )
        loss = (encoder(patches) ** 2).mean() - encoder(patches).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    statistics = [layer for layer in encoder.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert all(layer.running_mean.abs().max() > 0.1 for layer in statistics)
    return encoder


@pytest.mark.parametrize(
    ("patch_size", "height", "width", "tile_rows"),
    [(1, 6, 9, 128), (3, 9, 6, 4), (5, 14, 11, 1), (7, 11, 17, 5), (9, 5, 23, 2), (11, 16, 12, 16)],
)
def test_embed_scene_equals_embed_of_every_patch(patch_size: int, height: int, width: int, tile_rows: int) -> None:
    encoder = trained_encoder(patch_size)
    image = image_of(height, width)
    dense = encoder.embed_scene(image, tile_rows=tile_rows)
    patches = PatchSource(image, patch_size).gather(torch.arange(height * width))
    single = encoder.embed(patches, batch_size=50)
    assert dense.shape == (height, width, 8)
    assert single.shape == (height * width, 8)
    torch.testing.assert_close(dense.flatten(0, 1), single, rtol=1e-4, atol=1e-4)
    # Neither is trivial: pixels differ by far more than what is allowed between the two.
    assert single.std(dim=0).max() > 0.01


@pytest.mark.parametrize("widths", [(4,), (4, 6), (4, 4, 4, 4, 6)])
def test_any_depth_fits_any_patch(widths: tuple[int, ...]) -> None:
    encoder = trained_encoder(5, widths)
    image = image_of(9, 8)
    patches = PatchSource(image, 5).gather(torch.arange(72))
    torch.testing.assert_close(encoder.embed_scene(image).flatten(0, 1), encoder.embed(patches), rtol=1e-4, atol=1e-4)
    assert encoder.dim == widths[-1]


def test_a_patch_is_seen_whole_and_nothing_beyond_it() -> None:
    encoder = trained_encoder(5)
    image = image_of(15, 15).requires_grad_()
    with torch.enable_grad():
        patch = PatchSource(image, 5).gather(torch.tensor([7 * 15 + 7]))
        encoder.eval()
        encoder(patch).sum().backward()
    touched = image.grad.abs().sum(dim=2) > 0
    expected = torch.zeros(15, 15, dtype=torch.bool)
    expected[5:10, 5:10] = True
    assert torch.equal(touched, expected)


def test_embedding_leaves_mode_statistics_and_gradients_alone() -> None:
    encoder = trained_encoder(3)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    for is_training in (True, False):
        encoder.train(is_training)
        dense = encoder.embed_scene(image_of(6, 6))
        single = encoder.embed(torch.randn(2, CHANNELS, 3, 3))
        assert encoder.training is is_training
        assert not dense.requires_grad
        assert not single.requires_grad
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize(("height", "width"), [(4, 20), (20, 4)])
def test_too_large_a_patch_is_refused_with_the_largest_that_fits(height: int, width: int) -> None:
    image = image_of(height, width)
    for use in (Encoder(CHANNELS, 9).embed_scene, lambda scene: PatchSource(scene, 9)):
        with pytest.raises(InvalidValueError, match=r"patch_size=9 is too large .* use patch_size <= 7$"):
            use(image)
    assert Encoder(CHANNELS, 7).embed_scene(image).shape[:2] == (height, width)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_channels": 0}, "n_channels=0"),
        ({"n_channels": 3, "patch_size": 4}, "patch_size=4"),
        ({"n_channels": 3, "patch_size": -1}, "patch_size=-1"),
        ({"n_channels": 3, "widths": ()}, r"widths=\(\)"),
        ({"n_channels": 3, "widths": (4, 0)}, "widths=0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        Encoder(**arguments)


def test_parameters_are_counted() -> None:
    # Convolutions without bias 2 * 3 * 9 and 3 * 4 * 9, batch normalisation 2 * 3 and 2 * 4; head 4 * 4 + 4, 4 * 5 + 5.
    assert n_learnt(Encoder(2, 5, (3, 4))) == 54 + 108 + 6 + 8
    assert n_learnt(ProjectionHead(4, 5)) == 20 + 25
    frozen = ProjectionHead(4, 5).requires_grad_(False)
    assert n_learnt(frozen) == 0
