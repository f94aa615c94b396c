"""The entrants that learn nothing but statistics, and the random forest, against loops and scikit-learn."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor

from benchmark import METHODS, PROTOCOLS, InvalidValueError, SplitSpec, fitting, methods_readme, plan_trial, run_trial
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods.base import BEYOND_PATCH, FitData, Method
from benchmark.methods.super_pixel_pca import principal_axes
from benchmark.planning import split_of
from hsicl_core import MissingPackageError
from hsicl_core.observing import SilentObserver
from hsicl_core.preprocessing import principal_components, standardize
from hsicl_core.pseudolabels.super_pixels import SuperPixelPseudoLabeler
from tests.scene_factory import tiny_scene

SCENE = tiny_scene()
HEIGHT, WIDTH = SCENE.labels.shape
CUBE = torch.from_numpy(SCENE.cube.copy())
SPLIT = SplitSpec(rule="random", labels_per_class=4, val_per_class=3, patch_size=9)
CPU = torch.device("cpu")
# Training pixels by class.
COUNTS = {0: 1, 1: 5, 2: 2, 3: 2}


@pytest.fixture(autouse=True)
def fresh_memo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_MEMO", Memo(size=16))


def make(name: str, **params: Any) -> Method:
    return METHODS.get(name)(**params)


def data(pixels: Tensor | None = None, labels: Tensor | None = None) -> FitData:
    return FitData(
        cube=CUBE, pixels=torch.arange(HEIGHT * WIDTH) if pixels is None else pixels,
        labels=torch.full((HEIGHT * WIDTH,), -1) if labels is None else labels, seed=0, device=CPU,
        observer=SilentObserver(), memo=ScopedMemo(Memo()),
    )  # fmt: skip


def some_labels(counts: dict[int, int]) -> Tensor:
    labels = torch.full((HEIGHT * WIDTH,), -1)
    wanted = torch.tensor([label for label, count in counts.items() for _ in range(count)])
    labels[torch.arange(len(wanted)) * 7] = wanted
    return labels


@pytest.mark.parametrize("counts", [COUNTS, {0: 1, 2: 3}, {1: 2}])
def test_the_majority_is_as_sure_as_its_share(counts: dict[int, int]) -> None:
    fit = make("majority_class").fit(data(labels=some_labels(counts)))
    assert fit.classify is not None
    scores = fit.classify(fit.embed())
    shares = torch.tensor([counts.get(label, 0) for label in range(max(counts) + 1)]) / sum(counts.values())
    torch.testing.assert_close(scores.softmax(dim=1), shares.expand(HEIGHT * WIDTH, -1))
    assert (scores.argmax(dim=1) == shares.argmax()).all()


def test_only_labels_of_its_pixels_are_counted() -> None:
    labels = some_labels(COUNTS)
    labels[-20:] = 3
    fit = make("majority_class").fit(data(torch.arange(HEIGHT * WIDTH - 20), labels))
    assert fit.classify is not None
    assert (fit.classify(fit.embed()).argmax(dim=1) == 1).all()


def test_with_equal_budgets_the_majority_is_the_first_class() -> None:
    trial = plan_trial(SCENE, method="majority_class", protocol="own_classifier", split=SPLIT)
    fitted = fitting.fit_scene(trial, SCENE, CPU)
    assert fitted.scores is not None
    assert (fitted.scores == fitted.scores[0, 0]).all()
    confusion = np.array(run_trial(trial, SCENE).confusion_test)
    assert confusion.sum() == len(split_of(SCENE, SPLIT).test)
    assert (confusion[:, 1:] == 0).all()


@pytest.mark.parametrize("n_components", [1, 4, 12])
def test_principal_components_are_those_of_scikit_learn(n_components: int) -> None:
    pixels = torch.arange(0, HEIGHT * WIDTH, 3)
    found = make("principal_components", n_components=n_components).fit(data(pixels)).embed().double().numpy()
    spectra = SCENE.cube.reshape(-1, 12).astype(np.float64)
    spectra = (spectra - spectra[pixels].mean(axis=0)) / spectra[pixels].std(axis=0)
    expected = PCA(n_components).fit(spectra[pixels]).transform(spectra)
    expected /= expected[pixels, 0].std()
    expected *= np.sign((expected * found).sum(axis=0))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_spectra_are_standardised_over_its_pixels() -> None:
    pixels = torch.arange(0, HEIGHT * WIDTH, 3)
    found = make("raw_spectra").fit(data(pixels)).embed()
    assert found.shape == (HEIGHT * WIDTH, 12)
    torch.testing.assert_close(found[pixels].mean(dim=0), torch.zeros(12), atol=1e-5, rtol=0)
    torch.testing.assert_close(found[pixels].std(dim=0, unbiased=False), torch.ones(12))


@pytest.mark.parametrize(("patch_size", "n_disks"), [(5, 1), (7, 1), (9, 2), (13, 3)])
def test_a_profile_has_an_opening_and_a_closing_for_every_disk_that_the_patch_allows(
    patch_size: int, n_disks: int
) -> None:
    method = make("extended_morphological_profiles", n_components=3, patch_size=patch_size)
    assert method.receptive_field == patch_size
    found = method.fit(data()).embed()
    assert found.shape == (HEIGHT * WIDTH, 3 * (2 * n_disks + 1))
    components = principal_components(standardize(CUBE, torch.arange(HEIGHT * WIDTH)), torch.arange(HEIGHT * WIDTH), 3)
    assert torch.equal(found[:, :3], components.flatten(0, 1))


def super_pixels_of(pixels: Tensor, method: Method) -> NDArray[np.int64]:
    """The superpixel (n,) of every pixel, as the pseudolabels of the same name find them."""
    first = principal_components(standardize(CUBE, pixels), pixels, 1).flatten(0, 1)[pixels]
    source = SuperPixelPseudoLabeler(n_clusters=1, n_superpixels=method.n_superpixels, compactness=method.compactness)
    return source.fit(first, positions=torch.stack([pixels // WIDTH, pixels % WIDTH], dim=1)).superpixels_.numpy()


def projected(spectra: NDArray[np.float64], seen: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Spectra on the axes of those that were seen, by a singular value decomposition of the centred ones."""
    _, values, axes = np.linalg.svd(seen - seen.mean(axis=0), full_matrices=False)
    axes = axes[:n][values[:n] > 1e-5 * values[0]]
    axes = np.stack([axis * np.sign(axis[np.abs(axis).argmax()]) for axis in axes])
    out = np.zeros((len(spectra), n))
    out[:, : len(axes)] = spectra @ axes.T
    return out


def test_a_pixel_is_projected_on_the_axes_of_its_super_pixel() -> None:
    pixels = torch.arange(HEIGHT * WIDTH)
    method = make("super_pixel_pca", n_components=4, n_superpixels=20, compactness=1.0)
    found = method.fit(data(pixels)).embed().numpy()
    segments = super_pixels_of(pixels, method)
    assert len(np.unique(segments)) > 5
    spectra = SCENE.cube.reshape(-1, 12).astype(np.float64)
    for segment in np.unique(segments):
        seen = pixels.numpy()[segments == segment]
        np.testing.assert_allclose(found[seen], projected(spectra[seen], spectra[seen], 4), atol=1e-4)


def test_a_pixel_that_may_not_be_seen_takes_the_axes_of_the_nearest_that_may() -> None:
    method = make("super_pixel_pca", n_components=4, n_superpixels=20, compactness=1.0)
    pixels = torch.arange(HEIGHT * WIDTH)[torch.arange(HEIGHT * WIDTH) % WIDTH < 30]
    found = method.fit(data(pixels)).embed().numpy()
    segments = super_pixels_of(pixels, method)
    assert len(np.unique(segments)) > 5
    spectra = SCENE.cube.reshape(-1, 12).astype(np.float64)
    for row in range(HEIGHT):
        of_edge = segments[pixels.numpy() == row * WIDTH + 29]
        seen = spectra[pixels.numpy()[segments == of_edge]]
        beyond = row * WIDTH + np.arange(30, WIDTH)
        np.testing.assert_allclose(found[beyond], projected(spectra[beyond], seen, 4), atol=1e-4)


def test_axes_without_variance_are_zero() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(3, 6, generator=generator, dtype=torch.float64) * 100
    axes = principal_axes(vectors, 4)
    # Three vectors span two directions around their mean.
    assert (axes.norm(dim=0) > 0).tolist() == [True, True, False, False]
    torch.testing.assert_close(axes[:, :2].T @ axes[:, :2], torch.eye(2, dtype=torch.float64))
    assert (axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)) >= 0).all()
    for alike in (vectors[:1], vectors[:1].repeat(5, 1)):
        assert (principal_axes(alike, 4) == 0).all()


def test_records_and_the_page_of_methods_say_that_its_view_has_no_bound() -> None:
    params = {"n_components": 4, "n_superpixels": 20}
    trial = plan_trial(SCENE, method="super_pixel_pca", params=params, protocol="svm", split=SPLIT)
    record = run_trial(trial, SCENE)
    assert record.noted == {BEYOND_PATCH: record.n_test}
    assert split_of(SCENE, SPLIT).noted == {}
    plain = run_trial(plan_trial(SCENE, method="raw_spectra", protocol="knn", split=SPLIT), SCENE)
    assert plain.noted == {}
    says_so = [line for line in methods_readme.text().splitlines() if BEYOND_PATCH in line]
    assert len(says_so) == sum(not METHODS.get(name).bounded_view for name in METHODS.names()) > 0


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(MissingPackageError, match="'scikit-image' is not installed"):
        make("super_pixel_pca", n_components=4).fit(data())


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("principal_components", {"n_components": 0}, "n_components must be an integer >= 1, got n_components=0"),
        ("extended_morphological_profiles", {"n_components": 0}, "n_components must be"),
        ("extended_morphological_profiles", {"patch_size": 3}, "patch_size must be an odd integer >= 5"),
        ("extended_morphological_profiles", {"patch_size": 8}, "patch_size must be an odd integer >= 5"),
        ("super_pixel_pca", {"n_components": 0}, "n_components must be"),
        ("super_pixel_pca", {"n_superpixels": 0}, "n_superpixels must be"),
        ("super_pixel_pca", {"compactness": 0}, "compactness must be a number > 0"),
    ],
)
def test_a_bad_value_is_refused(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        make(name, **params)


@pytest.mark.parametrize("name", ["principal_components", "extended_morphological_profiles", "super_pixel_pca"])
def test_more_components_than_bands_are_refused(name: str) -> None:
    with pytest.raises(InvalidValueError, match="n_components=13 exceeds the scene's 12 bands"):
        make(name, n_components=13).fit(data()).embed()


def test_a_profile_that_sees_farther_than_the_split_guards_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="sees 11 x 11 pixels, the split guards patch_size=9"):
        plan_trial(SCENE, method="extended_morphological_profiles", params={"patch_size": 11}, split=SPLIT)


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("principal_components", {"n_components": 5}),
    ("extended_morphological_profiles", {"n_components": 5}),
    ("extended_morphological_profiles", {"patch_size": 7}),
    ("super_pixel_pca", {"n_components": 5}),
    ("super_pixel_pca", {"n_superpixels": 30}),
    ("super_pixel_pca", {"compactness": 5.0}),
]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_every_parameter_reaches_the_embedding(name: str, change: dict[str, Any]) -> None:
    base = {"n_components": 4}
    found = [make(name, **params).fit(data()).embed() for params in (base, {**base, **change})]
    assert found[0].shape != found[1].shape or not torch.equal(found[0], found[1])


def draw(n_per_class: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    labels = np.repeat([1, 4, 7], n_per_class)
    return (np.eye(9)[labels] * 2 + generator.normal(size=(len(labels), 9))).astype(np.float32), labels


@pytest.mark.parametrize(("exponent", "n_tried"), [(0.5, 3), (1.0, 9), (0.01, 1)])
def test_trees_average_the_shares_of_their_leaves(exponent: float, n_tried: int) -> None:
    (x, y), (val_x, val_y), (other, _) = draw(6, 0), draw(6, 1), draw(20, 2)
    protocol = PROTOCOLS.get("random_forest")(n_trees=9, exponents=(exponent,), leaf_sizes=(2,))
    chosen = protocol.choose(x, y, val_x, val_y)
    forest = RandomForestClassifier(9, max_features=n_tried, min_samples_leaf=2, random_state=0).fit(x, y)
    shares = np.zeros((len(other), 3))
    for tree in forest.estimators_:
        # Node by node, from the root down.
        for row, values in enumerate(other):
            node, inner = 0, tree.tree_
            while inner.children_left[node] >= 0:
                goes_left = values[inner.feature[node]] <= inner.threshold[node]
                node = (inner.children_left if goes_left else inner.children_right)[node]
            shares[row] += inner.value[node, 0] / inner.value[node, 0].sum() / 9
    assert chosen.confidence is not None
    np.testing.assert_allclose(chosen.confidence(other), shares.max(axis=1), atol=1e-6)
    assert np.array_equal(chosen.predict(other), np.array([1, 4, 7])[shares.argmax(axis=1)])
    assert chosen.parameters == {"exponent": exponent, "leaf_size": 2}


@pytest.mark.parametrize("params", [{"n_trees": 0}, {"exponents": (0.0,)}, {"exponents": (1.5,)}, {"leaf_sizes": (0,)}])
def test_a_bad_forest_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(params))):
        PROTOCOLS.get("random_forest")(**params)


def test_a_forest_is_chosen_among_all_settings() -> None:
    (x, y), (val_x, val_y) = draw(10, 0), draw(30, 1)
    protocol = PROTOCOLS.get("random_forest")(n_trees=5)
    settings = [(exponent, size) for exponent in protocol.exponents for size in protocol.leaf_sizes]
    alone = [
        dataclasses.replace(protocol, exponents=(exponent,), leaf_sizes=(size,)).choose(x, y, val_x, val_y)
        for exponent, size in settings
    ]
    right = [int((one.predict(val_x) == val_y).sum()) for one in alone]
    assert len(set(right)) > 1
    assert protocol.choose(x, y, val_x, val_y).parameters == alone[right.index(max(right))].parameters
