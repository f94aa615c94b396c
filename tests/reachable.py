"""What can be reached from an object, and whether the labels of a scene are among it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

# Through these everything in the process can be reached, whatever an object holds.
_CODE = (type, ModuleType)


def everything_from(root: object) -> Iterator[object]:
    """Yield every object that attributes, items, closures and references lead to; not classes, modules and globals."""
    known: dict[int, object] = {}
    waiting: list[object] = [root]
    while waiting:
        found = waiting.pop()
        if id(found) in known or isinstance(found, _CODE):
            continue
        # Kept, so that no later object gets the same id.
        known[id(found)] = found
        yield found
        waiting += _referents(found)


def _referents(found: object) -> list[Any]:
    if isinstance(found, FunctionType):
        parts = (found.__closure__, found.__defaults__, found.__kwdefaults__, found.__dict__)
        return [part for part in parts if part is not None]
    referents = list(gc.get_referents(found))
    if isinstance(found, weakref.ref):
        referents.append(found())
    if isinstance(found, np.ndarray):
        referents.append(found.base)
    if isinstance(found, torch.Tensor):
        referents.append(found._base)
    return referents


def holds_labels(found: object, labels: NDArray[np.int64], hidden: NDArray[np.bool_]) -> bool:
    """Return whether an object is a map, or the memory of one, with the right label on every hidden pixel.

    Args:
        found: any object.
        labels: (n,) true labels.
        hidden: (n,) whether the pixel's label may not be seen.
    """
    if isinstance(found, torch.Tensor):
        memory = torch.empty(0, dtype=found.dtype, device=found.device).set_(found.untyped_storage())
        values = memory.detach().cpu().float().numpy()
    elif isinstance(found, np.ndarray | list | tuple):
        try:
            values = np.asarray(found, dtype=np.float64).reshape(-1)
        except (TypeError, ValueError):
            return False
    else:
        return False
    return values.size == labels.size and bool((values[hidden] == labels[hidden]).all())
