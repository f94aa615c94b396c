"""The selective scan and the Mamba block against plain loops and theory, its gradients against differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hsicl_core.encoder import n_learnt
from hsicl_core.networks import _selective_scan
from hsicl_core.networks._selective_scan import Mamba, selective_scan

Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def inputs(n: int, length: int, width: int, states: int, seed: int = 0) -> Inputs:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    # Steps and rates so that some states are forgotten at once and others kept.
    return (
        normal(n, length, width), F.softplus(normal(n, length, width)), -normal(states, width).exp(),
        normal(n, length, states), normal(n, length, states),
    )  # fmt: skip


def by_loops(x: Tensor, delta: Tensor, rates: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The recurrence of one number at a time."""
    out = torch.zeros_like(x)
    for i in range(x.shape[0]):
        for w in range(x.shape[2]):
            states = [0.0] * len(rates)
            for t in range(x.shape[1]):
                step, value = float(delta[i, t, w]), float(x[i, t, w])
                for s in range(len(rates)):
                    states[s] = math.exp(step * float(rates[s, w])) * states[s] + step * value * float(b[i, t, s])
                out[i, t, w] = sum(float(c[i, t, s]) * states[s] for s in range(len(rates)))
    return out


@pytest.mark.parametrize("shape", [(3, 7, 5, 4), (1, 1, 1, 1), (2, 9, 1, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize("cache", [1, 2 * 20 * 8, 2**20])
def test_it_is_what_plain_loops_give(
    shape: tuple[int, int, int, int], cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One sequence at a time, two of the first shape, or all at once.
    monkeypatch.setattr(_selective_scan, "_CACHE_BYTES", cache)
    given = inputs(*shape)
    torch.testing.assert_close(selective_scan(*given), by_loops(*given), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cache", [1, 2 * 6 * 8, 2**20])
def test_its_gradient_is_that_of_differences(cache: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_selective_scan, "_CACHE_BYTES", cache)
    given = [tensor.requires_grad_() for tensor in inputs(3, 4, 3, 2)]
    assert torch.autograd.gradcheck(selective_scan, given)


def test_gradients_do_not_depend_on_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for cache in (1, 2**20):
        monkeypatch.setattr(_selective_scan, "_CACHE_BYTES", cache)
        given = [tensor.requires_grad_() for tensor in inputs(6, 81, 4, 3)]
        selective_scan(*given).square().sum().backward()
        found.append([tensor.grad for tensor in given])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_steps_of_zero_neither_forget_nor_take_in() -> None:
    x, delta, rates, b, c = inputs(2, 6, 3, 4)
    delta[:, 2:] = 0
    c = c[:, :1].expand_as(c)
    found = selective_scan(x, delta, rates, b, c)
    torch.testing.assert_close(found[:, 2:], found[:, 1:2].expand(-1, 4, -1))
    assert not torch.allclose(found[:, 0], found[:, 1])


def test_one_state_of_constant_steps_is_exponential_smoothing() -> None:
    x, step = inputs(1, 50, 1, 1)[0], 0.3
    one = torch.ones_like(x)
    found = selective_scan(x, step * one, torch.full((1, 1), -2.0, dtype=torch.float64), one, one)[0, :, 0]
    kept = math.exp(-2 * step)
    expected = [step * sum(kept ** (t - k) * float(x[0, k, 0]) for k in range(t + 1)) for t in range(50)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_very_fast_and_very_slow_rates_stay_finite() -> None:
    x, delta, rates, b, c = (tensor.float().requires_grad_() for tensor in inputs(2, 81, 4, 6))
    speeds = torch.logspace(-30, 30, 6)[:, None]
    found = selective_scan(x, delta, rates * speeds, b, c)
    found.sum().backward()
    assert found.isfinite().all()
    assert all(tensor.grad.isfinite().all() for tensor in (x, delta, rates, b, c))


def mamba_by_loops(block: Mamba, tokens: Tensor) -> Tensor:
    """The block, one token after the other, as the paper's figure 3 and algorithm 2 have it."""
    n, length, width = tokens.shape
    inner, (rank, states, _) = 2 * width, block.sizes
    x, gate = (tokens @ block.enter.weight.T).split(inner, dim=2)
    convolved = F.conv1d(x.mT, block.kernel.T[:, None], block.bias, padding=len(block.kernel) - 1, groups=inner)
    x = F.silu(convolved[:, :, :length]).mT
    out = []
    state = tokens.new_zeros(n, inner, states)
    for t in range(length):
        selected = x[:, t] @ block.select.weight.T
        b, c = selected[:, rank : rank + states], selected[:, rank + states :]
        delta = (1 + (selected[:, :rank] @ block.step.weight.T + block.step.bias).exp()).log()
        decay = torch.exp(-delta[:, :, None] * block.log_rates.exp().T)
        state = decay * state + delta[:, :, None] * b[:, None] * x[:, t, :, None]
        y = torch.einsum("nws,ns->nw", state, c) + block.skip * x[:, t]
        out.append(y * gate[:, t] * gate[:, t].sigmoid() @ block.leave.weight.T)
    return torch.stack(out, dim=1)


def made(width: int) -> Mamba:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        block = Mamba(width).double()
        for parameter in block.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return block


@pytest.mark.parametrize(("width", "length"), [(16, 9), (20, 3), (1, 5), (8, 1)])
def test_the_block_is_what_its_figure_says(width: int, length: int) -> None:
    block = made(width)
    tokens = torch.randn(3, length, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(block(tokens), mamba_by_loops(block, tokens), rtol=1e-9, atol=1e-9)


def test_a_token_depends_on_itself_and_on_all_before_it() -> None:
    block = made(8)
    tokens = torch.randn(1, 12, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    for t in (0, 5, 11):
        (reached,) = torch.autograd.grad(block(tokens)[0, t].sum(), tokens)
        seen = reached[0].abs().sum(dim=1) > 0
        assert seen.tolist() == [True] * (t + 1) + [False] * (11 - t)


@pytest.mark.parametrize("width", [16, 64, 128])
def test_the_block_has_the_published_parameters_and_initial_values(width: int) -> None:
    # state-spaces/mamba: 2 * w channels, 16 states, a kernel of 4, and a sixteenth of the width for the steps.
    inner, rank = 2 * width, width // 16
    block = Mamba(width)
    expected = width * 2 * inner + (4 + 1) * inner + inner * (rank + 32) + (rank + 1) * inner + 16 * inner + inner
    assert n_learnt(block) == expected + inner * width
    assert torch.equal(block.log_rates.exp().round(), torch.arange(1.0, 17)[:, None].expand(16, inner))
    steps = F.softplus(block.step.bias)
    assert steps.min() >= 0.001 * 0.999
    assert steps.max() <= 0.1 * 1.001
    # Uniform on a logarithmic scale: half lie below the geometric mean.
    assert (steps < 0.01).float().mean() == pytest.approx(0.5, abs=0.3)
    assert torch.equal(block.skip, torch.ones(inner))


def test_autocast_leaves_the_recurrence_in_float32() -> None:
    block = made(16).float()
    tokens = torch.randn(4, 30, 16, generator=torch.Generator().manual_seed(3))
    with torch.autocast("cpu", torch.bfloat16):
        found = block(tokens)
        given = [tensor.bfloat16() for tensor in inputs(2, 5, 4, 3)]
        assert selective_scan(*given).dtype == torch.float32
    torch.testing.assert_close(selective_scan(*given).double(), by_loops(*given).double(), rtol=1e-2, atol=1e-2)
    assert (found.float() - block(tokens)).abs().max() < 0.05 * block(tokens).abs().max()
