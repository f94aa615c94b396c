"""What the relatives of ours promise beyond the contract of all methods: the miner and the loss they are made of."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import METHODS, InvalidValueError
from benchmark.methods._contrastive import ContrastiveMethod
from hsicl_core.mined_contrastive import cosine_similarity
from tests.step_factory import mine_batch


def draw(batch: int = 24) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, batch, 4, generator=generator)
    return cosine_similarity(*z), torch.randint(-1, 4, (batch,), generator=generator)


def make(name: str, **params: Any) -> ContrastiveMethod:
    method = METHODS.get(name)(**params)
    assert isinstance(method, ContrastiveMethod)
    return method


def loss_of(name: str, **params: Any) -> float:
    similarity, labels = draw()
    method = make(name, **params)
    mask = mine_batch(method.make_miner(), similarity, labels, torch.Generator().manual_seed(1))
    return method.make_loss()(similarity, mask).item()


def test_each_is_the_reference_where_its_formula_says_so() -> None:
    plain = loss_of("nt_xent", temperature=0.3)
    assert loss_of("debiased", temperature=0.3, tau_plus=0.0) == pytest.approx(plain, rel=1e-5)
    assert loss_of("hcl", temperature=0.3, tau_plus=0.0, beta=0.0) == pytest.approx(plain, rel=1e-5)
    assert loss_of("false_negative_cancellation", temperature=0.3, threshold=1.0) == pytest.approx(plain, rel=1e-5)
    assert loss_of("easy_negatives", temperature=0.3, n_negatives=46) == pytest.approx(plain, rel=1e-5)
    mined = loss_of("mined_negatives", temperature=0.3, n_negatives=None)
    assert loss_of("sup_con_clusters", temperature=0.3, elimination="hard") == pytest.approx(mined, rel=1e-5)
    # At the start of training, of which this is a step; before the first refresh no prototype is known.
    assert loss_of("incremental_detection", temperature=0.3) == pytest.approx(plain, rel=1e-5)
    assert loss_of("incremental_detection", temperature=0.3, accepted_start=1.0) == pytest.approx(mined, rel=1e-5)
    assert loss_of("prototypical", temperature=0.3) == pytest.approx(plain, rel=1e-5)
    assert loss_of("prototypical", temperature=0.3, elimination="hard") == pytest.approx(mined, rel=1e-5)


def test_each_differs_from_the_reference_by_default() -> None:
    similar = {"temperature": 0.3}
    losses = {
        name: loss_of(name, **similar)
        for name in ("nt_xent", "debiased", "hcl", "false_negative_cancellation", "sup_con_clusters")
    }
    assert len({round(loss, 4) for loss in losses.values()}) == len(losses), losses
    assert loss_of("equal_count", **similar) != loss_of("mined_negatives", **similar)


def test_easy_negatives_are_the_least_similar_ones() -> None:
    similarity, labels = draw()
    miner = make("easy_negatives", n_negatives=3).make_miner()
    mask = mine_batch(miner, similarity, labels, torch.Generator().manual_seed(1))
    n = len(similarity)
    for anchor in range(n):
        others = [k for k in range(n) if k % (n // 2) != anchor % (n // 2)]
        easiest = sorted(others, key=lambda k: similarity[anchor, k].item())[:3]
        assert mask.negatives[anchor].nonzero().flatten().tolist() == sorted(easiest)


def test_the_control_removes_as_many_as_ours() -> None:
    similarity, labels = draw()
    masks = [
        mine_batch(make(name, n_negatives=None).make_miner(), similarity, labels, torch.Generator().manual_seed(1))
        for name in ("mined_negatives", "equal_count")
    ]
    assert torch.equal(masks[0].n_negatives, masks[1].n_negatives)
    assert not torch.equal(masks[0].negatives, masks[1].negatives)


def test_the_control_and_ours_share_parameters_and_their_defaults() -> None:
    ours, control = (dataclasses.asdict(make(name)) for name in ("mined_negatives", "equal_count"))
    assert ours == control


def test_a_ring_comes_back_from_json_as_a_pair() -> None:
    method = make("mined_negatives", easy="ring", easy_ring=[0.2, 0.4])
    assert method == make("mined_negatives", easy="ring", easy_ring=(0.2, 0.4))
    assert method.make_miner().easy_ring == (0.2, 0.4)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("sup_con_clusters", {"negative_scaling": 1.0}, "negative_scaling=1.0"),
        ("equal_count", {"elimination": "off"}, "elimination='off'"),
        ("debiased", {"tau_plus": 1.0}, "tau_plus=1.0"),
        ("hcl", {"beta": -1.0}, "beta=-1.0"),
        ("false_negative_cancellation", {"top_k": 0}, "top_k=0"),
        ("mined_negatives", {"easy_ring": (0.5, 0.2)}, "easy_ring=0.2"),
    ],
)
def test_a_parameter_without_meaning_is_refused(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        make(name, **params)
