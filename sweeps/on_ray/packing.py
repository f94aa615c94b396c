"""How many fits share a GPU, and what is done when memory does not suffice. Plain arithmetic: no Ray, no device."""

from __future__ import annotations

import math
from dataclasses import dataclass

# A CUDA context with the kernels that are loaded into it: 300 to 600 MiB on today's cards.
CONTEXT_MIB = 600.0
# A fit may take this much more than the first one did, and a GPU is never filled beyond this share of what is free.
_FIT_MARGIN = 1.2
_GPU_SHARE = 0.9
# Ray counts GPUs in ten-thousandths.
_SMALLEST_SHARE = 1e-4


@dataclass(frozen=True)
class Room:
    """What a fit is given of its machine.

    Attributes:
        cpus: processors. A fit computes in one thread; more than one only keeps others away.
        gpus: GPUs, or below 1 the share of one.
    """

    cpus: float = 1.0
    gpus: float = 0.0

    def doubled(self, most_cpus: float) -> Room | None:
        """Return twice the room: half the fits beside each other. None where a fit has a whole machine or GPU already.

        Args:
            most_cpus: processors of the largest machine.
        """
        if self.gpus:
            return Room(self.cpus, min(1.0, 2 * self.gpus)) if self.gpus < 1 else None
        return Room(min(most_cpus, 2 * self.cpus)) if self.cpus < most_cpus else None


def share_of_gpu(used_mib: float | None, free_mib: float | None) -> float:
    """Return the share of a GPU that a fit needs, by what the first one took of the GPU that it had for itself.

    A fifth is added for fits that need more than the first, and a tenth of the GPU stays free. Shares are one over a
    whole number, so that they fill a GPU.

    Args:
        used_mib: memory that the first fit's process took: its tensors, what the allocator keeps, the CUDA context.
        free_mib: memory that was free before. Either is None where it could not be measured; the fit is then given
            a GPU of its own.

    Returns:
        1, 1/2, 1/3 and so on.
    """
    if not used_mib or not free_mib:
        return 1.0
    n_fits = math.floor(_GPU_SHARE * free_mib / (_FIT_MARGIN * used_mib))
    return max(_SMALLEST_SHARE, 1.0 / max(1, n_fits))
