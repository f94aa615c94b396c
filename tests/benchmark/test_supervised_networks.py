"""What all networks trained from scratch on the labels share: input, training, reproducibility, errors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark import METHODS, InvalidValueError, SplitSpec, plan_trial, run_trial
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods._supervised import SupervisedMethod, SupervisedPixelMethod
from benchmark.methods.base import FitData
from hsicl_core.networks.base import PatchNetwork
from hsicl_core.observing import SilentObserver
from hsicl_core.preprocessing import principal_components, standardize
from tests.benchmark.entrants import tiny_params
from tests.scene_factory import tiny_scene

SCENE = tiny_scene()
CPU = torch.device("cpu")
TRUTH = torch.from_numpy(SCENE.labels.reshape(-1).copy())
BANDS = SCENE.cube.shape[2]
NETWORKS = ["cnn_1d", "cnn_2d", "cnn_3d", "hybrid_sn", "ssrn"]
each = pytest.mark.parametrize("name", NETWORKS)


class Flat(PatchNetwork):
    """The numbers of the patch, dropped or not, through one layer; it keeps what it was given."""

    def __init__(self, n_numbers: int, dropout: float, seen: list[Tensor]) -> None:
        super().__init__()
        self.dim = 6
        self.seen = seen
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(n_numbers, 6), nn.Tanh())

    def forward(self, patches: Tensor) -> Tensor:
        self.seen.append(patches.detach().clone())
        found: Tensor = self.layers(patches)
        return found


SEEN: list[Tensor] = []


@dataclass(frozen=True, kw_only=True)
class FlatMethod(SupervisedMethod):
    dropout: float = 0.0
    patch_size: int = 3
    n_components: int | None = 4
    steps: int = 5
    batch_size: int = 16

    def make_network(self, n_channels: int) -> Flat:
        return Flat(n_channels * self.patch_size**2, self.dropout, SEEN)


def given(labels: Tensor | None = None, **options: Any) -> FitData:
    if labels is None:
        labels = torch.full_like(TRUTH, -1)
        labels[::17] = TRUTH[::17]
    return FitData(**{
        "cube": torch.from_numpy(SCENE.cube.copy()), "pixels": torch.arange(len(TRUTH)), "labels": labels, "seed": 0,
        "device": CPU, "observer": SilentObserver(), "memo": ScopedMemo(Memo()), **options,
    })  # fmt: skip


def outputs(method: SupervisedPixelMethod, data: FitData) -> tuple[Tensor, Tensor]:
    fit = method.fit(data)
    assert fit.classify is not None
    embedding = fit.embed()
    return embedding, fit.classify(embedding)


def test_all_have_the_same_training_unless_they_say_otherwise() -> None:
    for name in NETWORKS:
        method = METHODS.get(name)()
        assert method.kind == "supervised"
        assert method.protocols == ("own_classifier",)
        assert (method.sees_labels, method.classifies, method.uses_split) == ("train", True, True)
        # No larger than what a split guards unless asked for more.
        assert method.receptive_field <= SplitSpec().patch_size
    assert METHODS.get("cnn_1d")().receptive_field == 1


@each
def test_its_search_space_holds_values_that_it_takes_and_that_cost_little_more(name: str) -> None:
    member = METHODS.get(name)
    n_combinations = 1
    for parameter, values in member.search_space.items():
        n_combinations *= len(values)
        for value in values:
            made = member(**{parameter: value})
            assert made.steps * made.batch_size <= 1.5 * member().steps * member().batch_size
    assert 3 <= n_combinations <= 12


@each
def test_it_is_scored_by_its_own_classifier(name: str) -> None:
    params = {**tiny_params(METHODS.get(name)), "steps": 100, "n_components": 8, "learning_rate": 0.01}
    split = SplitSpec(rule="random", labels_per_class=6, val_per_class=3, patch_size=5)
    record = run_trial(plan_trial(SCENE, method=name, params=params, protocol="own_classifier", split=split), SCENE)
    assert record.status == "ok", record.error
    assert record.confusion_test is not None
    right = sum(record.confusion_test[i][i] for i in range(4))
    # A patch nearly always tells the classes of this scene apart, a pixel often; chance is a quarter.
    assert right / record.n_test > (0.8 if METHODS.get(name)().receptive_field > 1 else 0.6)
    assert {point["name"] for point in record.curves} == {"cross_entropy"}


@each
def test_one_label_is_enough_and_classes_that_are_missing_are_counted(name: str) -> None:
    labels = torch.full_like(TRUTH, -1)
    labels[500] = 2
    method = METHODS.get(name)(**tiny_params(METHODS.get(name)))
    embedding, scores = outputs(method, given(labels))
    assert scores.shape == (len(TRUTH), 3)
    assert embedding.isfinite().all()
    assert scores.isfinite().all()


@each
def test_it_takes_all_bands_where_no_components_are_asked_for(name: str) -> None:
    params = {**tiny_params(METHODS.get(name)), "n_components": None}
    fit = METHODS.get(name)(**params).fit(given())
    assert fit.embed().shape[0] == len(TRUTH)
    # It is another network, of another input.
    assert not torch.equal(fit.embed(), METHODS.get(name)(**{**params, "n_components": 4}).fit(given()).embed())


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("n_components", [None, 4])
def test_patches_are_cut_from_what_was_asked_for(n_components: int | None, whiten: bool) -> None:
    SEEN.clear()
    pixels = torch.arange(700)
    data = given(pixels=pixels)
    FlatMethod(n_components=n_components, whiten=whiten, views=()).fit(data).embed()
    image = standardize(data.cube, pixels)
    if n_components is not None:
        image = principal_components(image, pixels, n_components, whiten=whiten)
    # The embedding comes last, and its first patches in order.
    centres = torch.cat(SEEN[5:])[:, :, 1, 1]
    torch.testing.assert_close(centres, image[:].reshape(-1, image.shape[2]))


def test_whitened_components_and_others_do_not_share_a_memo() -> None:
    memo = ScopedMemo(Memo())
    alone = outputs(FlatMethod(whiten=True), given())[0]
    outputs(FlatMethod(), given(memo=memo))
    assert torch.equal(outputs(FlatMethod(whiten=True), given(memo=memo))[0], alone)


def test_only_labelled_pixels_that_were_given_are_learnt_from() -> None:
    SEEN.clear()
    labels = torch.full_like(TRUTH, -1)
    shown = torch.tensor([100, 101, 300, 1500])
    labels[shown] = torch.tensor([0, 1, 2, 2])
    data = given(labels, pixels=torch.arange(1000))
    fit = FlatMethod(views=(), batch_size=16).fit(data)
    image = principal_components(standardize(data.cube, data.pixels), data.pixels, 4).reshape(-1, 4)
    batch = SEEN[0][:, :, 1, 1]
    assert len(batch) == 3
    for pixel in shown[:3]:
        assert (batch - image[pixel]).abs().sum(dim=1).min() < 1e-5
    # Classes are those of what was learnt from, here three.
    assert fit.n_parameters == (4 * 9 * 6 + 6) + (6 * 3 + 3)


def test_other_labels_give_another_classifier() -> None:
    shown = given().labels
    shifted = torch.where(shown >= 0, (shown + 1) % 4, -1)
    first, second = (outputs(FlatMethod(), given(labels)) for labels in (None, shifted))
    assert not torch.equal(first[0], second[0])


def test_dropout_is_reproducible_at_work_in_training_and_absent_afterwards() -> None:
    method = FlatMethod(dropout=0.5)
    torch.manual_seed(0)
    first = method.fit(given())
    torch.manual_seed(1)
    state = torch.get_rng_state()
    second = method.fit(given())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.embed(), second.embed())
    assert torch.equal(first.embed(), first.embed())
    assert first.curves == second.curves
    assert first.curves != FlatMethod(dropout=0.0).fit(given()).curves
    assert first.curves != method.fit(given(seed=1)).curves


def test_views_change_what_is_learnt_from() -> None:
    assert FlatMethod(views=["flip_rotate"]) == FlatMethod(views=("flip_rotate",))
    plain = outputs(FlatMethod(views=()), given())[0]
    assert not torch.equal(outputs(FlatMethod(), given())[0], plain)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("ssrn", {"patch_size": 1}, "patch_size must be an odd integer >= 3, got patch_size=1"),
        ("hybrid_sn", {"patch_size": 1}, "patch_size must be an odd integer >= 3, got patch_size=1"),
        ("cnn_3d", {"patch_size": 3}, "patch_size must be an odd integer >= 5, got patch_size=3"),
        ("cnn_2d", {"patch_size": 4}, "patch_size must be an odd integer >= 1, got patch_size=4"),
        ("cnn_1d", {"n_components": 0}, "n_components=0"),
        ("ssrn", {"steps": 0}, "steps=0"),
        ("ssrn", {"batch_size": 0}, "batch_size=0"),
        ("ssrn", {"learning_rate": 0.0}, "learning_rate=0.0"),
        ("ssrn", {"weight_decay": -1.0}, "weight_decay=-1.0"),
        ("ssrn", {"precision": "float16"}, "precision='float16'"),
    ],
)
def test_bad_parameters_are_named_in_one_line(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        METHODS.get(name)(**params)
    assert "\n" not in str(caught.value)


def test_unknown_views_are_named() -> None:
    with pytest.raises(KeyError, match="unknown view 'flip'"):
        METHODS.get("ssrn")(views=("flip",))


@pytest.mark.parametrize(
    ("name", "n_components", "message"),
    [("cnn_3d", 2, "at least 3 channels, got 2"), ("ssrn", BANDS + 1, f"exceeds the scene's {BANDS} bands")],
)
def test_what_the_scene_cannot_give_is_said_in_one_line(name: str, n_components: int, message: str) -> None:
    method = METHODS.get(name)(**{**tiny_params(METHODS.get(name)), "n_components": n_components})
    with pytest.raises(InvalidValueError, match=message) as caught:
        method.fit(given())
    assert "\n" not in str(caught.value)


def test_no_label_is_said() -> None:
    with pytest.raises(InvalidValueError, match="no label may be seen"):
        FlatMethod().fit(given(torch.full_like(TRUTH, -1)))


def test_a_patch_larger_than_the_scene_is_said() -> None:
    with pytest.raises(InvalidValueError, match="patch_size=81 is too large"):
        dataclasses.replace(FlatMethod(), patch_size=81).fit(given())
