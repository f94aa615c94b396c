"""The optimiser steps of several trainings as one: AdamW with rates, decay and clipping of each member's own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hsicl_core.fused.networks import StackedNetworks
from hsicl_core.training import Training

# Those of torch.optim.AdamW.
_BETAS = (0.9, 0.999)
_EPS = 1e-8


class StackedSteps:
    """AdamW (arXiv 1711.05101) of stacked parameters, as ``hsicl_core.training.Steps`` does it for each member.

    Args:
        trainings: of the members; equally long.
        networks: what is trained.
    """

    def __init__(self, trainings: Sequence[Training], networks: StackedNetworks) -> None:
        self._trainings = list(trainings)
        self._networks = networks
        self._n_taken = 0
        flat = self._flat(networks.parameters)
        self._mean = torch.zeros_like(flat)
        self._square = torch.zeros_like(flat)
        self._settle()

    def take(self, step: int, loss: Tensor) -> None:
        """Step down the gradient of ``loss``, the sum over the members.

        What a member's loss is no other's parameters depend on, so that the gradient of the sum is that of each.
        """
        parameters = self._networks.parameters
        gradients = self._flat(list(torch.autograd.grad(loss, parameters)))
        with torch.no_grad():
            norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
            # As torch.nn.utils.clip_grad_norm_ has it.
            gradients *= (self._clip_norms / (norms + 1e-6)).clamp(max=1.0)
            self._n_taken += 1
            rates = self._column([training.rate_at(step) for training in self._trainings])
            self._mean.lerp_(gradients, 1 - _BETAS[0])
            self._square.mul_(_BETAS[1]).addcmul_(gradients, gradients, value=1 - _BETAS[1])
            first, second = (1 - beta**self._n_taken for beta in _BETAS)
            # A tensor for the step size: each member has its own.
            change = self._mean / (self._square.sqrt() / second**0.5 + _EPS) * (rates / first)
            updated = self._flat(parameters) * (1 - rates * self._decays) - change
            torch._foreach_copy_(parameters, self._unflat(updated, parameters))

    def keep(self, members: Sequence[int]) -> None:
        """Go on with these members only; called after the networks' ``keep``."""
        chosen = torch.tensor(list(members), device=self._mean.device)
        self._trainings = [self._trainings[member] for member in members]
        self._mean, self._square = self._mean[chosen], self._square[chosen]
        self._settle()

    def _settle(self) -> None:
        self._clip_norms = self._column([training.clip_norm for training in self._trainings])
        self._decays = self._column([training.weight_decay for training in self._trainings])

    def _column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=self._mean.dtype, device=self._mean.device)[:, None]

    @staticmethod
    def _flat(tensors: Sequence[Tensor]) -> Tensor:
        """Return (M, all) of tensors (M, ...)."""
        return torch.cat([tensor.detach().flatten(1) for tensor in tensors], dim=1)

    @staticmethod
    def _unflat(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
        parts = flat.split([tensor[0].numel() for tensor in like], dim=1)
        return [part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True)]
