"""Training as one: every member is trained as it is alone, whoever else is in the pack."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmark.speed.claims.fused_trials import launches
from hsicl_core.errors import InvalidValueError
from hsicl_core.fused.mined import StackedMinedLoss, is_stackable
from hsicl_core.fused.networks import StackedNetworks
from hsicl_core.fused.pretraining import Member, pretrain_together
from hsicl_core.fused.steps import StackedSteps
from hsicl_core.hardness.ema import EmaHardness
from hsicl_core.losses.hcl import HardNegativeLoss
from hsicl_core.losses.mined_info_nce import MinedContrastiveLoss
from hsicl_core.losses.prototypical import PrototypicalLoss
from hsicl_core.miners.base import Candidates
from hsicl_core.miners.equal_count import EqualCountMiner
from hsicl_core.miners.mixture import MixtureMiner
from hsicl_core.objective import Labelling, Objective
from hsicl_core.observing import SilentObserver
from hsicl_core.patches import PatchSource
from hsicl_core.pretraining import pretrain
from hsicl_core.registries import VIEWS
from hsicl_core.training import NonFiniteLossError, Steps, Training
from hsicl_core.view_pairs import draw_pairs
from hsicl_core.views.base import View
from tests.training_factory import Watcher, cluster, groups_of, image, networks

PIXELS = torch.arange(320)
SOURCE = PatchSource(image(), 3)
# Sums in another order: what 20 steps of training may make of it.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
PLAIN = {"temperature": 0.2, "negative_scaling": 0.5}


def member(seed: int = 0, **given: Any) -> Member:
    """A member with its own weights, pseudolabels and draws."""
    encoder, head, _ = networks(seed)
    values: dict[str, Any] = {
        "encoder": encoder, "head": head, "pixels": PIXELS, "labelling": Labelling(labels=groups_of(320, 3 + seed)),
        "objective": objective(), "training": Training(steps=20, batch_size=16),
        "generator": torch.Generator().manual_seed(seed), "observer": SilentObserver(),
    }  # fmt: skip
    return Member(**{**values, **given})


def training(**given: Any) -> Training:
    return Training(**{"steps": 20, "batch_size": 16, **given})


def objective(loss: Any = None, views: Sequence[str] = ("flip_rotate", "channel_dropout"), **miner: Any) -> Objective:
    return Objective(
        views=[VIEWS.get(name)() for name in views],
        miner=MixtureMiner(**{"n_negatives": 8, **miner}),
        loss=loss or MinedContrastiveLoss(**PLAIN),
    )


def trained_alone(one: Member) -> Member:
    one.curve = pretrain(
        one.encoder, one.head, SOURCE, one.pixels, one.labelling, objective=one.objective, training=one.training,
        generator=one.generator, observer=one.observer,
    )  # fmt: skip
    return one


def assert_alike(one: Member, other: Member) -> None:
    assert [(name, step) for name, step, _ in one.curve] == [(name, step) for name, step, _ in other.curve]
    torch.testing.assert_close([value for *_, value in one.curve], [value for *_, value in other.curve], **CLOSE)
    for network in ("encoder", "head"):
        own, others = (getattr(each, network).state_dict() for each in (one, other))
        torch.testing.assert_close(own, others, **CLOSE)


def different_members() -> list[Member]:
    """Members that differ in all that a sweep varies."""
    return [
        member(0),
        member(1, objective=objective(MinedContrastiveLoss(temperature=0.05), hard_fraction=1.0)),
        member(2, objective=objective(n_negatives=None), training=training(learning_rate=1e-2)),
        member(3, objective=objective(elimination="off", guard_quantile=0.2, hard_fraction=0.0)),
        member(4, training=training(weight_decay=0.1, clip_norm=0.05)),
        member(5, objective=objective(ratio_schedule="linear", hard_fraction_end=0.0)),
    ]


def test_members_of_a_pack_are_trained_as_they_are_alone() -> None:
    members = different_members()
    assert all(is_stackable(one.objective) for one in members)
    pretrain_together(members, SOURCE)
    for one, alone in zip(members, map(trained_alone, different_members()), strict=True):
        assert_alike(one, alone)
        assert not one.encoder.training
        assert not one.head.training
    # They differ from each other, so that a member could not have been trained as another.
    assert len({round(one.curve[-1][2], 3) for one in members}) == len(members)


def loose_objectives() -> dict[str, Objective]:
    """Objectives whose losses are computed member by member."""
    plain = objective()
    return {
        "soft": objective(elimination="soft"),
        "attract": objective(elimination="attract"),
        "uniform": objective(easy="uniform"),
        "bank": dataclasses.replace(plain, bank_size=24),
        "ema": dataclasses.replace(plain, hardness=EmaHardness(momentum=0.5)),
        "hcl": objective(HardNegativeLoss()),
        "prototypes": objective(PrototypicalLoss()),
        "equal_count": dataclasses.replace(plain, miner=EqualCountMiner(n_negatives=8)),
    }


@pytest.mark.parametrize("name", loose_objectives())
def test_any_objective_may_be_in_a_pack(name: str) -> None:
    def members() -> list[Member]:
        labelling = Labelling(labels=groups_of(320), relabel=cluster, refresh_epochs=0.4)
        return [member(0), member(1, objective=loose_objectives()[name], labelling=labelling)]

    together = members()
    assert not is_stackable(together[1].objective)
    pretrain_together(together, SOURCE)
    for one, alone in zip(together, map(trained_alone, members()), strict=True):
        assert_alike(one, alone)


SEVERAL = ["neighbour_pixel", "channel_noise", "flip_rotate"]


@pytest.mark.parametrize("views", [*([name] for name in VIEWS.names()), SEVERAL])
def test_batches_views_and_refreshed_labels_are_bit_for_bit_those_of_a_training_alone(views: list[str]) -> None:
    def watched() -> list[Member]:
        members = []
        for seed in range(3):
            one = member(seed, objective=objective(views=views), training=Training(steps=3, batch_size=16))
            one.observer = Watcher((one.encoder,))
            members.append(one)
        return members

    together, alone = watched(), [trained_alone(one) for one in watched()]
    pretrain_together(together, SOURCE)
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one.observer, Watcher)
        assert isinstance(other.observer, Watcher)
        for (own, _), (others, _) in zip(one.observer.steps, other.observer.steps, strict=True):
            assert torch.equal(own.samples, others.samples)
            assert torch.equal(own.pseudo_labels, others.pseudo_labels)
        # The first step's similarities come from equal weights: of equal views they are equal but for rounding.
        torch.testing.assert_close(one.observer.steps[0][0].similarity, other.observer.steps[0][0].similarity, **CLOSE)


class Whole(View):
    """Another view, in the form that draws as it changes."""

    def __init__(self, inner: View) -> None:
        self.inner = inner

    def __call__(self, patches: Tensor, generator: torch.Generator) -> Tensor:
        return self.inner(patches, generator)


@pytest.mark.parametrize("name", VIEWS.names())
def test_a_view_that_draws_as_it_changes_gives_what_it_gives_member_by_member(name: str) -> None:
    generator = torch.Generator().manual_seed(5)
    first, second = torch.randint(320, (2, 3, 8), generator=generator)
    views = [Whole(VIEWS.get("flip_rotate")()), VIEWS.get(name)()]
    drawn = draw_pairs(views, SOURCE, first, second, [torch.Generator().manual_seed(seed) for seed in range(3)])
    expected = []
    for seed in range(3):
        own = torch.Generator().manual_seed(seed)
        for pixels in (first[seed], second[seed]):
            patches = SOURCE.gather(pixels)
            for view in views:
                patches = view(patches, own)
            expected.append(patches)
    assert torch.equal(drawn, torch.cat(expected))
    assert not torch.equal(drawn, SOURCE.gather(torch.stack([first, second], dim=1).flatten()))


@pytest.mark.parametrize("order", [(0,), (0, 1, 2), (2, 1, 0), (1, 0), (5, 4, 3, 2, 1, 0)])
def test_neither_size_nor_order_of_the_pack_matters(order: Sequence[int]) -> None:
    members = different_members()
    pretrain_together([members[place] for place in order], SOURCE)
    for place in order:
        assert_alike(members[place], trained_alone(different_members()[place]))


def test_a_member_that_diverges_leaves_the_others_untouched() -> None:
    wild = training(learning_rate=1e30, clip_norm=1e30)
    members = [*different_members()[:2], member(7, training=wild), *different_members()[2:4]]
    pretrain_together(members, SOURCE)
    with pytest.raises(NonFiniteLossError) as alone:
        trained_alone(member(7, training=wild))
    assert str(members[2].error) == str(alone.value)
    assert "step 10" in str(alone.value)
    assert [step for _, step, _ in members[2].curve] == [0]
    for one, other in zip(members[:2] + members[3:], map(trained_alone, different_members()), strict=False):
        assert one.error is None
        assert_alike(one, other)


def test_a_member_that_is_stopped_leaves_and_the_others_go_on() -> None:
    members = different_members()
    asked = []

    def stop(step: int, loss: float) -> bool:
        asked.append((step, loss))
        return step < 10

    members[1].wants_more = stop
    pretrain_together(members, SOURCE)
    assert [step for step, _ in asked] == [0, 10]
    assert members[1].curve == [("loss", step, loss) for step, loss in asked]
    assert not members[1].encoder.training
    for place, alone in enumerate(map(trained_alone, different_members())):
        if place != 1:
            assert_alike(members[place], alone)
    # It has gone as far as the same training has after 11 steps.
    assert members[1].error is None
    seen = different_members()[1]
    kept: list[Tensor] = []
    seen.observer = Keeping(seen, at=11, kept=kept)
    trained_alone(seen)
    torch.testing.assert_close(members[1].encoder.layers[0].weight.detach(), kept[0], **CLOSE)


class Keeping(SilentObserver):
    """Keeps the first layer's weights as they are before a step."""

    def __init__(self, one: Member, *, at: int, kept: list[Tensor]) -> None:
        self._one, self._at, self._kept = one, at, kept

    def wants(self, step: int) -> bool:
        if step == self._at:
            self._kept.append(self._one.encoder.layers[0].weight.detach().clone())
        return False


def test_nobody_is_left() -> None:
    members = [member(seed, wants_more=lambda step, loss: False) for seed in range(2)]
    pretrain_together(members, SOURCE)
    assert [len(one.curve) for one in members] == [1, 1]


def test_members_have_their_own_memory_afterwards() -> None:
    members = [member(0), member(1, wants_more=lambda step, loss: step < 10), member(2)]
    pretrain_together(members, SOURCE)
    stores = [tensor.untyped_storage() for one in members for tensor in one.encoder.state_dict().values()]
    assert len({store.data_ptr() for store in stores}) == len(stores)
    for one in members:
        one.encoder.embed(SOURCE.gather(PIXELS[:5]))
        assert all(parameter.requires_grad for parameter in one.encoder.parameters())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"training": Training(steps=21, batch_size=16)}, "share steps, got 20 and 21"),
        ({"training": Training(steps=20, batch_size=8)}, "share batch_size"),
        ({"pixels": PIXELS[:12], "labelling": Labelling(labels=groups_of(12))}, r"equal batches, got \[12, 16\]"),
        ({"objective": objective(views=["flip_rotate"])}, "share views"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        pretrain_together([member(0), member(1, **given)], SOURCE)


@given(
    batch=st.integers(1, 9), seed=st.integers(0, 99), n_levels=st.sampled_from([None, 3]),
    miners=st.lists(
        st.fixed_dictionaries({
            "hard_fraction": st.sampled_from([0.0, 0.3, 0.5, 1.0]), "n_negatives": st.sampled_from([None, 1, 3, 8]),
            "elimination": st.sampled_from(["hard", "off"]), "guard_quantile": st.sampled_from([0.0, 0.1, 0.6]),
        }), min_size=1, max_size=3,
    ),
    scaling=st.sampled_from([0.0, 0.5, 1.0]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_the_stacked_loss_is_that_of_each_member(
    batch: int, seed: int, n_levels: int | None, miners: list[dict[str, Any]], scaling: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    objectives = [
        Objective(
            miner=MixtureMiner(**options), loss=MinedContrastiveLoss(temperature=0.1 + place, negative_scaling=scaling)
        )
        for place, options in enumerate(miners)
    ]
    z = torch.randn(len(miners), 2 * batch, 5, generator=generator)
    if n_levels is not None:
        # Few directions: full of ties.
        z = torch.randint(n_levels, z.shape, generator=generator).float() + 0.5
    z = torch.nn.functional.normalize(z, dim=2).requires_grad_()
    labels = torch.randint(-1, 3, (len(miners), batch), generator=generator)
    samples = torch.stack([torch.randperm(50, generator=generator)[:batch] for _ in miners])
    together = StackedMinedLoss(objectives, z.device)(z, samples, labels, 0.0)
    (gradient,) = torch.autograd.grad(together.sum(), z)
    for place, of_member in enumerate(objectives):
        own = z[place].detach().requires_grad_()
        # The product as it is made for all: its last bits decide ties.
        similarity = torch.bmm(z, z.transpose(1, 2))[place].detach() + (own @ own.T - (own @ own.T).detach())
        mask = of_member.miner.mine(Candidates.of_batch(similarity, labels[place]))
        loss = of_member.loss(similarity, mask)
        loss.backward()
        torch.testing.assert_close(together[place], loss, rtol=1e-5, atol=1e-6)
        assert own.grad is not None
        torch.testing.assert_close(gradient[place], own.grad, rtol=1e-4, atol=1e-5)


def test_stacked_steps_are_those_of_adamw_with_clipping_for_each_member() -> None:
    trainings = [
        Training(steps=30, batch_size=4, learning_rate=rate, weight_decay=decay, clip_norm=clip)
        for rate, decay, clip in ((1e-2, 0.0, 1e9), (1e-1, 0.1, 0.5), (1e-3, 1.0, 0.1))
    ]
    together, alone = ([networks(seed)[:2] for seed in range(3)] for _ in range(2))
    stack = StackedNetworks([encoder for encoder, _ in together], [head for _, head in together])
    stacked = StackedSteps(trainings, stack)
    single = [Steps(training, *both) for training, both in zip(trainings, alone, strict=True)]
    patches = torch.randn(12, 12, 3, 3, generator=torch.Generator().manual_seed(0))
    for both in alone:
        for module in both:
            module.train()
    for step in range(30):
        stacked.take(step, stack(patches).square().sum())
        for steps, (encoder, head), own in zip(single, alone, patches.chunk(3), strict=True):
            steps.take(step, head(encoder(own)).square().sum())
    for (encoder, head), (other_encoder, other_head) in zip(together, alone, strict=True):
        torch.testing.assert_close(encoder.state_dict(), other_encoder.state_dict(), rtol=2e-3, atol=1e-4)
        torch.testing.assert_close(head.state_dict(), other_head.state_dict(), rtol=2e-3, atol=1e-4)


def test_a_pack_of_sixteen_launches_less_than_an_eighth_of_what_sixteen_trainings_do() -> None:
    # On a GPU small networks wait for launches: this is what a pack saves there, counted on the CPU.
    def of_pack(n_members: int) -> int:
        members = [member(seed, training=training(steps=9)) for seed in range(n_members)]
        return launches(lambda: pretrain_together(members, SOURCE))

    alone = launches(lambda: trained_alone(member(0, training=training(steps=9))))
    assert 16 * alone > 8 * of_pack(16)
    # Beside the draws, which are each member's own, nothing grows with the pack.
    assert (of_pack(16) - of_pack(8)) / 8 < 0.1 * alone
