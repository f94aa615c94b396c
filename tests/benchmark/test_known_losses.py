"""Our losses are the libraries' losses: their own code where it is installed, their formulas everywhere."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.speed.claims import known_losses, mined_loss
from benchmark.speed.claims.base import Bound, Row, not_installed
from benchmark.speed.claims.known_losses import PAIRS, KnownLosses, Loss, Pair

CPU = torch.device("cpu")
MODULES = {"lightly": "lightly", "pytorch-metric-learning": "pytorch_metric_learning"}


def value_and_gradients(loss: Loss, given: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return loss(*given).detach(), known_losses.gradients(loss, given)


@pytest.mark.parametrize("n_rows", [64, 256])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.what} of {pair.package}")
def test_values_and_gradients_are_theirs(pair: Pair, n_rows: int) -> None:
    pytest.importorskip(MODULES[pair.package], reason=f"{pair.package} is not installed: it is in the extra 'speed'")
    given = known_losses.inputs(n_rows, CPU)
    value, gradients = value_and_gradients(pair.ours, given)
    their_value, their_gradients = value_and_gradients(pair.theirs(), given)
    torch.testing.assert_close(value, their_value, rtol=2e-6, atol=0)
    torch.testing.assert_close(gradients, their_gradients, rtol=0, atol=2e-6 * float(their_gradients.abs().max()))


def looped_sup_con(z0: Tensor, z1: Tensor, labels: Tensor) -> Tensor:
    """Return arXiv 2004.11362, eq. 2, term by term."""
    z = torch.nn.functional.normalize(torch.cat([z0, z1]), dim=1)
    groups, terms = labels.repeat(2).tolist(), []
    for anchor in range(len(z)):
        others = [row for row in range(len(z)) if row != anchor]
        powers = {row: (z[anchor] @ z[row] / 0.1).exp() for row in others}
        positives = [row for row in others if groups[row] == groups[anchor]]
        shares = [(powers[row] / torch.stack(list(powers.values())).sum()).log() for row in positives]
        terms.append(-torch.stack(shares).mean())
    return torch.stack(terms).mean()


@pytest.mark.parametrize(
    ("ours", "formula"),
    [
        (known_losses.nt_xent, lambda z0, z1, labels: mined_loss.nt_xent(z0, z1, temperature=0.1)),
        (known_losses.sup_con, looped_sup_con),
    ],
    ids=["NT-Xent", "SupCon"],
)
def test_ours_are_the_formulas(ours: Loss, formula: Loss) -> None:
    z0, z1, labels = known_losses.inputs(48, CPU)
    given = z0.detach().double().requires_grad_(), z1.detach().double().requires_grad_(), labels
    for mine, other in zip(value_and_gradients(ours, given), value_and_gradients(formula, given), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-12)


def measured(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[Row]:
    ways: dict[str, Any] = {"what": "A", "package": "torch", "ours": known_losses.nt_xent, "repeats": {32: 1}}
    monkeypatch.setattr(known_losses, "PAIRS", [Pair(**{**ways, **changes})])
    monkeypatch.setattr(known_losses, "_THREADS", (1,))
    return list(KnownLosses().measure(CPU))


def test_a_row_says_how_far_the_gradients_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    row, on_cuda = measured(monkeypatch, theirs=lambda: lambda *given: 2 * known_losses.nt_xent(*given), note="why")
    assert row.what == on_cuda.what == "A, forward and backward, 32 rows x 128: ours over torch"
    assert row.figure is not None
    assert row.bound == Bound(most=1)
    assert (
        row.note == f"torch {known_losses.version('torch')}; gradients at most 5e-01 of their largest entry apart; why"
    )
    assert on_cuda.note.startswith("not measured: ")


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (ImportError("no torch"), not_installed("torch")),
        (RuntimeError("no\nnms"), "not measured: torch cannot be imported: no nms"),
    ],
)
def test_a_row_says_why_it_was_not_measured(error: Exception, note: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def theirs() -> Loss:
        raise error

    row, _ = measured(monkeypatch, theirs=theirs)
    assert row.figure is None
    assert row.note == note
    assert note.startswith("not measured: ")
