"""What the sources that see true labels share."""

from __future__ import annotations

import torch
from torch import Tensor

from hsicl_core.errors import InvalidValueError


def known_labels(labels: Tensor | None, n: int, source: str) -> Tensor:
    """Return ``labels`` (n,) as int64 on the host, -1 = unknown.

    Raises:
        InvalidValueError: no labels, or not ``n`` of them.
    """
    if labels is None:
        raise InvalidValueError(f"pseudolabel source {source!r} needs labels, got labels=None: pass fit(labels=...)")
    if labels.shape != (n,):
        raise InvalidValueError(
            f"labels have shape {tuple(labels.shape)}, they must be ({n},), one per feature vector, -1 = unknown"
        )
    return torch.as_tensor(labels).detach().cpu().long()
