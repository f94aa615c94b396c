"""The mined loss over plain NT-Xent: what choosing the negatives costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.computing import in_threads
from benchmark.speed.claims.base import NOT_MEASURED, Bound, Claim, Row
from benchmark.speed.timing import alternate, ratio
from hsicl_core.mined_contrastive import mined_contrastive_loss

_DIM = 64
_REPEATS = {1024: 31, 4096: 11}


class MinedLoss(Claim):
    """``mined_contrastive_loss`` with its usual budget of 128, forward and backward, over NT-Xent as cross-entropy.

    The latter is the common form: similarities over the temperature, the diagonal at minus infinity, ``cross_entropy``.
    """

    title: ClassVar[str] = "Mined loss"

    def measure(self, device: torch.device) -> Iterator[Row]:
        """See ``Claim``."""
        for n_rows, repeats in _REPEATS.items():
            what = f"mined loss over NT-Xent, forward and backward, {n_rows} rows x {_DIM}, budget 128, 16 pseudolabels"
            mined, plain = _sides(n_rows, device)
            for n_threads in (1, 2) if device.type == "cpu" else (None,):
                with in_threads(n_threads):
                    taken = alternate(mined, plain, repeats=repeats, warm_up=2, device=device)
                yield Row(
                    what=what, device=device.type, n_threads=n_threads, bound=Bound(most=1.5), figure=ratio(*taken)
                )  # fmt: skip
            if device.type == "cpu":
                yield Row(what=what, device="cuda", bound=Bound(most=1.5), note=NOT_MEASURED)


def _sides(n_rows: int, device: torch.device) -> tuple[Callable[[], object], Callable[[], object]]:
    generator = torch.Generator().manual_seed(0)
    z0, z1 = torch.randn(2, n_rows // 2, _DIM, generator=generator).to(device)
    labels = torch.randint(16, (n_rows // 2,), generator=generator).to(device)
    leaves = z0.requires_grad_(), z1.requires_grad_()

    def mined() -> tuple[Tensor, ...]:
        return torch.autograd.grad(mined_contrastive_loss(*leaves, labels, n_negatives=128), leaves)

    def plain() -> tuple[Tensor, ...]:
        return torch.autograd.grad(nt_xent(*leaves, temperature=0.1), leaves)

    return mined, plain


def nt_xent(z0: Tensor, z1: Tensor, *, temperature: float) -> Tensor:
    """Return NT-Xent (arXiv 2002.05709, eq. 1) of two views (batch, dim), as it is usually written."""
    z = F.normalize(torch.cat([z0, z1]), dim=1)
    logits = z @ z.T / temperature
    logits.fill_diagonal_(-torch.inf)
    rows = len(z)
    return F.cross_entropy(logits, (torch.arange(rows, device=z.device) + rows // 2) % rows)
