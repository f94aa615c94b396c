"""Learning from labels: together with the contrastive loss, or by fine-tuning afterwards."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from hsicl_core import InvalidValueError, NonFiniteLossError
from hsicl_core.fine_tuning import fine_tune
from hsicl_core.objective import Supervision
from hsicl_core.patches import PatchSource
from hsicl_core.training import Training
from hsicl_core.views.base import View
from hsicl_core.views.channel_dropout import ChannelDropout
from hsicl_core.views.flip_rotate import FlipRotate
from tests.training_factory import TRUTH, image, networks, run

# Shuffled, so that a label in the place of another pixel's does not pass.
_ORDER = torch.randperm(320, generator=torch.Generator().manual_seed(0))
LABELLED = _ORDER[TRUTH[_ORDER] >= 0][:40]
LABELS = TRUTH[LABELLED]


def supervised(weight: float, batch_size: int = 64, **options: Any) -> Any:
    given = {"pixels": LABELLED, "labels": LABELS, "contrastive_weight": weight, "batch_size": batch_size}
    return run(supervision=given, **options)


def accuracy(encoder: Any, classifier: Any) -> float:
    with torch.no_grad():
        scores = classifier(encoder.embed(PatchSource(image(), encoder.patch_size).gather(LABELLED)))
    return float((scores.argmax(dim=1) == LABELS).double().mean())


def decayed(start: Tensor, steps: int, rate: float, decay: float) -> Tensor:
    """What AdamW's weight decay alone makes of a weight."""
    training = Training(steps=steps, batch_size=1, learning_rate=rate)
    factors = [1 - training.rate_at(step) * decay for step in range(steps)]
    return start * math.prod(factors)


def test_without_contrast_the_labels_are_learnt_and_the_head_only_decays() -> None:
    done = supervised(0.0, steps=61, learning_rate=0.01, weight_decay=0.1)
    entropies = done.values("cross_entropy")
    assert len(entropies) == len(done.values("loss")) == 7
    assert entropies[0] > 1
    assert entropies[-1] < 0.3
    assert accuracy(done.encoder, done.classifier) > 0.9
    encoder, head, classifier = networks()
    for name, start in head.named_parameters():
        assert torch.allclose(done.head.get_parameter(name), decayed(start, 61, 0.01, 0.1), rtol=1e-5, atol=1e-7)
    assert not torch.allclose(done.classifier.weight, decayed(classifier.weight, 61, 0.01, 0.1), atol=0.01)
    assert not torch.allclose(done.encoder.layers[0].weight, encoder.layers[0].weight, atol=0.01)
    assert not done.classifier.training


def test_with_contrast_alone_the_classifier_only_decays() -> None:
    done = supervised(1.0, steps=61, learning_rate=0.01, weight_decay=0.1)
    _, head, classifier = networks()
    for name, start in classifier.named_parameters():
        found = done.classifier.get_parameter(name)
        assert torch.allclose(found, decayed(start, 61, 0.01, 0.1), rtol=1e-5, atol=1e-7)
    assert not torch.allclose(done.head.get_parameter("0.weight"), head.get_parameter("0.weight"), atol=0.01)
    assert done.values("loss")[-1] < done.values("loss")[0] - 0.1
    assert done.values("cross_entropy")[-1] > 0.5


def test_both_are_learnt_together() -> None:
    done = supervised(0.3, steps=101, learning_rate=0.01)
    assert done.values("loss")[-1] < done.values("loss")[0] - 0.1
    assert done.values("cross_entropy")[-1] < 0.3
    assert {name for name, _, _ in done.curve} == {"loss", "cross_entropy"}


@pytest.mark.parametrize(("batch_size", "expected"), [(1, 1), (6, 6), (40, 40), (64, 40)])
def test_every_step_draws_its_labelled_pixels_without_replacement(
    batch_size: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = []
    gather = PatchSource.gather

    def spy(self: PatchSource, pixels: Tensor, *rest: Any) -> Tensor:
        batches.append(pixels.tolist())
        return gather(self, pixels, *rest)

    monkeypatch.setattr(PatchSource, "gather", spy)
    # Contrasted pixels are others: the batches can be told apart.
    others = torch.nonzero(TRUTH < 0)[:, 0]
    supervised(0.5, batch_size, pixels=others, steps=4)
    drawn = [batch for batch in batches if set(batch) <= set(LABELLED.tolist())]
    assert len(drawn) == 4
    assert len(batches) == 8
    for batch in drawn:
        assert len(batch) == len(set(batch)) == expected
    assert len({tuple(batch) for batch in drawn}) > 1


class Counting(View):
    """Counts its calls; changes nothing."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, patches: Tensor, generator: torch.Generator) -> Tensor:
        self.sizes.append(len(patches))
        return patches


def test_labelled_patches_are_seen_in_one_view() -> None:
    view = Counting()
    supervised(0.5, 6, objective={"views": [view]}, steps=2)
    assert view.sizes == [8, 8, 6] * 2


@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan])
def test_a_weight_outside_its_range_is_refused(weight: float) -> None:
    with pytest.raises(InvalidValueError, match=r"contrastive_weight must be a number >= 0 and <= 1, got") as caught:
        Supervision(classifier=networks()[2], pixels=LABELLED, labels=LABELS, contrastive_weight=weight)
    assert "\n" not in str(caught.value)


def test_a_nan_in_a_labelled_patch_stops_the_training() -> None:
    spoilt = image()
    spoilt.reshape(-1, 12)[LABELLED[0]] = math.nan
    far = torch.tensor([p for p in range(320) if not_near(p, int(LABELLED[0]))])
    with pytest.raises(NonFiniteLossError, match="at step 0"):
        supervised(0.5, pixels=far, scene=spoilt, steps=2)


def not_near(pixel: int, other: int) -> bool:
    return max(abs(pixel // 20 - other // 20), abs(pixel % 20 - other % 20)) > 1


# Fine-tuning.


def tune(
    *, pixels: Tensor = LABELLED, labels: Tensor = LABELS, seed: int = 0, steps: int = 41, batch_size: int = 16,
    scene: Tensor | None = None, patch_size: int = 3, **options: Any,
) -> tuple[list[tuple[str, int, float]], Any, Any]:  # fmt: skip
    encoder, _, classifier = networks(patch_size=patch_size)
    curve = fine_tune(
        encoder, classifier, PatchSource(image() if scene is None else scene, patch_size), pixels, labels,
        **{"views": [FlipRotate(), ChannelDropout()], **options},
        training=Training(steps=steps, batch_size=batch_size, learning_rate=0.01),
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return curve, encoder, classifier


def test_fine_tuning_learns_the_labels_through_the_encoder() -> None:
    curve, encoder, classifier = tune(steps=121, views=[FlipRotate()])
    assert {name for name, _, _ in curve} == {"fine_tuning_loss"}
    assert [step for _, step, _ in curve] == list(range(0, 121, 10))
    assert curve[0][2] > 1
    assert curve[-1][2] < 0.5
    assert accuracy(encoder, classifier) > 0.9
    before, _, weights = networks()
    assert not torch.allclose(encoder.layers[0].weight, before.layers[0].weight, atol=0.01)
    assert not torch.allclose(classifier.weight, weights.weight, atol=0.01)
    assert not encoder.training
    assert not classifier.training


def test_the_same_seed_fine_tunes_to_the_same_bits() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    (first, one, _), (again, two, _), (other, _, _) = (tune(seed=seed) for seed in (3, 3, 4))
    assert first == again != other
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("n_labelled", "batch_size"), [(2, 2), (2, 64), (5, 64), (5, 3), (1, 64), (5, 1)])
@pytest.mark.parametrize("patch_size", [3, 9])
def test_few_labels_and_small_batches_work(n_labelled: int, batch_size: int, patch_size: int) -> None:
    view = Counting()
    curve, _, _ = tune(
        pixels=LABELLED[:n_labelled], labels=LABELS[:n_labelled], batch_size=batch_size, steps=3, views=[view],
        patch_size=patch_size,
    )  # fmt: skip
    assert all(math.isfinite(value) for _, _, value in curve)
    # Batch normalisation needs two: a single patch is taken twice.
    assert view.sizes == [max(2, min(n_labelled, batch_size))] * 3


def test_a_nan_stops_fine_tuning_and_says_where() -> None:
    spoilt = image()
    spoilt.reshape(-1, 12)[LABELLED[0]] = math.nan
    with pytest.raises(NonFiniteLossError, match=r"loss is nan at step 0.*lower the learning rate") as caught:
        tune(scene=spoilt, batch_size=40)
    assert "\n" not in str(caught.value)
