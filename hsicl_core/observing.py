"""Observer: told what happens during training, so that quality can be measured without the method seeing a label."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from hsicl_core.miners.base import Mask


class Observer(Protocol):
    """Watches training. Nothing it is told comes back to the method."""

    def saw_pseudo_labels(self, pixels: Tensor, pseudo_labels: Tensor) -> None:
        """Take the pseudolabels (n,) of the pixels (n,), flat indices."""

    def wants(self, step: int) -> bool:
        """Return whether the mask of this step is to be shown; showing all of them would cost time."""

    def saw_mask(self, step: int, pixels: Tensor, mask: Mask) -> None:
        """Take the mask of a step whose batch was drawn from ``pixels`` (batch,), flat indices."""


class SilentObserver:
    """An observer that wants nothing."""

    def saw_pseudo_labels(self, pixels: Tensor, pseudo_labels: Tensor) -> None:
        """Do nothing."""

    def wants(self, step: int) -> bool:
        """Return False."""
        return False

    def saw_mask(self, step: int, pixels: Tensor, mask: Mask) -> None:
        """Do nothing."""
