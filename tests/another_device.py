"""A device that computes on the host and is as strict as an accelerator, to find without one what fails on one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map, tree_map_only

# PyTorch knows the device, and has no memory of its own for it.
DEVICE = torch.device("meta")
HOST = torch.device("cpu")
_ops = torch.ops.aten
_ADAMW = torch.optim.AdamW
_INDEXING = (_ops.index.Tensor, _ops.index_put.default, _ops.index_put_.default, _ops._index_put_impl_.default)


class DeviceError(RuntimeError):
    """An operation got tensors, or a generator, of two devices."""


class There(Tensor):
    """A tensor on the device.

    Args:
        held: its values, on the host.
    """

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> There:
        return Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=DEVICE,
        )  # fmt: skip

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def new_tensor(self, data: Any, **options: Any) -> Tensor:
        return torch.tensor(data, **{"dtype": self.dtype, "device": DEVICE, **options})

    def tolist(self) -> Any:
        return self.held.tolist()

    def __repr__(self) -> str:
        return f"There({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


class ThereGenerator(torch.Generator):
    """A generator that says of which device it is; its numbers are those of the host."""

    its_device: torch.device

    def __new__(cls, device: torch.device | str = HOST) -> ThereGenerator:
        made = super().__new__(cls)
        made.its_device = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:
        return self.its_device


class _Asking(TorchFunctionMode):
    """Looks at what an operation is called with, as long as generators and lists are what they were."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        generator = kwargs.get("generator")
        if generator is not None:
            tensors = [value for value in args if isinstance(value, Tensor)]
            target = torch.device(kwargs.get("device") or (tensors[0].device if tensors else HOST))
            if generator.device != target:
                raise DeviceError(f"{func}: expected a generator of {target}, got one of {generator.device}")
        if func is torch.tensor:
            # Of this device PyTorch would not keep the values.
            device = kwargs.pop("device", None) or HOST
            return func(*args, **kwargs).to(device)
        return func(*args, **kwargs)


class _Computing(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


def compute(func: Any, args: Any, kwargs: Any) -> Any:
    """Compute on the host what an operation gives, and put it where the operation says."""
    given = tree_flatten((args, kwargs))[0]
    is_there = any(isinstance(value, There) for value in given)
    target = kwargs.get("device")
    target = (DEVICE if is_there else HOST) if target is None else torch.device(target)
    if is_there and func is not _ops.copy_.default:
        # Indices of what is on an accelerator may be on the host, and so may numbers without dimensions.
        bound = [args[0], *args[2:3]] if func in _INDEXING and isinstance(args[0], There) else given
        if any(isinstance(value, Tensor) and not isinstance(value, There) and value.ndim for value in bound):
            raise DeviceError(f"{func}: expected all tensors to be on one device, got {HOST} and {DEVICE}")
    if "device" in kwargs:
        kwargs = {**kwargs, "device": HOST}
    here, options = tree_map_only(There, lambda value: value.held, (args, kwargs))
    found = func(*here, **options)
    if target != DEVICE or func is _ops._local_scalar_dense.default:
        return found
    found = tree_map(lambda value: There(value) if isinstance(value, Tensor) else value, found)
    return return_and_correct_aliasing(func, args, kwargs, found) if is_there else found


def _without_fused(parameters: Any, **options: Any) -> torch.optim.AdamW:
    return _ADAMW(parameters, **{**options, "fused": False})


@contextlib.contextmanager
def another_device() -> Iterator[torch.device]:
    """Make the device usable and give it."""
    with (
        mock.patch.object(torch, "Generator", ThereGenerator),
        # It knows by name what autocasts, and has a fused optimiser.
        mock.patch.object(torch, "autocast", return_value=contextlib.nullcontext()),
        mock.patch.object(torch.optim, "AdamW", _without_fused),
        _Asking(),
        _Computing(),
    ):
        yield DEVICE


def to_host(tensor: Tensor) -> Tensor:
    """Return the values of a tensor, wherever it is."""
    return (tensor.held if isinstance(tensor, There) else tensor).detach()
