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

    def __call__(self, patches: Tensor, generator: torch.Generator) -> Tensor:
        """Return patches with half of their channels."""
        n, channels = patches.shape[:2]
        drawn = torch.randint(2, (n, 1), generator=generator, device=patches.device)
        kept = torch.arange(channels, device=patches.device) % 2 == drawn
        return patches * kept[:, :, None, None]
