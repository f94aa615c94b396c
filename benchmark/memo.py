"""Memo: what several fits of one scene share in this process, computed once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

from benchmark.node_cache import computed_once


class Memo:
    """The latest results by key. A key must name everything that the result depends on.

    Args:
        size: results kept, >= 1; the one unused for longest goes first.
    """

    def __init__(self, size: int = 16) -> None:
        self._size = size
        self._results: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """Return the result under ``key``, computing it if it is not kept. Callers must not change it in place."""
        if key not in self._results:
            self._results[key] = compute()
            while len(self._results) > self._size:
                self._results.popitem(last=False)
        self._results.move_to_end(key)
        return self._results[key]


class ScopedMemo:
    """A memo whose keys are all prefixed, so that fits of different scenes or devices never meet."""

    def __init__(self, memo: Memo, *scope: Hashable) -> None:
        self._memo = memo
        self._scope = scope

    def get(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """Return the result under ``key`` inside the scope. See ``Memo.get``."""
        return self._memo.get((*self._scope, key), compute)

    def get_on_node(
        self, key: Hashable, compute: Callable[[], Sequence[torch.Tensor]], device: torch.device
    ) -> tuple[torch.Tensor, ...]:
        """Return what ``get`` does, computed once on this machine. See ``benchmark.node_cache.computed_once``.

        The scope must tell scenes and pixels apart by their content: other processes have others under it.
        """
        full = (*self._scope, key)
        tensors: tuple[torch.Tensor, ...] = self._memo.get(full, lambda: computed_once(full, compute, device))
        return tensors
