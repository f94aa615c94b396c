"""A Mamba block: a linear recurrence along the tokens whose rates depend on the tokens.

Source: Gu and Dao 2023, arXiv 2312.00752, algorithm 2 and figure 3, with the sizes and initial values of
state-spaces/mamba: 16 states per channel, a causal convolution over 4 tokens, twice the width inside.
Differs: the recurrence runs token by token, many sequences at once, not as a parallel scan: the sequences here are the
pixels of a patch. What decays in training (AdamW's weight decay) includes the rates, which the authors leave out.
Cost: of a token of w numbers, about 6 * w^2 + 200 * w multiplications and 32 * w exponentials; in training three times
that.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# On CPU so many sequences are scanned at once that their state stays in a core's cache: 1.8 times as fast.
_CACHE_BYTES = 2**19


def selective_scan(x: Tensor, delta: Tensor, rates: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return (n, length, width) the outputs c_t . h_t of h_t = exp(delta_t * rates) * h_(t-1) + delta_t * x_t * b_t.

    States h are (states, width), zero before the first token. At least float32 inside and out, also under autocast.

    Args:
        x: (n, length, width) input.
        delta: (n, length, width) steps, >= 0.
        rates: (states, width) of decay, < 0.
        b: (n, length, states) what enters the states.
        c: (n, length, states) what is read from them.

    Cost: n * length * states * width multiplications and exponentials, three times that in training; the states of some
    sequences are held, as many as fit ``_CACHE_BYTES`` per token on CPU and all on other devices.
    """
    kept = torch.promote_types(x.dtype, torch.float32)
    x, delta, rates, b, c = (given.to(kept) for given in (x, delta, rates, b, c))
    with torch.autocast(x.device.type, enabled=False):
        found: Tensor = _Scan.apply(delta * x, delta, rates, b, c)
    return found


class Mamba(nn.Module):
    """Expand, convolve, select and scan, gate, contract.

    Args:
        width: numbers per token.
        n_states: states per channel.
        kernel: tokens that the convolution sees, the last one its own.
        expand: channels inside per number of a token.
    """

    def __init__(self, width: int, n_states: int = 16, kernel: int = 4, expand: int = 2) -> None:
        super().__init__()
        inner = expand * width
        rank = math.ceil(width / 16)
        self.sizes = (rank, n_states, n_states)
        self.enter = nn.Linear(width, 2 * inner, bias=False)
        # Of one channel each, as torch.nn.Conv1d draws them.
        bound = kernel**-0.5
        self.kernel = nn.Parameter(torch.empty(kernel, inner).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(inner).uniform_(-bound, bound))
        self.select = nn.Linear(inner, sum(self.sizes), bias=False)
        self.step = nn.Linear(rank, inner)
        nn.init.uniform_(self.step.weight, -(rank**-0.5), rank**-0.5)
        # Steps are between 0.001 and 0.1 at first, on a logarithmic scale; the bias is what softplus turns into them.
        steps = torch.empty(inner).uniform_(math.log(0.001), math.log(0.1)).exp()
        self.step.bias.data = steps + (-torch.expm1(-steps)).log()
        self.log_rates = nn.Parameter(torch.arange(1.0, n_states + 1).log()[:, None].repeat(1, inner))
        self.skip = nn.Parameter(torch.ones(inner))
        self.leave = nn.Linear(inner, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (n, length, width) of tokens (n, length, width); each depends on itself and those before it."""
        x, gate = self.enter(tokens).chunk(2, dim=2)
        x = F.silu(self._convolved(x))
        step, b, c = self.select(x).split(self.sizes, dim=2)
        y = selective_scan(x, F.softplus(self.step(step)), -self.log_rates.exp(), b, c)
        found: Tensor = self.leave((y + self.skip * x) * F.silu(gate))
        return found

    def _convolved(self, x: Tensor) -> Tensor:
        """Return the causal convolution of every channel: a sum of shifted tokens, which stay whole in memory."""
        length, kernel = x.shape[1], len(self.kernel)
        padded = F.pad(x, (0, 0, kernel - 1, 0))
        found = self.bias
        for i, weights in enumerate(self.kernel):
            found = found + weights * padded[:, i : i + length]
        return found


class _Scan(torch.autograd.Function):
    """The recurrence and its gradient. States are computed again for the gradient, not kept until then.

    With g_t the gradient of h_t: g_t = exp(delta_(t+1) * rates) * g_(t+1) + c_t * (gradient of output t).
    """

    @staticmethod
    def forward(ctx: Any, driven: Tensor, delta: Tensor, rates: Tensor, b: Tensor, c: Tensor) -> Tensor:
        ctx.save_for_backward(driven, delta, rates, b, c)
        return torch.cat([_scan(rates, *some) for some in _parts(rates, driven, delta, b, c)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        driven, delta, rates, b, c = ctx.saved_tensors
        of_rates = torch.zeros_like(rates)
        found = [_gradients(rates, of_rates, *some) for some in _parts(rates, driven, delta, b, c, grad)]
        of_driven, of_delta, of_b, of_c = (torch.cat(parts) for parts in zip(*found, strict=True))
        return of_driven, of_delta, of_rates, of_b, of_c


def _scan(rates: Tensor, driven: Tensor, delta: Tensor, b: Tensor, c: Tensor, kept: Tensor | None = None) -> Tensor:
    """Return (n, length, width) outputs; ``kept`` (length, n, states, width) receives the states."""
    n, length, width = driven.shape
    state = driven.new_zeros(n, *rates.shape)
    decay = torch.empty_like(state)
    out = driven.new_empty(length, n, 1, width)
    inputs = (_rows(driven), _rows(delta), _columns(b), _rows(c), out.unbind())
    for t, (driven_t, delta_t, b_t, c_t, out_t) in enumerate(zip(*inputs, strict=True)):
        torch.mul(delta_t, rates, out=decay)
        state.mul_(decay.exp_())
        state.addcmul_(b_t, driven_t)
        torch.bmm(c_t, state, out=out_t)
        if kept is not None:
            kept[t] = state
    return out[:, :, 0].transpose(0, 1)


def _gradients(
    rates: Tensor, of_rates: Tensor, driven: Tensor, delta: Tensor, b: Tensor, c: Tensor, grad: Tensor
) -> tuple[Tensor, ...]:
    """Return the gradients with respect to ``driven``, ``delta``, ``b`` and ``c``, and add to ``of_rates``."""
    n, length, width = driven.shape
    states = driven.new_empty(length, n, *rates.shape)
    _scan(rates, driven, delta, b, c, kept=states)
    of_state = torch.zeros_like(states[0])
    decay = torch.empty_like(of_state)
    of_driven, of_delta = driven.new_empty(length, n, 1, width), driven.new_zeros(length, n, 1, width)
    of_b, of_c = (driven.new_empty(length, n, len(rates), 1) for _ in range(2))
    driven_of, delta_of, grad_of, b_of, c_of = _columns(driven), _rows(delta), _rows(grad), _rows(b), _columns(c)
    for t in reversed(range(length)):
        of_state.addcmul_(c_of[t], grad_of[t])
        torch.bmm(states[t], grad_of[t].mT, out=of_c[t])
        torch.bmm(b_of[t], of_state, out=of_driven[t])
        torch.bmm(of_state, driven_of[t], out=of_b[t])
        # Before the first token there is nothing to decay.
        if t > 0:
            torch.mul(delta_of[t], rates, out=decay)
            of_state.mul_(decay.exp_())
            torch.mul(of_state, states[t - 1], out=decay)
            of_rates += (decay * delta_of[t]).sum(dim=0)
            torch.sum(decay.mul_(rates), dim=1, keepdim=True, out=of_delta[t])
    return tuple(found.flatten(2).transpose(0, 1) for found in (of_driven, of_delta, of_b, of_c))


def _parts(rates: Tensor, *given: Tensor) -> list[tuple[Tensor, ...]]:
    """Return ``given`` in parts of some sequences."""
    n = len(given[0])
    if given[0].device.type == "cpu":
        n = max(1, _CACHE_BYTES // (rates.numel() * rates.element_size()))
    return list(zip(*(tensor.split(n) for tensor in given), strict=True))


def _rows(given: Tensor) -> tuple[Tensor, ...]:
    """Return (n, 1, size) of every token of (n, length, size), each whole in memory."""
    return given.transpose(0, 1).contiguous()[:, :, None].unbind()


def _columns(given: Tensor) -> tuple[Tensor, ...]:
    """Return (n, size, 1) of every token of (n, length, size), each whole in memory."""
    return given.transpose(0, 1).contiguous()[..., None].unbind()
