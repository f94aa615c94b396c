"""What every registered method must do, on a tiny budget."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import METHODS, PROTOCOLS, Scene, SplitSpec, Trial, fitting, methods, plan_trial, run_trial
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods.base import BEYOND_PATCH, KINDS, Fit, FitData, Method
from benchmark.methods_readme import described
from benchmark.planning import can_score, split_of
from benchmark.trial import canonical_json
from hsicl_core.observing import SilentObserver
from results import RunRecord
from tests.benchmark.entrants import tiny_params
from tests.reachable import everything_from, holds_labels
from tests.scene_factory import tiny_scene

each = pytest.mark.parametrize("name", METHODS.names())
SCENE = tiny_scene()
SPLIT = SplitSpec(rule="random", labels_per_class=1, val_per_class=1, patch_size=5)
CPU = torch.device("cpu")
# What these kinds compute is decided by the data and drawn weights alone, no batch is.
WITHOUT_TRAINING = ("trivial", "classical")


@pytest.fixture(autouse=True)
def fresh_memo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_MEMO", Memo(size=16))


def make(name: str) -> Method:
    method = METHODS.get(name)
    return method(**tiny_params(method))


def data(method: Method, *, seed: int = 0) -> FitData:
    """Return what a fit is given, with the labels that the method may see."""
    labels = torch.from_numpy(SCENE.labels.reshape(-1).copy())
    if method.sees_labels != "all":
        shown = torch.zeros(len(labels), dtype=torch.bool)
        if method.sees_labels == "train":
            shown[::17] = True
        labels = torch.where(shown, labels, -1)
    return FitData(
        cube=torch.from_numpy(SCENE.cube.copy()), pixels=torch.arange(len(labels)), labels=labels, seed=seed,
        device=CPU, observer=SilentObserver(), memo=ScopedMemo(Memo()),
    )  # fmt: skip


def embedding(fit: Fit) -> torch.Tensor:
    return fit.embed().detach().clone()


def scores(fit: Fit) -> torch.Tensor:
    assert fit.classify is not None
    return fit.classify(fit.embed())


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A fit that tests share, what it was given, and copies of that from before."""

    given: FitData
    before: tuple[torch.Tensor, ...]
    fit: Fit
    embedding: torch.Tensor


@functools.cache
def fitted(method: type[Method]) -> Fitted:
    """Fit to the usual data, once for all tests of the method."""
    torch.manual_seed(0)
    entrant = method(**tiny_params(method))
    given = data(entrant)
    before = given.cube[:].clone(), given.labels.clone(), given.pixels.clone()
    fit = entrant.fit(given)
    return Fitted(given, before, fit, embedding(fit))


def plan(name: str, scene: Scene, **options: Any) -> Trial:
    return plan_trial(
        scene, method=name, params=tiny_params(METHODS.get(name)), **{"protocol": "knn", "split": SPLIT, **options}
    )


@each
def test_embeds_every_pixel(name: str) -> None:
    fit, found = fitted(METHODS.get(name)).fit, fitted(METHODS.get(name)).embedding
    assert found.dtype == torch.float32
    assert found.ndim == 2
    assert len(found) == SCENE.labels.size
    assert found.isfinite().all()
    assert not fit.embed().requires_grad
    assert found.std(dim=0).max() > 0
    assert fit.n_parameters >= 0
    for curve, step, value in fit.curves:
        assert isinstance(curve, str)
        assert isinstance(step, int)
        assert isinstance(value, float)
    # Asked again, it says the same.
    assert torch.equal(embedding(fit), found)


@each
def test_the_same_data_give_the_same_bits(name: str) -> None:
    first = fitted(METHODS.get(name)).embedding
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global generator is the one that must not matter
    state, of_numpy = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    assert torch.equal(embedding(make(name).fit(data(make(name)))), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], of_numpy[1])  # noqa: NPY002


@each
def test_a_memo_that_others_have_filled_changes_nothing(name: str) -> None:
    method = make(name)
    given, shared = fitted(type(method)).given, ScopedMemo(Memo())
    other = dataclasses.replace(data(method, seed=1), memo=shared)
    if method.sees_labels == "train":
        # Those of another split of the same scene.
        other = dataclasses.replace(other, labels=given.labels.roll(1))
    method.fit(other).embed()
    fit = method.fit(dataclasses.replace(data(method), memo=shared))
    assert torch.equal(embedding(fit), fitted(type(method)).embedding)
    if method.classifies:
        assert torch.equal(fit.classify(fit.embed()), scores(fitted(type(method)).fit))


@each
def test_what_it_is_given_is_left_as_it_was(name: str) -> None:
    shared = fitted(METHODS.get(name))
    for value, was in zip((shared.given.cube, shared.given.labels, shared.given.pixels), shared.before, strict=True):
        assert torch.equal(value, was)


@each
def test_no_hidden_label_reaches_embedding_or_scores(name: str) -> None:
    method = METHODS.get(name)
    assert method.sees_labels in ("none", "train", "all")
    if method.sees_labels == "all":
        pytest.skip("a bound sees all labels and says so")
    # The same image and split with every hidden label changed.
    split = dataclasses.replace(SPLIT, labels_per_class=4)
    fixed = split_of(SCENE, split)
    hidden = SCENE.labels.reshape(-1) >= 0
    if method.sees_labels == "train":
        hidden[fixed.train] = False
    labels = SCENE.labels.reshape(-1).copy()
    labels[hidden] = (labels[hidden] + 1) % SCENE.n_classes
    other = dataclasses.replace(SCENE, labels=labels.reshape(SCENE.labels.shape))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "split_of", lambda scene, spec: fixed)
        fits = [fitting.fit_scene(plan(name, scene, split=split), scene, CPU) for scene in (SCENE, other)]
    assert np.array_equal(fits[0].embedding, fits[1].embedding)
    if method.classifies:
        assert np.array_equal(fits[0].scores, fits[1].scores)


@each
def test_no_hidden_label_is_within_reach_of_the_fit(name: str) -> None:
    method = METHODS.get(name)
    given: list[FitData] = []

    def look(self: Method, data: FitData) -> Fit:
        given.append(data)
        raise InterruptedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method, "fit", look)
        with pytest.raises(InterruptedError):
            fitting.fit_scene(plan(name, SCENE), SCENE, CPU)
    truth, shown = SCENE.labels.reshape(-1), given[0].labels.numpy()
    hidden = (truth >= 0) & (shown != truth)
    assert hidden.any() == (method.sees_labels != "all")
    assert (shown[shown >= 0] == truth[shown >= 0]).all()
    if hidden.any():
        assert not any(holds_labels(found, truth, hidden) for found in everything_from(given[0]))


@each
def test_a_strip_changes_only_what_is_near_it(name: str) -> None:
    method = make(name)
    column = torch.arange(SCENE.labels.size) % SCENE.labels.shape[1]
    given = dataclasses.replace(data(method), pixels=torch.nonzero(column < 20)[:, 0])
    reach = method.receptive_field // 2
    # No patch of its pixels holds any of it.
    start, stop = 20 + reach, 26 + reach
    cube = given.cube[:].clone()
    cube[:, start:stop] = 100 - 3 * cube[:, start:stop]
    labels = torch.where(column < start, given.labels, 1 - given.labels.clamp(max=1))
    other = dataclasses.replace(given, cube=cube, labels=labels, memo=ScopedMemo(Memo()))
    fits = [method.fit(given), method.fit(other)]
    is_far = column < 20
    if method.bounded_view:
        is_far |= (column < start - reach) | (column >= stop + reach)
        assert is_far[column >= 40].any()
    found = [embedding(fit) for fit in fits]
    assert torch.equal(found[0][is_far], found[1][is_far])
    assert not torch.equal(found[0][~is_far], found[1][~is_far])
    if method.classifies:
        assert torch.equal(scores(fits[0])[is_far], scores(fits[1])[is_far])


@each
def test_where_others_are_does_not_matter_if_its_view_is_bounded(name: str) -> None:
    method = make(name)
    if method.kind not in WITHOUT_TRAINING:
        pytest.skip("batches depend on where pixels are")
    given = data(method)
    columns = torch.arange(SCENE.labels.shape[1])
    # The same spectra elsewhere: two strips change places.
    moved = torch.cat([columns[40:], columns[8:40], columns[:8]])
    other = dataclasses.replace(given, cube=given.cube[:][:, moved].clone(), memo=ScopedMemo(Memo()))
    reach = method.receptive_field // 2
    is_far = ((columns >= 8 + reach) & (columns < 40 - reach)).repeat(SCENE.labels.shape[0])
    found = [embedding(method.fit(each))[is_far] for each in (given, other)]
    # Sums in another order differ in the last bits.
    assert torch.allclose(found[0], found[1], rtol=1e-3, atol=1e-3) == method.bounded_view


@each
def test_class_scores_come_from_those_that_classify_and_from_no_other(name: str) -> None:
    method, given, fit = METHODS.get(name), fitted(METHODS.get(name)).given, fitted(METHODS.get(name)).fit
    assert (fit.classify is not None) == method.classifies
    if fit.classify is not None:
        found = scores(fit)
        assert (found.dtype, found.shape) == (torch.float32, (SCENE.labels.size, int(given.labels.max()) + 1))
        assert found.isfinite().all()
        assert not found.requires_grad
        assert torch.equal(scores(fit), found)


@each
def test_a_copy_is_fine_tuned_of_those_that_have_a_network_and_of_no_other(name: str) -> None:
    method, shared = METHODS.get(name), fitted(METHODS.get(name))
    assert (shared.fit.fine_tune is not None) == method.fine_tunes
    if shared.fit.fine_tune is not None:
        pixels = torch.arange(0, SCENE.labels.size, 97)
        # Class 1 is missing.
        classes = torch.arange(len(pixels)) % 2 * 2
        state = torch.get_rng_state()
        found = shared.fit.fine_tune(pixels, classes, 2, 0.01)
        assert (found.dtype, found.shape) == (torch.float32, (SCENE.labels.size, 3))
        assert found.isfinite().all()
        assert not found.requires_grad
        assert torch.equal(torch.get_rng_state(), state)
        torch.manual_seed(1)
        assert torch.equal(shared.fit.fine_tune(pixels, classes, 2, 0.01), found)
        assert not torch.equal(shared.fit.fine_tune(pixels, classes, 2, 0.02), found)
        assert torch.equal(embedding(shared.fit), shared.embedding)


@each
def test_its_fit_uses_the_split_where_it_sees_labels_of_it_or_may_not_see_its_test_pixels(name: str) -> None:
    method = METHODS.get(name)
    assert method().transductive is True
    assert method().uses_split == (method.sees_labels == "train")
    assert method(transductive=False).uses_split


@each
def test_one_label_per_class_is_enough(name: str) -> None:
    record = run_trial(plan(name, SCENE), SCENE)
    assert record.status == "ok", record.error
    assert record.n_train == SCENE.n_classes
    assert np.sum(record.confusion_test) == record.n_test > 0
    assert isinstance(record, RunRecord)
    assert (BEYOND_PATCH in record.noted) == (not METHODS.get(name).bounded_view)
    assert record.fit_s + record.embed_s + record.protocol_s < 5


@each
def test_classes_without_a_visible_label_are_no_error(name: str) -> None:
    method = make(name)
    given = data(method)
    if method.sees_labels != "none":
        # One in the middle and the last one are missing.
        given = dataclasses.replace(given, labels=torch.where(given.labels % 2 == 0, given.labels, -1))
        fit = method.fit(given)
        assert fit.embed().isfinite().all()
        if fit.classify is not None:
            assert scores(fit).shape == (SCENE.labels.size, 3)
            assert scores(fit).isfinite().all()


@each
def test_its_parameters_are_plain_values_and_build_it_again(name: str) -> None:
    method = make(name)
    planned = plan(name, SCENE)
    assert canonical_json(dataclasses.asdict(method)) == planned.params
    assert METHODS.get(name)(**planned.method_params()) == method
    METHODS.get(name)()
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.sees_labels = "all"


@each
def test_it_says_how_far_it_sees(name: str) -> None:
    field = make(name).receptive_field
    assert field >= 1
    assert field % 2 == 1


@each
def test_what_it_says_of_itself_holds(name: str) -> None:
    method = METHODS.get(name)
    assert method.kind in KINDS
    assert (method.kind == "bound") == (method.sees_labels == "all")
    assert method.protocols
    assert len(set(method.protocols)) == len(method.protocols)
    for protocol in method.protocols:
        assert protocol in PROTOCOLS.names()
        assert can_score(protocol, name)


@each
def test_the_leaderboard_can_plan_its_defaults_and_all_of_its_search_space(name: str) -> None:
    method = METHODS.get(name)
    assert set(method.search_space) <= {field.name for field in dataclasses.fields(method)}
    assert all(len(set(map(repr, values))) == len(values) >= 2 for values in method.search_space.values())
    combinations = list(itertools.product(*method.search_space.values()))
    assert len(combinations) <= 12
    # Patches as large as a split guards unless asked for more.
    split = dataclasses.replace(SPLIT, patch_size=SplitSpec().patch_size)
    for values in [(), *combinations]:
        params = dict(zip(method.search_space, values, strict=False))
        for protocol in method.protocols:
            plan_trial(SCENE, method=name, params=params, protocol=protocol, split=split)


@each
def test_its_file_tells_source_differences_and_cost(name: str) -> None:
    module = sys.modules[METHODS.get(name).__module__]
    if Path(str(module.__file__)).parent != Path(str(methods.__file__)).parent:
        # What other packages add is documented where they are.
        return
    facts = described(METHODS.get(name))
    assert set(facts) == {"", "Source", "Differs", "Cost"}
    assert all(facts.values())
