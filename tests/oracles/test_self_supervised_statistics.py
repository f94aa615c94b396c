"""Barlow Twins, VICReg and SwAV, against plain loops and by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from hsicl_core import Encoder, InvalidValueError
from hsicl_core.encoder import n_learnt
from hsicl_core.self_supervised.barlow_twins import BarlowTwinsObjective, barlow_twins_loss
from hsicl_core.self_supervised.base import SelfSupervisedObjective
from hsicl_core.self_supervised.swav import SwAVObjective, sinkhorn, swapped_loss
from hsicl_core.self_supervised.vicreg import VICRegObjective, covariance_term, variance_term, vicreg_loss
from hsicl_core.training import Steps, Training

Floats = NDArray[np.float64]
CHANNELS, PATCH, DIM, PROJECTED = 6, 5, 12, 10
SIZES = [(2, 1), (2, 4), (5, 3), (9, 6), (40, 7)]
# By the names of the methods.
MAKERS: dict[str, Callable[..., SelfSupervisedObjective]] = {
    "barlow_twins": BarlowTwinsObjective, "vicreg": VICRegObjective, "swav": SwAVObjective,
}  # fmt: skip
NETWORKS = {"barlow_twins": "projector", "vicreg": "expander", "swav": "head"}
each = pytest.mark.parametrize("name", MAKERS)
NO_DRAWS = torch.Generator()


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make(name: str, **options: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MAKERS[name](encoder=Encoder(CHANNELS, PATCH, (8, 8, DIM)), projection_dim=PROJECTED, **options)


def views(n: int = 16, seed: int = 5) -> tuple[Tensor, Tensor]:
    first = draw(n, CHANNELS, PATCH, PATCH, seed=seed).float()
    second = first + 0.3 * draw(n, CHANNELS, PATCH, PATCH, seed=seed + 1).float()
    return first.contiguous(memory_format=torch.channels_last), second.contiguous(memory_format=torch.channels_last)


def loss_of(objective: SelfSupervisedObjective, first: Tensor, second: Tensor, progress: float = 0.5) -> Tensor:
    return objective.loss(first, second, progress=progress, generator=NO_DRAWS)


def whitened(n: int, dim: int, seed: int) -> Tensor:
    """(n, dim) of mean 0, whose dimensions have the biased variance 1 and are uncorrelated; dim < n."""
    z = draw(n, dim, seed=seed)
    return torch.linalg.qr(z - z.mean(dim=0))[0] * math.sqrt(n)


# Barlow Twins


@pytest.mark.parametrize(("batch", "dim"), SIZES)
@pytest.mark.parametrize("weight", [0.0, 0.0051, 2.0])
def test_barlow_twins_is_the_loop_over_pearson_correlations(batch: int, dim: int, weight: float) -> None:
    # So large that what is added to the variances is nothing beside them.
    z0, z1 = 1e4 * draw(batch, dim, seed=batch), 1e4 * draw(batch, dim, seed=dim + 100) + 7
    expected = 0.0
    for i in range(dim):
        for j in range(dim):
            correlation = float(np.corrcoef(z0[:, i].numpy(), z1[:, j].numpy())[0, 1])
            expected += (1 - correlation) ** 2 if i == j else weight * correlation**2
    for found in (barlow_twins_loss(z0, z1, off_diagonal_weight=weight),
                  barlow_twins_loss(z1, z0, off_diagonal_weight=weight)):  # fmt: skip
        torch.testing.assert_close(found.item(), expected, rtol=1e-8, atol=1e-9)


def test_barlow_twins_of_whitened_views() -> None:
    z = whitened(20, 6, seed=1)
    # Nothing but what is added to the variance keeps the correlation from 1.
    least = 6 * (1 - 1 / (1 + 1e-5)) ** 2
    torch.testing.assert_close(barlow_twins_loss(z, z, off_diagonal_weight=1.0).item(), least, rtol=1e-3, atol=1e-20)
    torch.testing.assert_close(barlow_twins_loss(z, -z, off_diagonal_weight=1.0).item(), 24.0, rtol=1e-4, atol=0)
    # Every dimension agrees with its neighbour instead of with itself.
    turned = barlow_twins_loss(z, z.roll(1, dims=1), off_diagonal_weight=0.25)
    torch.testing.assert_close(turned.item(), 6 * 1 + 0.25 * 6, rtol=1e-4, atol=0)
    # All dimensions say the same.
    same = barlow_twins_loss(z[:, :1].repeat(1, 6), z[:, :1].repeat(1, 6), off_diagonal_weight=0.1)
    torch.testing.assert_close(same.item(), 0.1 * 6 * 5, rtol=1e-4, atol=0)


def test_barlow_twins_of_a_dimension_that_is_constant_over_the_batch() -> None:
    z0, z1 = whitened(20, 3, seed=1), whitened(20, 3, seed=1)
    z0[:, 2], z1[:, 2] = 5.0, -1.0
    z0.requires_grad_()
    loss = barlow_twins_loss(z0, z1, off_diagonal_weight=1.0)
    torch.testing.assert_close(loss.item(), 1.0, rtol=1e-6, atol=0)
    (gradient,) = torch.autograd.grad(loss, z0)
    assert gradient.isfinite().all()


# VICReg


@pytest.mark.parametrize(("batch", "dim"), SIZES)
@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
def test_vicreg_is_the_loop_over_its_terms(batch: int, dim: int, weights: tuple[float, float, float]) -> None:
    z0, z1 = 0.7 * draw(batch, dim, seed=batch), 1.2 * draw(batch, dim, seed=dim + 100) - 3
    invariance = variance = covariance = 0.0
    for i in range(batch):
        for j in range(dim):
            invariance += float(z0[i, j] - z1[i, j]) ** 2 / (batch * dim)
    for z in (z0.numpy(), z1.numpy()):
        for j in range(dim):
            variance += max(0.0, 1 - math.sqrt(float(np.var(z[:, j], ddof=1)) + 1e-4)) / dim / 2
            for k in range(dim):
                if j != k:
                    covariance += float(np.cov(z[:, j], z[:, k], ddof=1)[0, 1]) ** 2 / dim
    expected = weights[0] * invariance + weights[1] * variance + weights[2] * covariance
    names = ("invariance_weight", "variance_weight", "covariance_weight")
    for pair in ((z0, z1), (z1, z0)):
        found = vicreg_loss(*pair, **dict(zip(names, weights, strict=True)))
        torch.testing.assert_close(found.item(), expected, rtol=1e-10, atol=1e-12)


def test_vicreg_terms_by_hand() -> None:
    # Variance 1/2 about the mean 1/2, with n - 1; 1/4 with n.
    narrow = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    assert variance_term(narrow).item() == pytest.approx(1 - math.sqrt(0.5001), rel=1e-12)
    assert variance_term(2 * narrow).item() == 0
    # A constant dimension falls short by nearly 1; the mean is over dimensions.
    both = torch.cat([2 * narrow, torch.full_like(narrow, 3.0)], dim=1)
    assert variance_term(both).item() == pytest.approx((1 - math.sqrt(1e-4)) / 2, rel=1e-12)
    # Deviations -1/2, 1/2 and -1, 1: the covariance is 1 with n - 1, and stands twice off the diagonal.
    z = torch.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=torch.float64)
    assert covariance_term(z).item() == pytest.approx(2 * 1.0 / 2, rel=1e-12)
    assert covariance_term(z + 100).item() == pytest.approx(1.0, rel=1e-9)
    assert covariance_term(z[:, :1]).item() == 0


def test_vicreg_asks_nothing_of_whitened_views_that_agree() -> None:
    z = 1.1 * whitened(20, 6, seed=1)
    weights = {"invariance_weight": 25.0, "variance_weight": 25.0, "covariance_weight": 1.0}
    assert vicreg_loss(z, z, **weights).item() == pytest.approx(0, abs=1e-20)
    collapsed = torch.zeros_like(z).requires_grad_()
    loss = vicreg_loss(collapsed, collapsed, **weights)
    assert loss.item() == pytest.approx(25 * (1 - 1e-2), rel=1e-6)
    (gradient,) = torch.autograd.grad(loss, collapsed)
    assert gradient.isfinite().all()


# SwAV


def plain_codes(scores: Floats, epsilon: float, iterations: int) -> Floats:
    """The scalings one after the other: prototypes get equal sums, then samples do."""
    batch, k = scores.shape
    q = [[math.exp(scores[b, j] / epsilon) for b in range(batch)] for j in range(k)]
    for _ in range(iterations):
        for j in range(k):
            total = math.fsum(q[j])
            q[j] = [value / total / k for value in q[j]]
        for b in range(batch):
            total = math.fsum(q[j][b] for j in range(k))
            for j in range(k):
                q[j][b] = q[j][b] / total / batch
    return np.array([[q[j][b] * batch for j in range(k)] for b in range(batch)])


@pytest.mark.parametrize(("batch", "k"), [(1, 2), (2, 2), (3, 8), (12, 4), (7, 7)])
@pytest.mark.parametrize("epsilon", [0.05, 0.5])
@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_sinkhorn_is_the_loop(batch: int, k: int, epsilon: float, iterations: int) -> None:
    scores = draw(batch, k, seed=batch + k).tanh()
    found = sinkhorn(scores, epsilon, iterations)
    np.testing.assert_allclose(found.numpy(), plain_codes(scores.numpy(), epsilon, iterations), rtol=1e-9, atol=1e-300)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(batch, dtype=torch.float64), rtol=1e-12, atol=0)


def test_sinkhorn_comes_to_equal_shares() -> None:
    scores = draw(12, 4, seed=3).tanh()
    # All samples like the first prototype best.
    scores[:, 0] += 2
    shares = [sinkhorn(scores, 0.5, n).sum(dim=0) for n in (1, 3, 200)]
    torch.testing.assert_close(shares[2], torch.full((4,), 3.0, dtype=torch.float64), rtol=1e-9, atol=0)
    gaps = [(share - 3).abs().max().item() for share in shares]
    assert gaps[0] > gaps[1] > gaps[2]


def test_limits_of_sinkhorn() -> None:
    scores = draw(6, 6, seed=3).tanh()
    sixth = torch.full((6, 6), 1 / 6, dtype=torch.float64)
    torch.testing.assert_close(sinkhorn(scores, 1e6, 3), sixth, rtol=1e-5, atol=0)
    # One sample alone, and samples that do not differ, belong everywhere.
    torch.testing.assert_close(sinkhorn(scores[:1], 0.05, 3), sixth[:1], rtol=1e-9, atol=0)
    torch.testing.assert_close(sinkhorn(scores[:1].repeat(6, 1), 0.05, 3), sixth, rtol=1e-9, atol=0)
    # Of two by two, the ratio of what is on the diagonal to what is off it is the root of the product of their ratios.
    scores = torch.tensor([[0.9, 0.0], [0.95, 0.8]], dtype=torch.float64)
    diagonal = 1 / (1 + math.exp(-(0.9 + 0.8 - 0.95) / 0.2 / 2))
    expected = torch.tensor([[diagonal, 1 - diagonal], [1 - diagonal, diagonal]], dtype=torch.float64)
    torch.testing.assert_close(sinkhorn(scores, 0.2, 500), expected, rtol=1e-9, atol=0)
    # Nearly without entropy it is the best assignment, though both samples like the first prototype best.
    torch.testing.assert_close(sinkhorn(scores, 0.01, 500), torch.eye(2, dtype=torch.float64), rtol=0, atol=2e-3)
    # In float32, where exp(1 / 0.001) is infinite.
    found = sinkhorn(draw(9, 5, seed=1).tanh().float(), 1e-3, 3)
    assert found.isfinite().all()
    torch.testing.assert_close(found.sum(dim=1), torch.ones(9))


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_swapped_loss_is_the_loop(temperature: float) -> None:
    scores, codes = draw(10, 4, seed=1).tanh(), draw(10, 4, seed=2).softmax(dim=1)
    expected = 0.0
    for b in range(5):
        for code, prediction in ((b, b + 5), (b + 5, b)):
            powers = [math.exp(float(s) / temperature) for s in scores[prediction]]
            for k in range(4):
                expected -= float(codes[code, k]) * math.log(powers[k] / math.fsum(powers)) / 10
    torch.testing.assert_close(swapped_loss(scores, codes, temperature).item(), expected, rtol=1e-11, atol=0)


def test_no_gradient_goes_through_the_codes() -> None:
    objective = make("swav", n_prototypes=5)
    first, second = views()
    loss_of(objective, first, second).backward()
    found = [parameter.grad.clone() for parameter in objective.parameters()]
    objective.zero_grad()
    z = F.normalize(objective.head(objective.encoder(torch.cat([first, second]))), dim=1)
    scores = z @ objective.prototypes.T
    codes = [torch.from_numpy(plain_codes(half.detach().double().numpy(), 0.05, 3)).float() for half in scores.chunk(2)]
    logs = (scores / 0.1).log_softmax(dim=1)
    (-(codes[1] * logs[:16] + codes[0] * logs[16:]).sum() / 32).backward()
    for parameter, gradient in zip(objective.parameters(), found, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-5)


def test_prototypes_rest_at_first_and_stay_on_the_unit_sphere() -> None:
    objective = make("swav", n_prototypes=5, frozen_share=0.5)
    start = objective.prototypes.detach().clone()
    torch.testing.assert_close(start.norm(dim=1), torch.ones(5))
    steps = Steps(Training(steps=4, batch_size=16, learning_rate=0.1, weight_decay=0.5), objective)
    for step, is_moving in enumerate((False, False, True, True)):
        weight = objective.head[0].weight.detach().clone()
        steps.take(step, loss_of(objective, *views(seed=step), progress=step / 4))
        objective.after_step(step / 4)
        assert not torch.equal(objective.head[0].weight, weight)
        # Unit vectors are normalised to themselves but for rounding.
        assert torch.allclose(objective.prototypes, start, atol=1e-6) != is_moving
        torch.testing.assert_close(objective.prototypes.norm(dim=1), torch.ones(5))


# All three


def expected_loss(name: str, objective: Any, z: Tensor) -> float:
    """Return the default loss, in float64, of what the network before it gave of both views."""
    z = z.detach().double()
    if name == "swav":
        scores = (F.normalize(z, dim=1) @ objective.prototypes.detach().double().T).numpy()
        codes = [plain_codes(half, 0.05, 3) for half in np.split(scores, 2)]
        return swapped_loss(torch.from_numpy(scores), torch.from_numpy(np.concatenate(codes)), 0.1).item()
    if name == "vicreg":
        return vicreg_loss(*z.chunk(2), invariance_weight=25, variance_weight=25, covariance_weight=1).item()
    return barlow_twins_loss(*z.chunk(2), off_diagonal_weight=0.0051).item()


@each
def test_the_objective_is_its_loss_of_what_its_networks_give(name: str) -> None:
    objective = make(name)
    first, second = views()
    found = loss_of(objective, first, second)
    assert found.shape == ()
    assert found.dtype == torch.float32
    z = getattr(objective, NETWORKS[name])(objective.encoder(torch.cat([first, second])))
    assert found.item() == pytest.approx(expected_loss(name, objective, z), rel=1e-4)
    # Which view comes first changes nothing, and pixels may come in any order.
    order = torch.arange(16).flip(0)
    for other in (loss_of(objective, second, first), loss_of(objective, first[order], second[order])):
        assert other.item() == pytest.approx(found.item(), rel=1e-4)


@each
def test_gradients_reach_everything_that_is_trained(name: str) -> None:
    objective = make(name)
    loss_of(objective, *views()).backward()
    for parameter in objective.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0
    objective.after_step(0.5)


@each
def test_some_steps_lower_the_loss(name: str) -> None:
    objective = make(name)
    steps = Steps(Training(steps=30, batch_size=32, learning_rate=1e-2), objective)
    first, second = views(32)
    losses = []
    for step in range(30):
        loss = loss_of(objective, first, second, progress=step / 30)
        losses.append(loss.item())
        steps.take(step, loss)
        objective.after_step(step / 30)
    assert losses[-1] < 0.8 * losses[0]


@each
def test_the_loss_is_float32_of_what_bfloat16_networks_give(name: str) -> None:
    objective, given = make(name), []
    network = getattr(objective, NETWORKS[name])
    network.register_forward_hook(lambda module, put_in, out: given.append(out))
    # Wide enough for covariances to count.
    network[-1].weight.data *= 30
    with torch.autocast("cpu", torch.bfloat16):
        found = loss_of(objective, *views())
    assert given[0].dtype == torch.bfloat16
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected_loss(name, objective, given[0]), rel=1e-5)


def test_the_expander_is_three_layers_the_first_two_normalised_and_cut_at_zero() -> None:
    network, x = make("vicreg").expander.double(), draw(9, DIM, seed=1)
    z = x.numpy()
    weights = [parameter.detach().numpy() for parameter in network.parameters() if parameter.ndim == 2]
    assert [weight.shape for weight in weights] == [(PROJECTED, DIM), (PROJECTED, PROJECTED), (PROJECTED, PROJECTED)]
    for weight in weights[:2]:
        z = z @ weight.T
        z = np.maximum((z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5), 0)
    np.testing.assert_allclose(network(x).detach().numpy(), z @ weights[2].T, rtol=1e-9, atol=1e-12)


def test_what_is_trained_beside_the_encoder() -> None:
    expander = DIM * PROJECTED + 2 * PROJECTED**2 + 2 * 2 * PROJECTED
    head = DIM * DIM + DIM + DIM * PROJECTED + PROJECTED
    for name, expected in (("barlow_twins", expander), ("vicreg", expander), ("swav", head + 64 * PROJECTED)):
        objective = make(name)
        assert n_learnt(objective) - n_learnt(objective.encoder) == expected, name


@each
def test_two_pixels_are_enough(name: str) -> None:
    objective = make(name)
    loss = loss_of(objective, *views(2))
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in objective.parameters())


@pytest.mark.parametrize("name", ["barlow_twins", "vicreg"])
def test_one_pixel_has_no_statistics(name: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        loss_of(make(name), *views(1))
    assert str(caught.value) == (
        f"{name} compares the pixels of a batch and needs at least 2, got 1: raise batch_size, or give the fit more "
        "pixels"
    )


def test_one_pixel_belongs_to_all_prototypes_alike() -> None:
    objective = make("swav", n_prototypes=4)
    first, second = views(1)
    found = loss_of(objective, first, second)
    z = F.normalize(objective.head(objective.encoder(torch.cat([first, second]))), dim=1)
    expected = -(z @ objective.prototypes.T / 0.1).log_softmax(dim=1).mean()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("barlow_twins", {"off_diagonal_weight": -1}, "off_diagonal_weight must be a number >= 0"),
        ("vicreg", {"invariance_weight": -1}, "invariance_weight must be a number >= 0"),
        ("vicreg", {"variance_weight": math.nan}, "variance_weight must be a number >= 0"),
        ("vicreg", {"covariance_weight": "1"}, "covariance_weight must be a number >= 0"),
        ("swav", {"n_prototypes": 1}, "n_prototypes must be an integer >= 2"),
        ("swav", {"temperature": 0}, "temperature must be a number > 0"),
        ("swav", {"epsilon": 0}, "epsilon must be a number > 0"),
        ("swav", {"sinkhorn_iterations": 0}, "sinkhorn_iterations must be an integer >= 1"),
        ("swav", {"frozen_share": 1.5}, "frozen_share must be a number >= 0 and <= 1"),
    ],
)
def test_a_bad_option_is_named_with_its_rule(name: str, options: dict[str, Any], message: str) -> None:
    ((option, value),) = options.items()
    with pytest.raises(InvalidValueError) as caught:
        make(name, **options)
    assert str(caught.value) == f"{message}, got {option}={value!r}"
