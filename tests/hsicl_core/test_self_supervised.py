"""The training loop of label-free objectives: what it draws, trains, tells, and that it stops."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hsicl_core import Encoder, NonFiniteLossError, Training
from hsicl_core.patches import PatchSource
from hsicl_core.self_supervised.base import SelfSupervisedObjective, full_precision
from hsicl_core.self_supervised.byol import BYOLObjective
from hsicl_core.self_supervised.moco_v2 import MoCoV2Objective
from hsicl_core.self_supervised.sim_siam import SimSiamObjective
from hsicl_core.self_supervised.training import pretrain_objective
from hsicl_core.training import batches
from hsicl_core.views.base import View
from hsicl_core.views.channel_dropout import ChannelDropout
from hsicl_core.views.flip_rotate import FlipRotate
from hsicl_core.views.neighbour_pixel import NeighbourPixel
from tests.training_factory import image, networks


@dataclass
class Seen:
    """What an objective was given, step by step, and the state that it was in."""

    first: list[Tensor] = field(default_factory=list)
    second: list[Tensor] = field(default_factory=list)
    progress: list[float] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    after: list[tuple[float, Tensor]] = field(default_factory=list)
    training: list[bool] = field(default_factory=list)
    generators: list[torch.Generator] = field(default_factory=list)


class Spy(SelfSupervisedObjective):
    """Pulls both views' embeddings together, and keeps what it sees."""

    def __init__(self, encoder: Encoder, scale: float = 1.0) -> None:
        super().__init__(encoder)
        self.head = nn.Linear(encoder.dim, 3)
        self.frozen = nn.Linear(encoder.dim, 3).requires_grad_(False)
        self.scale = scale
        self.seen = Seen()

    def loss(self, first: Tensor, second: Tensor, *, progress: float, generator: torch.Generator) -> Tensor:
        seen = self.seen
        seen.first.append(first.clone())
        seen.second.append(second.clone())
        seen.progress.append(progress)
        seen.weights.append(self.head.weight.detach().clone())
        seen.training.append(all(module.training for module in self.modules()))
        seen.generators.append(generator)
        z = self.head(self.encoder(torch.cat([first, second]))) + self.frozen(self.encoder(torch.cat([second, first])))
        return self.scale * (z.float() ** 2).mean()

    def after_step(self, progress: float) -> None:
        self.seen.after.append((progress, self.head.weight.detach().clone()))


def spy(**options: Any) -> Spy:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Spy(networks()[0], **options)


def train(
    objective: SelfSupervisedObjective, *, views: tuple[View, ...] = (), pixels: Tensor | None = None, seed: int = 0,
    steps: int = 12, batch_size: int = 8, **training: Any,
) -> list[tuple[str, int, float]]:  # fmt: skip
    return pretrain_objective(
        objective, PatchSource(image(), 3), torch.arange(0, 320, 5) if pixels is None else pixels, views=views,
        training=Training(steps=steps, batch_size=batch_size, **training),
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip


def test_what_requires_a_gradient_is_trained_and_nothing_else() -> None:
    objective = spy()
    before = {name: parameter.detach().clone() for name, parameter in objective.named_parameters()}
    # A large decay would show on whatever the optimiser holds.
    train(objective, weight_decay=10.0)
    for name, parameter in objective.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith("frozen."), name
        assert (parameter.grad is None) == name.startswith("frozen."), name


def test_every_step_scores_then_moves_then_tells() -> None:
    objective = spy()
    objective.eval()
    curve = train(objective, steps=12)
    seen = objective.seen
    assert seen.progress == [step / 12 for step in range(12)]
    assert [progress for progress, _ in seen.after] == seen.progress
    for step in range(12):
        assert not torch.equal(seen.after[step][1], seen.weights[step])
        if step < 11:
            assert torch.equal(seen.after[step][1], seen.weights[step + 1])
    assert seen.training == [True] * 12
    assert not any(module.training for module in objective.modules())
    assert [(name, step) for name, step, _ in curve] == [("loss", 0), ("loss", 10), ("loss", 11)]
    assert curve[0][2] > curve[-1][2] > 0
    # Rates rise, then fall: the largest move is neither the first nor the last.
    moves = [(after - before).norm().item() for (_, after), before in zip(seen.after, seen.weights, strict=True)]
    assert moves[0] > 10 * moves[-1]


def test_batches_and_views_are_drawn_in_turn_from_the_one_generator() -> None:
    objective = spy()
    pixels = torch.arange(3, 320, 5)
    views = (FlipRotate(), ChannelDropout())
    train(objective, pixels=pixels, views=views, seed=7, steps=9)
    generator = torch.Generator().manual_seed(7)
    source = PatchSource(image(), 3)
    drawn = batches(len(pixels), 8, generator)
    for first, second in zip(objective.seen.first, objective.seen.second, strict=True):
        patches = source.gather(pixels[next(drawn)])
        for found in (first, second):
            expected = patches
            for view in views:
                expected = view(expected, generator)
            assert torch.equal(found, expected)
    assert len({id(generator) for generator in objective.seen.generators}) == 1
    assert torch.equal(objective.seen.generators[0].get_state(), generator.get_state())


def test_only_the_second_view_moves_and_only_to_pixels_that_may_be_seen() -> None:
    # Every patch is one pixel, which holds its own flat index.
    pixels = torch.nonzero(torch.rand(320, generator=torch.Generator().manual_seed(0)) < 0.4)[:, 0]
    with torch.random.fork_rng(devices=[]):
        objective = Spy(Encoder(1, 1, (4,)))
    pretrain_objective(
        objective, PatchSource(torch.arange(320.0).reshape(16, 20, 1), 1), pixels, views=[NeighbourPixel(radius=2)],
        training=Training(steps=10, batch_size=len(pixels)), generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    for first, second in zip(objective.seen.first, objective.seen.second, strict=True):
        one, other = first.flatten().long(), second.flatten().long()
        assert sorted(one.tolist()) == pixels.tolist()
        assert set(other.tolist()) <= set(pixels.tolist())
        assert (one != other).any()
        assert ((one // 20 - other // 20).abs() <= 2).all()


def test_both_views_are_channels_last() -> None:
    objective = spy()
    train(objective, views=(FlipRotate(),), steps=1)
    for view in (*objective.seen.first, *objective.seen.second):
        assert view.shape == (8, 12, 3, 3)
        assert torch.equal(view, view.contiguous())
    drawn: list[bool] = []
    loss = objective.loss

    def look(first: Tensor, second: Tensor, **given: Any) -> Tensor:
        drawn.extend(view.is_contiguous(memory_format=torch.channels_last) for view in (first, second))
        return loss(first, second, **given)

    objective.loss = look  # type: ignore[method-assign]
    train(objective, views=(FlipRotate(),), steps=2)
    assert drawn == [True] * 4


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    with pytest.raises(NonFiniteLossError, match="the loss is inf at step 0, it must stay finite"):
        train(spy(scale=float("inf")))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_networks_compute_in_the_precision_that_was_asked_for_and_scores_need_not(precision: str) -> None:
    dtypes: list[torch.dtype] = []

    class Products(Spy):
        def loss(self, first: Tensor, second: Tensor, *, progress: float, generator: torch.Generator) -> Tensor:
            z = self.head(self.encoder(first))
            scored = z.float()
            dtypes.extend([z.dtype, (scored @ scored.T).dtype])
            with full_precision(z):
                dtypes.append((scored @ scored.T).dtype)
                return (scored @ scored.T).mean()

    train(Products(networks()[0]), steps=1, precision=precision)
    lower = getattr(torch, precision)
    assert dtypes == [lower, lower, torch.float32]


# Whole trainings of the objectives that have a copy or stop a gradient.

OBJECTIVES = {
    "byol": (BYOLObjective, {"hidden_dim": 32}),
    "sim_siam": (SimSiamObjective, {"bottleneck_dim": 4}),
    "moco_v2": (MoCoV2Objective, {"queue_size": 64, "momentum": 0.9}),
}
each = pytest.mark.parametrize("name", OBJECTIVES)


def trained(name: str, *, seed: int = 0, **training: Any) -> tuple[SelfSupervisedObjective, list[float]]:
    kind, params = OBJECTIVES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        objective = kind(encoder=Encoder(12, 3, (8, 8, 16)), projection_dim=8, **params)
    curve = train(objective, views=(FlipRotate(), ChannelDropout()), seed=seed, **training)
    return objective, [value for _, _, value in curve]


@each
def test_the_same_seed_gives_the_same_weights_whatever_the_global_stream_says(name: str) -> None:
    one, losses = trained(name)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    again, others = trained(name)
    assert torch.equal(torch.get_rng_state(), state)
    assert losses == others
    for key, value in one.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    assert trained(name, seed=1)[1] != losses


@each
def test_training_learns_and_does_not_collapse(name: str) -> None:
    objective, losses = trained(name, steps=80, batch_size=32, learning_rate=1e-2)
    # The first loss of an empty queue says nothing.
    assert losses[-1] < losses[1] - 0.1
    embedding = torch.nn.functional.normalize(objective.encoder.embed_scene(image()).flatten(0, 1), dim=1)
    # Normalised rows that are all the same would have no spread; in 16 dimensions 0.25 is the most there is.
    assert embedding.std(dim=0).mean() > 0.05
