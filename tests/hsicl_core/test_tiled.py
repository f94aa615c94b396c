"""The loss in tiles is the loss: value and gradient of the dense form, with any tile, and memory linear in the rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hsicl_core import InvalidValueError, mined_contrastive_loss, tiled_mined_contrastive_loss
from hsicl_core import tiled as tiled_module

OPTIONS = st.fixed_dictionaries({
    "temperature": st.sampled_from([0.05, 0.2, 1.0]), "hard_fraction": st.sampled_from([0.0, 0.4, 1.0]),
    "n_negatives": st.sampled_from([None, 1, 3, 9]), "elimination": st.sampled_from(["hard", "off"]),
    "guard_quantile": st.sampled_from([0.0, 0.3]), "negative_scaling": st.sampled_from([0.0, 0.5, 1.0]),
})  # fmt: skip


def embeddings(seed: int, batch: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z0, z1 = torch.randn(2, batch, 6, generator=generator, dtype=dtype)
    return z0.requires_grad_(), z1.requires_grad_(), torch.randint(-1, 4, (batch,), generator=generator)


def value_and_gradients(loss: Any, z0: Tensor, z1: Tensor, labels: Tensor, **options: Any) -> list[Tensor]:
    value = loss(z0, z1, labels, **options)
    # Not a gradient of 1: what comes from behind must be multiplied in.
    return [value.detach(), *torch.autograd.grad(3.0 * value, (z0, z1))]


@given(seed=st.integers(0, 99), batch=st.integers(1, 12), tile_rows=st.integers(1, 30), options=OPTIONS)
@settings(deadline=None, max_examples=80)
def test_value_and_gradients_are_the_dense_ones(seed: int, batch: int, tile_rows: int, options: dict[str, Any]) -> None:
    given = embeddings(seed, batch)
    dense = value_and_gradients(mined_contrastive_loss, *given, **options)
    tiled = value_and_gradients(tiled_mined_contrastive_loss, *given, tile_rows=tile_rows, **options)
    for mine, other in zip(tiled, dense, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"n_negatives": 128}, {"n_negatives": 64, "guard_quantile": 0.05}])
def test_gradients_in_float32_agree_to_1e_5(options: dict[str, Any]) -> None:
    given = embeddings(0, 700, torch.float32)
    dense = value_and_gradients(mined_contrastive_loss, *given, **options)
    tiled = value_and_gradients(tiled_mined_contrastive_loss, *given, tile_rows=64, **options)
    for mine, other in zip(tiled, dense, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))


def test_equal_similarities_are_taken_in_the_order_of_columns() -> None:
    z0, z1 = torch.eye(4, dtype=torch.float64).repeat(5, 1), torch.eye(4, dtype=torch.float64).repeat(5, 1)
    leaves = z0.requires_grad_(), z1.requires_grad_()
    labels = torch.arange(20) // 4 - 1
    options: dict[str, Any] = {"n_negatives": 7, "hard_fraction": 0.5}
    dense = value_and_gradients(mined_contrastive_loss, *leaves, labels, **options)
    tiled = value_and_gradients(tiled_mined_contrastive_loss, *leaves, labels, tile_rows=3, **options)
    for mine, other in zip(tiled, dense, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-12)


def test_uniform_draws_are_of_the_right_number_and_repeat() -> None:
    given = embeddings(3, 40)
    options: dict[str, Any] = {"n_negatives": 8, "easy": "uniform", "hard_fraction": 0.25, "tile_rows": 7}
    values = [
        tiled_mined_contrastive_loss(*given, **options, generator=torch.Generator().manual_seed(seed)).item()
        for seed in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]
    # The mean over many draws is that of the dense form's draws.
    means = []
    for loss, extra in ((tiled_mined_contrastive_loss, {"tile_rows": 7}), (mined_contrastive_loss, {})):
        generator = torch.Generator().manual_seed(0)
        drawn = {**options, **extra} if extra else {k: v for k, v in options.items() if k != "tile_rows"}
        means.append(torch.stack([loss(*given, **drawn, generator=generator).detach() for _ in range(200)]))
    gap = abs(means[0].mean() - means[1].mean())
    assert gap < 4 * (means[0].var() / 200 + means[1].var() / 200).sqrt()
    with pytest.raises(InvalidValueError, match="generator"):
        tiled_mined_contrastive_loss(*given, **options)


def test_no_table_is_larger_than_a_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    entries: list[int] = []
    mined = tiled_module._mined

    def watched(similarity: Tensor, *rest: Any) -> Tensor:
        entries.append(similarity.numel())
        return mined(similarity, *rest)

    monkeypatch.setattr(tiled_module, "_mined", watched)
    monkeypatch.setattr(tiled_module, "_TILE_ENTRIES", 1000)
    tiled_mined_contrastive_loss(*embeddings(0, 60))
    assert max(entries) <= 1000
    assert sum(entries) == 120 * 120


def test_no_gradient_is_made_that_nobody_asks_for() -> None:
    z0, z1, labels = embeddings(0, 9)
    loss = tiled_mined_contrastive_loss(z0.detach(), z1.detach(), labels)
    assert not loss.requires_grad
    assert loss.item() == pytest.approx(mined_contrastive_loss(z0, z1, labels).item(), rel=1e-12)


def test_nobody_has_a_negative() -> None:
    z0, z1, _ = embeddings(0, 5)
    value, *gradients = value_and_gradients(tiled_mined_contrastive_loss, z0, z1, torch.zeros(5, dtype=torch.int64))
    assert value == 0
    assert all(bool((gradient == 0).all()) for gradient in gradients)


@pytest.mark.parametrize("tile_rows", [0, -1, 1.5])
def test_a_tile_without_rows_is_refused(tile_rows: Any) -> None:
    with pytest.raises(InvalidValueError, match="tile_rows"):
        tiled_mined_contrastive_loss(*embeddings(0, 4), tile_rows=tile_rows)


def test_shapes_are_checked_as_in_the_dense_form() -> None:
    z0, z1, labels = embeddings(0, 4)
    with pytest.raises(InvalidValueError, match="pseudo_labels must be integers"):
        tiled_mined_contrastive_loss(z0, z1, labels[:3])
    with pytest.raises(InvalidValueError, match="shape"):
        tiled_mined_contrastive_loss(z0, z1[:3], labels)
