"""The loss in tiles on a batch whose table of similarities would not fit: its memory, and what the tiles cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
from torch import Tensor

from benchmark.computing import in_threads
from benchmark.speed.claims.base import NOT_MEASURED, Bound, Claim, Row
from benchmark.speed.fresh_process import NO_PEAK, Memory, in_a_fresh_process, memory_of
from benchmark.speed.timing import Figure, alternate, ratio, seconds
from hsicl_core.mined_contrastive import mined_contrastive_loss
from hsicl_core.tiled import tiled_mined_contrastive_loss

_DIM = 128
# Rows of both views together. A fourth as many show how memory grows, the dense form is compared at a sixteenth.
_LARGE, _SMALL, _DENSE, _WARM_UP = 65_536, 16_384, 4096, 256
_REPEATS = 5
_THREADS = (1, 2)

Loss = Callable[..., Tensor]


class TiledLoss(Claim):
    """``tiled_mined_contrastive_loss``, usual budget of 128, forward and backward, and against the dense form.

    Memory is that of a fresh process, which has nothing in it but the loss and its inputs, after a warm-up on few rows.
    """

    title: ClassVar[str] = "Loss in tiles"

    def measure(self, device: torch.device) -> Iterator[Row]:
        """See ``Claim``."""
        threads = _THREADS if device.type == "cpu" else (None,)
        large, taken = in_a_fresh_process(_memory_and_seconds, _LARGE, threads[-1], device.type)
        small, _ = in_a_fresh_process(_memory_and_seconds, _SMALL, threads[-1], device.type)
        rows = [*_of_memory(device, threads[-1], large, small, taken), _of_gradient(device, threads[0])]
        yield from rows
        for n_threads in threads:
            rows.append(_of_time(device, n_threads))
            yield rows[-1]
        if device.type == "cpu":
            note = f"{NOT_MEASURED}; the tiles are plain torch there too, no Triton kernel exists"
            for what, (unit, bound) in {row.what: (row.unit, row.bound) for row in rows}.items():
                yield Row(what=what, unit=unit, device="cuda", bound=bound, note=note)


def _inputs(n_rows: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return two views (n_rows / 2, dim) that ask for gradients, and (n_rows / 2,) int64 pseudolabels."""
    generator = torch.Generator().manual_seed(0)
    z0, z1 = (torch.randn(n_rows // 2, _DIM, generator=generator).to(device).requires_grad_() for _ in range(2))
    return z0, z1, torch.randint(16, (n_rows // 2,), generator=generator).to(device)


def _gradients(loss: Loss, inputs: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return (n_rows, dim) gradients, forward and backward."""
    return torch.cat(torch.autograd.grad(loss(*inputs, n_negatives=128), inputs[:2]))


def _memory_and_seconds(n_rows: int, n_threads: int | None, device_type: str) -> tuple[Memory | None, float]:
    device, taken = torch.device(device_type), []
    with in_threads(n_threads):
        _gradients(tiled_mined_contrastive_loss, _inputs(_WARM_UP, device))
        inputs = _inputs(n_rows, device)

        def run() -> None:
            taken.append(seconds(lambda: _gradients(tiled_mined_contrastive_loss, inputs), device))

        return memory_of(run, device), taken[0]


def _of_memory(
    device: torch.device, n_threads: int | None, large: Memory | None, small: Memory | None, taken: float
) -> Iterator[Row]:  # fmt: skip
    whole = f"peak of the whole process, loss in tiles, {_LARGE:,} rows x {_DIM}, budget 128, 16 pseudolabels"
    growth = f"memory beyond the inputs of the loss in tiles, {_LARGE:,} rows over {_SMALL:,}"
    peak, grown = Bound(most=1000), Bound(most=_LARGE / _SMALL)
    if large is None or small is None:
        yield Row(what=whole, unit="MiB", device=device.type, n_threads=n_threads, bound=peak, note=NO_PEAK)
        yield Row(what=growth, device=device.type, n_threads=n_threads, bound=grown, note=NO_PEAK)
        return
    table_mib = _LARGE**2 * 4 / 2**20
    yield Row(
        what=whole, unit="MiB", device=device.type, n_threads=n_threads, bound=peak,
        figure=Figure.of([large.whole_mib]),
        note=f"in {taken:,.0f} s; one table of all similarities would take {table_mib:,.0f} MiB",
    )  # fmt: skip
    yield Row(
        what=growth, device=device.type, n_threads=n_threads, bound=grown,
        figure=Figure.of([large.beyond_mib / small.beyond_mib]),
        note=f"{large.beyond_mib:,.0f} MiB over {small.beyond_mib:,.0f}; linear is {_LARGE // _SMALL}, "
        f"quadratic {(_LARGE // _SMALL) ** 2}",
    )  # fmt: skip


def _of_gradient(device: torch.device, n_threads: int | None) -> Row:
    inputs = _inputs(_DENSE, device)
    with in_threads(n_threads):
        tiled, dense = (_gradients(loss, inputs) for loss in (tiled_mined_contrastive_loss, mined_contrastive_loss))
    return Row(
        what=f"largest difference of the gradients in tiles from the dense over the largest entry, {_DENSE} rows",
        device=device.type, n_threads=n_threads, bound=Bound(most=1e-5),
        figure=Figure.of([float((tiled - dense).abs().max() / dense.abs().max())]),
    )  # fmt: skip


def _of_time(device: torch.device, n_threads: int | None) -> Row:
    inputs = _inputs(_DENSE, device)
    with in_threads(n_threads):
        taken = alternate(
            lambda: _gradients(tiled_mined_contrastive_loss, inputs),
            lambda: _gradients(mined_contrastive_loss, inputs), repeats=_REPEATS, device=device,
        )  # fmt: skip
    return Row(
        what=f"loss in tiles over the dense form, forward and backward, {_DENSE} rows x {_DIM}, budget 128",
        device=device.type, n_threads=n_threads, figure=ratio(*taken),
    )  # fmt: skip
