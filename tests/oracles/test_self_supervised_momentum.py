"""BYOL, SimSiam and MoCo v2 against plain loops: losses, stopped gradients, following copies, the queue."""

from __future__ import annotations

import copy
import math
from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from hsicl_core import Encoder, InvalidValueError
from hsicl_core.encoder import n_learnt
from hsicl_core.self_supervised.base import SelfSupervisedObjective
from hsicl_core.self_supervised.byol import BYOLObjective
from hsicl_core.self_supervised.moco_v2 import MoCoV2Objective
from hsicl_core.self_supervised.sim_siam import SimSiamObjective

Floats = NDArray[np.float64]
OBJECTIVES = {"byol": BYOLObjective, "sim_siam": SimSiamObjective, "moco_v2": MoCoV2Objective}
each = pytest.mark.parametrize("name", OBJECTIVES)
CHANNELS, DIM, PROJECTED = 4, 6, 5


def make(name: str, *, seed: int = 0, patch_size: int = 3, **params: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(CHANNELS, patch_size, (7, DIM))
        return OBJECTIVES[name](encoder=encoder, projection_dim=PROJECTED, **params).train()


def draw(batch: int, *, seed: int = 1, patch_size: int = 3) -> tuple[Tensor, Tensor]:
    views = torch.randn(2, batch, CHANNELS, patch_size, patch_size, generator=torch.Generator().manual_seed(seed))
    return views[0], views[1]


def score(objective: SelfSupervisedObjective, first: Tensor, second: Tensor, progress: float = 0.0) -> Tensor:
    return objective.loss(first, second, progress=progress, generator=torch.Generator())


def step(objective: SelfSupervisedObjective, rate: float = 0.5, *, progress: float = 0.0, **drawn: Any) -> None:
    """Move everything that is trained by its gradient."""
    objective.zero_grad()
    score(objective, *draw(**{"batch": 4, **drawn})).backward()
    with torch.no_grad():
        for parameter in objective.parameters():
            if parameter.grad is not None:
                parameter -= rate * parameter.grad
    objective.after_step(progress)


def started(name: str, **params: Any) -> Any:
    """Return an objective whose copy lags behind, and whose queue holds keys, if it has them."""
    objective = make(name, **params)
    for seed in (10, 11):
        step(objective, seed=seed)
    return objective


# Networks, layer by layer.


def through(layers: nn.Module, x: Floats) -> Floats:
    """Return what a stack of layers in training mode makes of rows."""
    for layer in layers.children():
        if isinstance(layer, nn.Linear):
            x = np.array([[row @ weight for weight in layer.weight.detach().double().numpy()] for row in x])
            x = x if layer.bias is None else x + layer.bias.detach().double().numpy()
        elif isinstance(layer, nn.BatchNorm1d):
            columns = [(column - column.mean()) / np.sqrt(column.var() + layer.eps) for column in x.T]
            x = np.array(columns).T
            if layer.affine:
                x = x * layer.weight.detach().double().numpy() + layer.bias.detach().double().numpy()
        else:
            assert isinstance(layer, nn.ReLU)
            x = np.where(x > 0, x, 0.0)
    return x


def embedded(encoder: nn.Module, first: Tensor, second: Tensor) -> Floats:
    """Return the embeddings (2 * batch, dim) of both views as one batch, by a copy of the encoder."""
    with torch.no_grad():
        out = copy.deepcopy(encoder).double().train()(torch.cat([first, second]).double())
    return np.asarray(out.numpy())


def unit(rows: Floats) -> Floats:
    return np.array([row / math.sqrt(sum(value * value for value in row)) for row in rows])


# The losses.


@pytest.mark.parametrize("batch", [1, 2, 5, 16])
def test_byol_is_the_squared_distance_to_the_copys_projection_in_both_directions(batch: int) -> None:
    objective = started("byol", hidden_dim=9)
    first, second = draw(batch)
    online = through(objective.projector, embedded(objective.encoder, first, second))
    predictions = unit(through(objective.predictor, online))
    copy_of_encoder, copy_of_projector = objective.target
    targets = unit(through(copy_of_projector, embedded(copy_of_encoder, first, second)))
    total = 0.0
    for sample in range(batch):
        for one, other in ((sample, batch + sample), (batch + sample, sample)):
            total += sum((p - t) ** 2 for p, t in zip(predictions[one], targets[other], strict=True)) / batch
    # With a single sample the two rows are normalised to -1 and 1 whatever they are, up to eps.
    assert score(objective, first, second).item() == pytest.approx(total, abs=1e-5 if batch > 1 else 1e-3)


@pytest.mark.parametrize("batch", [1, 2, 5, 16])
def test_sim_siam_is_half_the_negative_cosine_in_both_directions(batch: int) -> None:
    objective = started("sim_siam")
    first, second = draw(batch)
    z = through(objective.projector, embedded(objective.encoder, first, second))
    p, z = unit(through(objective.predictor, z)), unit(z)
    expected = 0.0
    for sample in range(batch):
        expected -= 0.5 * float(p[sample] @ z[batch + sample]) / batch
        expected -= 0.5 * float(p[batch + sample] @ z[sample]) / batch
    assert score(objective, first, second).item() == pytest.approx(expected, abs=1e-5 if batch > 1 else 1e-3)


@pytest.mark.parametrize("batch", [1, 2, 5, 16])
@pytest.mark.parametrize("temperature", [0.2, 1.5])
def test_moco_v2_is_info_nce_of_every_query_against_the_other_views_key_and_the_queue(
    batch: int, temperature: float
) -> None:
    objective = started("moco_v2", temperature=temperature, queue_size=11, momentum=0.5)
    first, second = draw(batch)
    queries = unit(through(objective.head, embedded(objective.encoder, first, second)))
    copy_of_encoder, copy_of_head = objective.key_encoder
    keys = unit(through(copy_of_head, embedded(copy_of_encoder, first, second)))
    queue = objective.queue.double().numpy()
    assert queue.shape == (11, PROJECTED)
    expected = 0.0
    for i in range(2 * batch):
        positive = math.exp(queries[i] @ keys[(i + batch) % (2 * batch)] / temperature)
        negatives = sum(math.exp(queries[i] @ old / temperature) for old in queue)
        expected -= math.log(positive / (positive + negatives)) / (2 * batch)
    assert score(objective, first, second).item() == pytest.approx(expected, abs=1e-5)


@each
def test_views_may_be_swapped_and_samples_put_into_another_order(name: str) -> None:
    objective = started(name)
    first, second = draw(7)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(2))
    expected = score(objective, first, second)
    assert expected.item() != pytest.approx(score(objective, first, second[order]).item(), abs=1e-3)
    torch.testing.assert_close(score(objective, second, first), expected)
    torch.testing.assert_close(score(objective, first[order], second[order]), expected)


def test_where_every_answer_agrees_the_losses_are_at_their_ends() -> None:
    # A predictor that gives its input back, a copy that is up to date, and views that are the same.
    first, _ = draw(6)
    byol, sim_siam, moco = make("byol"), make("sim_siam"), make("moco_v2", temperature=0.5)
    byol.predictor = sim_siam.predictor = nn.Identity()
    assert score(byol, first, first).item() == pytest.approx(0.0, abs=1e-5)
    assert score(sim_siam, first, first).item() == pytest.approx(-1.0, abs=1e-6)
    # Nothing is in the queue yet.
    assert score(moco, first, first).item() == 0.0
    moco.queue = torch.zeros(3, PROJECTED)
    assert score(moco, first, first).item() == pytest.approx(math.log(1 + 3 * math.exp(-2)), abs=1e-5)


# Where gradients flow.


@each
def test_the_loss_is_float32_also_under_bfloat16_and_no_copy_gets_a_gradient(name: str) -> None:
    objective = started(name)
    dtypes = []
    objective.encoder.register_forward_hook(lambda module, given, out: dtypes.append(out.dtype))
    objective.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        loss = score(objective, *draw(5))
    assert dtypes == [torch.bfloat16]
    assert (loss.dtype, loss.shape) == (torch.float32, ())
    loss.backward()
    for key, parameter in objective.named_parameters():
        follows = key.startswith(("target.", "key_encoder."))
        assert parameter.requires_grad != follows, key
        assert (parameter.grad is None) == follows, key
    of_encoder = [parameter.grad.abs().max() for parameter in objective.encoder.parameters()]
    assert all(gradient > 0 for gradient in of_encoder)


def test_similarities_of_moco_v2_are_not_rounded_to_bfloat16() -> None:
    objective = started("moco_v2", temperature=0.05)
    first, second = draw(5)
    # Networks in float32, autocast around the rest.
    objective.encoder, objective.head, objective.key_encoder = map(
        full, (objective.encoder, objective.head, objective.key_encoder)
    )
    expected = score(objective, first, second)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(score(objective, first, second), expected, rtol=1e-6, atol=1e-6)


def full(module: nn.Module) -> nn.Module:
    class Full(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", enabled=False):
                return self.inner(x)

    return Full()


def test_no_gradient_flows_through_sim_siams_targets() -> None:
    objective = started("sim_siam")
    first, second = draw(6)
    trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]

    def by_hand(*, stopped: bool) -> tuple[Tensor, ...]:
        z = objective.projector(objective.encoder(torch.cat([first, second])))
        p = objective.predictor(z)
        z = torch.from_numpy(z.detach().numpy().copy()) if stopped else z
        cosines = [torch.cosine_similarity(p[i], z[(i + 6) % 12], dim=0) for i in range(12)]
        return torch.autograd.grad(-torch.stack(cosines).mean(), trained)

    found = torch.autograd.grad(score(objective, first, second), trained)
    for gradient, expected in zip(found, by_hand(stopped=True), strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-6)
    of_encoder = len(list(objective.encoder.parameters()))
    for gradient, other in zip(found[:of_encoder], by_hand(stopped=False), strict=False):
        assert not torch.allclose(gradient, other, rtol=1e-2, atol=1e-6)


# Copies that follow.


def copy_and_followed(objective: Any) -> tuple[nn.Module, list[Tensor]]:
    if isinstance(objective, BYOLObjective):
        return objective.target, [*objective.encoder.parameters(), *objective.projector.parameters()]
    return objective.key_encoder, [*objective.encoder.parameters(), *objective.head.parameters()]


@pytest.mark.parametrize("name", ["byol", "moco_v2"])
@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("progress", [0.0, 0.3, 0.9])
def test_the_copy_moves_to_where_the_formula_says(name: str, momentum: float, progress: float) -> None:
    objective = make(name, momentum=momentum)
    average, followed = copy_and_followed(objective)
    for mean, parameter in zip(average.parameters(), followed, strict=True):
        assert torch.equal(mean, parameter)
        assert mean.data_ptr() != parameter.data_ptr()
    before = [mean.clone().numpy() for mean in average.parameters()]
    step(objective, progress=progress)
    # BYOL's rises to 1 over the training.
    at_step = 1 - (1 - momentum) * (math.cos(math.pi * progress) + 1) / 2 if name == "byol" else momentum
    moved = 0
    for mean, was, parameter in zip(average.parameters(), before, followed, strict=True):
        now = parameter.detach().numpy()
        moved += not np.array_equal(was, now)
        np.testing.assert_allclose(mean.numpy(), at_step * was + (1 - at_step) * now, rtol=1e-4, atol=1e-6)
    if name == "byol":
        # Its loss has a gradient from the first step on.
        assert moved > len(before) / 2


def test_moco_v2_has_nothing_to_learn_from_until_a_step_has_filled_its_queue() -> None:
    objective = make("moco_v2")
    for expected in (0.0, math.nan):
        loss = score(objective, *draw(4))
        gradients = torch.autograd.grad(loss, list(objective.encoder.parameters()))
        if expected == 0:
            assert loss.item() == 0
            assert all((gradient == 0).all() for gradient in gradients)
            objective.after_step(0.0)
        else:
            assert loss.item() > 0
            assert all((gradient != 0).any() for gradient in gradients)


@settings(max_examples=30, deadline=None)
@given(queue_size=st.integers(1, 20), batches=st.lists(st.integers(1, 8), min_size=1, max_size=5))
def test_the_queue_is_first_in_first_out(queue_size: int, batches: list[int]) -> None:
    objective = make("moco_v2", queue_size=queue_size, momentum=0.5)
    made: list[Tensor] = []
    objective.key_encoder.register_forward_hook(lambda module, given, out: made.append(out))
    kept: deque[list[float]] = deque(maxlen=queue_size)
    assert objective.queue.shape == (0, PROJECTED)
    for seed, batch in enumerate(batches):
        # A loss alone, or twice the same one, changes nothing.
        before = objective.queue.clone()
        score(objective, *draw(batch, seed=seed))
        assert torch.equal(objective.queue, before)
        step(objective, batch=batch, seed=seed)
        assert not made[-1].requires_grad
        kept.extend(unit(made[-1].double().numpy()).tolist())
        np.testing.assert_allclose(objective.queue.numpy(), np.array(kept), atol=1e-6)
        assert not objective.queue.requires_grad
    # No step, no keys.
    before = objective.queue.clone()
    objective.after_step(0.5)
    assert torch.equal(objective.queue, before)


# The papers' networks.


def test_heads_are_as_large_as_in_the_papers() -> None:
    with torch.device("meta"):
        byol = BYOLObjective(encoder=Encoder(1, 1, (2048,)), projection_dim=256, hidden_dim=4096)
        sim_siam = SimSiamObjective(encoder=Encoder(1, 1, (2048,)), projection_dim=2048)
        moco = MoCoV2Objective(encoder=Encoder(1, 1, (2048,)), projection_dim=128)
    # Weights, biases and normalisations: 2048-4096-256 and 256-4096-256.
    assert n_learnt(byol.projector) == 2048 * 4096 + 4096 + 2 * 4096 + 4096 * 256
    assert n_learnt(byol.predictor) == 256 * 4096 + 4096 + 2 * 4096 + 4096 * 256
    # 2048-2048-2048-2048 with the last normalisation plain, and 2048-512-2048 with one bias.
    assert n_learnt(sim_siam.projector) == 3 * 2048**2 + 2 * 2 * 2048
    assert n_learnt(sim_siam.predictor) == 2048 * 512 + 2 * 512 + 512 * 2048 + 2048
    # 2048-2048-128.
    assert n_learnt(moco.head) == 2048 * 2048 + 2048 + 2048 * 128 + 128
    for objective, copied in ((byol, byol.target), (moco, moco.key_encoder)):
        assert n_learnt(copied) == 0
        assert sum(p.numel() for p in copied.parameters()) == sum(p.numel() for p in copy_and_followed(objective)[1])


@each
@pytest.mark.parametrize("patch_size", [1, 5, 9])
def test_one_pixel_is_enough(name: str, patch_size: int) -> None:
    objective = make(name, patch_size=patch_size)
    for seed in range(3):
        loss = score(objective, *draw(1, seed=seed, patch_size=patch_size))
        assert loss.isfinite()
        loss.backward()
        objective.after_step(0.5)


@pytest.mark.parametrize(
    ("name", "params", "rule"),
    [
        ("byol", {"hidden_dim": 0}, "hidden_dim must be an integer >= 1"),
        ("byol", {"momentum": 1.1}, "momentum must be a number >= 0 and <= 1"),
        ("byol", {"momentum": -0.1}, "momentum must be a number >= 0 and <= 1"),
        ("sim_siam", {"bottleneck_dim": 0}, "bottleneck_dim must be an integer >= 1"),
        ("moco_v2", {"temperature": 0.0}, "temperature must be a number > 0"),
        ("moco_v2", {"momentum": 2}, "momentum must be a number >= 0 and <= 1"),
        ("moco_v2", {"queue_size": 0}, "queue_size must be an integer >= 1"),
    ],
)
def test_values_outside_their_range_are_errors(name: str, params: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidValueError, match=rule):
        make(name, **params)


@each
def test_a_space_without_dimensions_is_an_error(name: str) -> None:
    with pytest.raises(InvalidValueError, match="projection_dim must be an integer >= 1, got projection_dim=0"):
        OBJECTIVES[name](encoder=Encoder(CHANNELS, 1, (DIM,)), projection_dim=0)
