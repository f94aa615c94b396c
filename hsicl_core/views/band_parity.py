"""Every other channel set to 0: neighbouring bands tell nearly the same, so either half keeps the class.

**Source:** the odd/even band mask of the public code chenning0115/hyperclassification (no publication describes it).
**Differs:** there one view keeps the odd and the other the even bands; here each view of each patch draws its parity by
itself, so that the two views keep the same half in half of the cases. On principal components, which are not alike from
one to the next, this is a mask of components: the first ones, with most of the variance, go with the even half.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.views.base import View


class BandParity(View):
    """Keeps the even-numbered or the odd-numbered channels of each patch, evenly drawn, and sets the others to 0."""

    def draw(self, shape: torch.Size, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return which half is kept, (n, 1)."""
        return (torch.randint(2, (shape[0], 1), generator=generator, device=generator.device),)

    def apply(self, patches: Tensor, *drawn: Tensor) -> Tensor:
        """Return patches with half of their channels."""
        (half,) = drawn
        kept = torch.arange(patches.shape[1], device=patches.device) % 2 == half
        return patches * kept[:, :, None, None]
