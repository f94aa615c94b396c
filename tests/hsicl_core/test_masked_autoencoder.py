"""The masked autoencoder: what is hidden, what the encoder sees, what is scored."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hsicl_core import Encoder, InvalidValueError
from hsicl_core.encoder import n_learnt
from hsicl_core.self_supervised.masked_autoencoder import MaskedAutoencoderObjective, masked_error
from hsicl_core.training import Steps, Training

CHANNELS, PATCH, DIM, HIDDEN = 6, 5, 12, 10
# Pixels of 25, and channels of 6, that are masked.
RATIOS = [(0.75, 0.0, 19, 0), (0.0, 0.5, 0, 3), (0.3, 0.3, 8, 2), (0.96, 0.8, 24, 5), (0.02, 0.0, 1, 0)]


def make(*, patch_size: int = PATCH, **options: Any) -> MaskedAutoencoderObjective:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = Encoder(CHANNELS, patch_size, (8, 8, DIM))
        made = MaskedAutoencoderObjective(encoder=encoder, n_channels=CHANNELS, projection_dim=HIDDEN, **options)
        nn.init.normal_(made.token)
    return made


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def patches(n: int = 8, seed: int = 1, size: int = PATCH) -> Tensor:
    drawn = torch.randn(n, CHANNELS, size, size, generator=seeded(seed))
    return drawn.contiguous(memory_format=torch.channels_last)


def seen_by(encoder: nn.Module) -> list[Tensor]:
    """Return the list to which everything that enters the encoder is added."""
    seen: list[Tensor] = []
    encoder.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach().clone()))
    return seen


@pytest.mark.parametrize(("pixel_ratio", "channel_ratio", "pixels", "channels"), RATIOS)
def test_so_many_whole_pixels_and_channels_of_every_patch_are_masked(
    pixel_ratio: float, channel_ratio: float, pixels: int, channels: int
) -> None:  # fmt: skip
    objective = make(pixel_ratio=pixel_ratio, channel_ratio=channel_ratio)
    found = objective.draw_mask(patches(50), seeded(3))
    assert found.shape == (50, CHANNELS, PATCH, PATCH)
    assert found.dtype == torch.bool
    for mask in found:
        whole_channels = mask.flatten(1).all(dim=1)
        whole_pixels = mask.all(dim=0)
        assert whole_channels.sum() == channels
        assert whole_pixels.sum() == pixels
        assert torch.equal(mask, whole_channels[:, None, None] | whole_pixels)
    # Every patch has a mask of its own.
    assert len({tuple(mask.flatten().tolist()) for mask in found}) > 5


def test_every_pixel_and_every_channel_is_masked_as_often_as_any_other() -> None:
    objective = make(pixel_ratio=0.4, channel_ratio=0.0)
    shares = objective.draw_mask(patches(4000), seeded(3))[:, 0].double().mean(dim=0)
    # Four standard deviations.
    assert (shares - 10 / 25).abs().max() < 4 * math.sqrt(0.4 * 0.6 / 4000)
    objective = make(pixel_ratio=0.0, channel_ratio=0.5)
    shares = objective.draw_mask(patches(4000), seeded(3))[:, :, 0, 0].double().mean(dim=0)
    assert (shares - 3 / 6).abs().max() < 4 * math.sqrt(0.25 / 4000)


def test_all_draws_come_from_the_generator() -> None:
    objective, state = make(channel_ratio=0.3), torch.get_rng_state()
    first, second = patches(seed=1), patches(seed=2)
    losses = [objective.loss(first, second, progress=0.0, generator=seeded(seed)).item() for seed in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("pixel_ratio", "channel_ratio"), [(0.75, 0.0), (0.0, 0.5), (0.3, 0.3)])
def test_the_encoder_sees_the_token_in_place_of_what_is_masked(pixel_ratio: float, channel_ratio: float) -> None:
    objective, given = make(pixel_ratio=pixel_ratio, channel_ratio=channel_ratio), patches()
    is_masked = objective.draw_mask(given, seeded(3))
    seen = seen_by(objective.encoder)
    found = objective.reconstruct(given, is_masked)
    for n in range(len(given)):
        for c in range(CHANNELS):
            expected = given[n, c].clone()
            expected[is_masked[n, c]] = objective.token[c, 0, 0].detach()
            assert torch.equal(seen[0][n, c], expected)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    # Whatever is masked may change, or not be a number: nothing of it comes through.
    other = torch.where(is_masked, torch.nan, given)
    assert torch.equal(objective.reconstruct(other, is_masked), found)
    assert torch.equal(seen[1], seen[0])
    # What is visible does come through.
    assert not torch.equal(objective.reconstruct(given + 1, is_masked), found)


def test_the_error_is_the_mean_over_masked_entries_only() -> None:
    found, target = patches(seed=1).double().requires_grad_(), patches(seed=2).double()
    is_masked = make(pixel_ratio=0.3, channel_ratio=0.3).draw_mask(found, seeded(3))
    error = masked_error(found, target, is_masked)
    total, count = 0.0, 0
    for n, c, row, column in torch.nonzero(is_masked).tolist():
        total += (found[n, c, row, column].item() - target[n, c, row, column].item()) ** 2
        count += 1
    assert 0 < count < found.numel()
    assert error.item() == pytest.approx(total / count, rel=1e-12)
    assert masked_error(found, torch.where(is_masked, target, 9.0), is_masked).item() == error.item()
    assert masked_error(found, torch.where(is_masked, 9.0, target), is_masked).item() != error.item()
    (gradient,) = torch.autograd.grad(error, found)
    assert torch.equal(gradient != 0, is_masked)


def test_the_loss_is_that_of_both_views_as_samples() -> None:
    objective, first, second = make(channel_ratio=0.3), patches(seed=1), patches(seed=2)
    seen = seen_by(objective.encoder)
    loss = objective.loss(first, second, progress=0.0, generator=seeded(3))
    both = torch.cat([first, second])
    is_masked = objective.draw_mask(both, seeded(3))
    # What the decoder says of a patch is in the patch's own order: channels, rows, columns.
    hidden = objective.encoder(seen[0]) @ objective.decoder[0].weight.T + objective.decoder[0].bias
    out = (hidden.clamp(min=0) @ objective.decoder[2].weight.T + objective.decoder[2].bias).detach()
    total = 0.0
    for n, c, row, column in torch.nonzero(is_masked).tolist():
        total += float(out[n, (c * PATCH + row) * PATCH + column] - both[n, c, row, column]) ** 2
    assert loss.item() == pytest.approx(total / int(is_masked.sum()), rel=1e-5)
    assert (loss.shape, loss.dtype) == ((), torch.float32)


def test_gradients_reach_everything_that_is_trained() -> None:
    objective = make()
    objective.loss(patches(seed=1), patches(seed=2), progress=0.0, generator=seeded(3)).backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0, name


def test_what_is_trained_beside_the_encoder() -> None:
    objective = make()
    decoder = DIM * HIDDEN + HIDDEN + (HIDDEN + 1) * CHANNELS * PATCH**2
    assert n_learnt(objective) - n_learnt(objective.encoder) == decoder + CHANNELS


def test_it_learns_what_the_rest_of_a_patch_tells() -> None:
    # Every patch has one spectrum: what is left tells what is missing.
    spectra = torch.randn(64, CHANNELS, 1, 1, generator=seeded(7))
    given = spectra.expand(64, CHANNELS, PATCH, PATCH).contiguous(memory_format=torch.channels_last)
    objective, generator = make(), seeded(8)
    steps = Steps(Training(steps=100, batch_size=32, learning_rate=3e-2), objective)
    losses = []
    for step in range(100):
        first, second = given.chunk(2)
        loss = objective.loss(first, second, progress=step / 100, generator=generator)
        losses.append(loss.item())
        steps.take(step, loss)
        objective.after_step(step / 100)
    # What knows nothing of a patch has the variance as its error.
    assert losses[0] > 0.9 * given.var()
    assert losses[-1] < 0.5 * given.var()


def test_bfloat16_networks_give_a_float32_loss() -> None:
    exact, rough = (make(), make())
    given = patches(seed=1), patches(seed=2)
    expected = exact.loss(*given, progress=0.0, generator=seeded(3))
    with torch.autocast("cpu", torch.bfloat16):
        found = rough.loss(*given, progress=0.0, generator=seeded(3))
    assert found.dtype == torch.float32
    assert found.item() != expected.item()
    assert found.item() == pytest.approx(expected.item(), rel=0.05)


def test_one_pixel_per_step_and_patches_of_one_pixel() -> None:
    for objective, size in ((make(), PATCH), (make(patch_size=1, pixel_ratio=0.0, channel_ratio=0.5), 1)):
        given = patches(1, seed=1, size=size), patches(1, seed=2, size=size)
        loss = objective.loss(*given, progress=0.0, generator=seeded(3))
        loss.backward()
        assert loss.isfinite()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pixel_ratio": 1}, "pixel_ratio must be a number >= 0 and < 1, got pixel_ratio=1"),
        ({"channel_ratio": -0.1}, "channel_ratio must be a number >= 0 and < 1, got channel_ratio=-0.1"),
        (
            {"pixel_ratio": 0.99},
            "pixel_ratio=0.99 leaves none of 25 pixels: use larger patches, or lower pixel_ratio",
        ),
        (
            {"channel_ratio": 0.95},
            "channel_ratio=0.95 leaves none of 6 channels: use more components, or lower channel_ratio",
        ),
        (
            {"pixel_ratio": 0.01, "channel_ratio": 0.05},
            "pixel_ratio=0.01 and channel_ratio=0.05 mask nothing of 25 pixels and 6 channels: raise one of them",
        ),
    ],
)
def test_a_bad_ratio_is_named_with_its_rule(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        make(**options)
    assert str(caught.value) == message
