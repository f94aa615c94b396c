"""Our losses over those of the libraries that people use, where both compute the same number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import ClassVar

import torch
from torch import Tensor

from benchmark.computing import in_threads
from benchmark.speed.claims.base import NOT_MEASURED, Bound, Claim, Row, not_installed
from benchmark.speed.timing import alternate, ratio
from hsicl_core.losses.sup_con import SupConLoss
from hsicl_core.mined_contrastive import cosine_similarity, mined_contrastive_loss
from hsicl_core.miners.base import Candidates
from hsicl_core.miners.mixture import MixtureMiner

_DIM, _TEMPERATURE = 128, 0.1
_THREADS = (1, 2)

# Maps two views (batch, dim) and their (batch,) int64 pseudolabels to the scalar loss.
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two ways to one number.

    Attributes:
        what: the loss.
        package: the distribution that has the other way.
        ours: our way.
        theirs: gives the other way; the package is imported in it.
        repeats: turns, for each number of rows of both views together.
        note: what the reader must know.
    """

    what: str
    package: str
    ours: Loss
    theirs: Callable[[], Loss]
    repeats: dict[int, int]
    note: str = ""


class KnownLosses(Claim):
    """Our NT-Xent and SupCon over those of lightly and pytorch-metric-learning, forward and backward, the same loss.

    Both sides take embeddings and, for SupCon, 16 groups; normalising, similarities and masks are in it on both.
    """

    title: ClassVar[str] = "Losses of other libraries"

    def measure(self, device: torch.device) -> Iterator[Row]:
        """See ``Claim``."""
        for pair in PAIRS:
            for n_rows in pair.repeats:
                yield from _compared(pair, n_rows, device)


def nt_xent(z0: Tensor, z1: Tensor, labels: Tensor) -> Tensor:
    """Return NT-Xent of two views (batch, dim) as a scalar; ``labels`` (batch,) are not used."""
    return mined_contrastive_loss(z0, z1, labels, temperature=_TEMPERATURE, elimination="off", n_negatives=None)


def sup_con(z0: Tensor, z1: Tensor, labels: Tensor) -> Tensor:
    """Return SupCon of two views (batch, dim) as a scalar; ``labels`` (batch,) say whom an anchor attracts."""
    similarity = cosine_similarity(z0, z1)
    mask = MixtureMiner(elimination="attract").mine(Candidates.of_batch(similarity, labels))
    return SupConLoss(temperature=_TEMPERATURE)(similarity, mask)


def _lightly_nt_xent() -> Loss:
    theirs = import_module("lightly.loss.ntx_ent_loss").NTXentLoss(temperature=_TEMPERATURE)
    return lambda z0, z1, labels: theirs(z0, z1)


def _metric_learning_nt_xent() -> Loss:
    theirs = import_module("pytorch_metric_learning.losses").NTXentLoss(temperature=_TEMPERATURE)
    return lambda z0, z1, labels: theirs(torch.cat([z0, z1]), torch.arange(len(labels), device=labels.device).repeat(2))


def _metric_learning_sup_con() -> Loss:
    theirs = import_module("pytorch_metric_learning.losses").SupConLoss(temperature=_TEMPERATURE)
    return lambda z0, z1, labels: theirs(torch.cat([z0, z1]), labels.repeat(2))


PAIRS = (
    Pair(
        what="NT-Xent", package="lightly", ours=nt_xent, theirs=_lightly_nt_xent, repeats={512: 31, 2048: 11},
    ),
    Pair(
        what="NT-Xent", package="pytorch-metric-learning", ours=nt_xent, theirs=_metric_learning_nt_xent,
        repeats={256: 11}, note="few rows: theirs holds a table of rows x (rows * (rows - 2))",
    ),
    Pair(
        what="SupCon", package="pytorch-metric-learning", ours=sup_con, theirs=_metric_learning_sup_con,
        repeats={512: 31, 2048: 11},
    ),
)  # fmt: skip


def inputs(n_rows: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return two views (n_rows / 2, 128) float32 that ask for gradients, and (n_rows / 2,) int64 groups in 0..15."""
    generator = torch.Generator().manual_seed(0)
    z0, z1 = (torch.randn(n_rows // 2, _DIM, generator=generator).to(device).requires_grad_() for _ in range(2))
    return z0, z1, torch.randint(16, (n_rows // 2,), generator=generator).to(device)


def gradients(loss: Loss, given: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return (rows, dim) gradients of ``loss`` by both views, forward and backward."""
    return torch.cat(torch.autograd.grad(loss(*given), given[:2]))


def _compared(pair: Pair, n_rows: int, device: torch.device) -> Iterator[Row]:
    what = f"{pair.what}, forward and backward, {n_rows} rows x {_DIM}: ours over {pair.package}"
    bound = Bound(most=1.0)
    threads = _THREADS if device.type == "cpu" else (None,)
    theirs, why_not = _found(pair)
    for n_threads in threads:
        if theirs is None:
            yield Row(what=what, device=device.type, n_threads=n_threads, bound=bound, note=why_not)
        else:
            yield _measured(pair, theirs, what, inputs(n_rows, device), n_threads, bound)
    if device.type == "cpu":
        yield Row(what=what, device="cuda", bound=bound, note=NOT_MEASURED)


def _found(pair: Pair) -> tuple[Loss | None, str]:
    """Return the other way, or None and why it is not there."""
    try:
        return pair.theirs(), ""
    except ImportError:
        return None, not_installed(pair.package)
    except RuntimeError as error:
        # So torchvision, which lightly imports, tells that it was built for another torch. A row is one line.
        return None, f"not measured: {pair.package} cannot be imported: {' '.join(str(error).split())}"


def _measured(
    pair: Pair, theirs: Loss, what: str, given: tuple[Tensor, Tensor, Tensor], n_threads: int | None, bound: Bound
) -> Row:
    device = given[0].device
    repeats = pair.repeats[2 * len(given[0])]
    with in_threads(n_threads):
        mine, other = gradients(pair.ours, given), gradients(theirs, given)
        taken = alternate(
            lambda: gradients(pair.ours, given), lambda: gradients(theirs, given), repeats=repeats, warm_up=2,
            device=device,
        )  # fmt: skip
    apart = float((mine - other).abs().max() / other.abs().max())
    same = f"{pair.package} {version(pair.package)}; gradients at most {apart:.0e} of their largest entry apart"
    return Row(
        what=what, device=device.type, n_threads=n_threads, bound=bound, figure=ratio(*taken),
        note="; ".join(text for text in (same, pair.note) if text),
    )  # fmt: skip
