"""The contract of a view: a random change of a whole batch of patches on its device."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor


class View:
    """A random change that keeps a patch's class, of the patch itself or of the place where it is cut.

    One of two forms: ``__call__`` alone, or ``draw`` and ``apply``, where chance is drawn apart from its use, so that
    patches of several generators can be changed at once; that is faster.

    Attributes:
        looks_across: whether what ``apply`` makes of a patch depends on the others.
    """

    looks_across: ClassVar[bool] = False

    @property
    def draws_apart(self) -> bool:
        """Whether the view has the second form."""
        return type(self).__call__ is View.__call__

    def move(self, pixels: Tensor, allowed: Tensor, generator: torch.Generator) -> Tensor:
        """Return the pixels (n,) around which the second view's patches are cut; the first view's stay.

        Args:
            pixels: (n,) int64 flat indices.
            allowed: (height, width) bool, where a patch may be cut.
            generator: source of all draws, on the device of ``pixels``.
        """
        return pixels

    def draw(self, shape: torch.Size, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return what ``apply`` needs of chance, each with one row for each patch.

        Args:
            shape: (n, channels, size, size) of the patches.
            generator: source of all draws; its device is the patches'.
        """
        raise NotImplementedError(f"{type(self).__name__} has no draw: give it draw and apply, or __call__ alone")

    def apply(self, patches: Tensor, *drawn: Tensor) -> Tensor:
        """Return changed patches of the same shape and memory format; the input is left as it was.

        Args:
            patches: (n, channels, size, size), channels-last.
            drawn: what ``draw`` gave for these patches.
        """
        raise NotImplementedError(f"{type(self).__name__} has no apply: give it draw and apply, or __call__ alone")

    def places(self, side: int, *drawn: Tensor) -> Tensor | None:
        """Return (n, side * side) int64 from which place of its patch each place is taken, row by row.

        Only of a view that does nothing else; None from any other. It is then taken into the gather of the patches.
        """
        return None

    def __call__(self, patches: Tensor, generator: torch.Generator) -> Tensor:
        """Return patches changed by fresh draws. See ``apply``."""
        return self.apply(patches, *self.draw(patches.shape, generator))


def apply_views(views: Iterable[View], patches: Tensor, generator: torch.Generator) -> Tensor:
    """Return the patches changed by all views in order; the input is left as it was."""
    for view in views:
        patches = view(patches, generator)
    return patches


MEMBER: Any = View
