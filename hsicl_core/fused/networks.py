"""The encoders and heads of several trainings as one network: grouped convolutions, batched linear layers.

Convolutions in groups were the fastest of three forms on CPU: 0.8 to 1.1 times as fast as one network after the other,
where batched products of unfolded patches were at 0.3 to 0.6. vmap makes the same grouped convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hsicl_core.encoder import Encoder, ProjectionHead


class StackedNetworks:
    """Encoders and heads of equal shape, trained as one.

    The weights of all members lie in one tensor for each layer; the members' own modules are views of it, so that they
    can be read at any time. ``release`` gives a member its own memory back.

    Args:
        encoders: of M members, in training mode.
        heads: of the members.
    """

    def __init__(self, encoders: Sequence[Encoder], heads: Sequence[ProjectionHead]) -> None:
        # Of all members, layer by layer.
        self._layers = [
            list(same)
            for same in (
                *zip(*(encoder.layers for encoder in encoders), strict=True),
                *zip(*heads, strict=True),
            )
        ]
        self._n_convolutional = len(encoders[0].layers)
        self._stack()

    def __len__(self) -> int:
        return len(self._layers[0])

    @property
    def parameters(self) -> list[Tensor]:
        """What is learnt: leaves (M, ...)."""
        return [leaf for learnt in self._learnt for leaf in learnt.values()]

    def __call__(self, patches: Tensor) -> Tensor:
        """Return (M, n, out) projections of (M * n, channels, size, size) patches, the first member's first."""
        n_members = len(self)
        spectra = patches.permute(0, 2, 3, 1).unflatten(0, (n_members, -1))
        # The members' channels side by side: what a convolution in groups takes.
        x = spectra.permute(1, 2, 3, 0, 4).flatten(3).permute(0, 3, 1, 2)
        for place in range(self._n_convolutional):
            x = self._apply(place, x)
        z = x.mean(dim=(2, 3)).unflatten(1, (n_members, -1)).transpose(0, 1)
        for place in range(self._n_convolutional, len(self._layers)):
            z = self._apply(place, z)
        return z

    def keep(self, members: Sequence[int]) -> None:
        """Go on with these members only; the others get their own memory."""
        for layer in self._layers:
            for member in set(range(len(layer))) - set(members):
                release(layer[member])
            layer[:] = [layer[member] for member in members]
        if members:
            self._stack()

    def release(self) -> None:
        """Give every member its own memory."""
        for layer in self._layers:
            for module in layer:
                release(module)

    def _stack(self) -> None:
        self._learnt = [_stacked(dict(layer[0].named_parameters()), layer, is_learnt=True) for layer in self._layers]
        self._kept = [_stacked(dict(layer[0].named_buffers()), layer, is_learnt=False) for layer in self._layers]

    def _apply(self, place: int, x: Tensor) -> Tensor:
        first = self._layers[place][0]
        return _FORMS[type(first)](first, self._learnt[place], self._kept[place], x)


def _stacked(of_first: dict[str, Tensor], layer: Sequence[nn.Module], *, is_learnt: bool) -> dict[str, Tensor]:
    """Return the tensors of a layer stacked over the members, whose own become views of them."""
    stacked = {}
    for name in of_first:
        own = [getattr(module, name) for module in layer]
        # Stacked as they lie in memory: (out, in, height, width) of a convolution is channels-last.
        axes = sorted(range(own[0].dim()), key=lambda axis: -own[0].stride(axis))
        back = sorted(range(len(axes)), key=axes.__getitem__)
        data = torch.stack([tensor.detach().permute(axes) for tensor in own]).permute(0, *(1 + axis for axis in back))
        for module, view in zip(layer, data, strict=True):
            if is_learnt:
                getattr(module, name).data = view
            else:
                setattr(module, name, view)
        stacked[name] = data.requires_grad_() if is_learnt else data
    return stacked


def release(module: nn.Module) -> None:
    """Give a module its own memory, where it is a view of a stack."""
    for parameter in module.parameters():
        parameter.data = parameter.data.clone()
        parameter.grad = None
    for name, buffer in list(module.named_buffers()):
        setattr(module, name, buffer.clone())


def _convolve(layer: nn.Conv2d, learnt: dict[str, Tensor], kept: dict[str, Tensor], x: Tensor) -> Tensor:
    weight = learnt["weight"]
    return F.conv2d(x, weight.flatten(0, 1), groups=len(weight))


def _normalise(layer: nn.BatchNorm2d, learnt: dict[str, Tensor], kept: dict[str, Tensor], x: Tensor) -> Tensor:
    kept["num_batches_tracked"] += 1
    return F.batch_norm(
        x, kept["running_mean"].view(-1), kept["running_var"].view(-1), learnt["weight"].view(-1),
        learnt["bias"].view(-1), training=True, momentum=layer.momentum or 0.0, eps=layer.eps,
    )  # fmt: skip


def _rectify(layer: nn.ReLU, learnt: dict[str, Tensor], kept: dict[str, Tensor], x: Tensor) -> Tensor:
    return F.relu(x, inplace=True)


def _project(layer: nn.Linear, learnt: dict[str, Tensor], kept: dict[str, Tensor], x: Tensor) -> Tensor:
    return torch.baddbmm(learnt["bias"][:, None].to(x.dtype), x, learnt["weight"].transpose(1, 2).to(x.dtype))


# How the layers of encoder and head are computed for all members at once.
_FORMS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Conv2d: _convolve,
    nn.BatchNorm2d: _normalise,
    nn.ReLU: _rectify,
    nn.Linear: _project,
}
