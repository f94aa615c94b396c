"""Fine-tuning: a copy of the pretrained network learns the training labels; validation chooses the rate."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark import METHODS, InvalidValueError, SplitSpec, Trial, fitting, plan_trial, run_group, run_trial
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods.base import FitData
from benchmark.planning import group_trials, split_of
from benchmark.protocols.base import Network
from benchmark.protocols.fine_tuning import FineTuning
from hsicl_core.fine_tuning import class_scores, fine_tune
from hsicl_core.observing import SilentObserver
from hsicl_core.patches import PatchSource
from hsicl_core.preprocessing import principal_components, standardize
from hsicl_core.training import NonFiniteLossError, Training
from tests.benchmark.entrants import tiny_params
from tests.scene_factory import tiny_scene

SCENE = tiny_scene()
TRUTH = SCENE.labels.reshape(-1)
SPLIT = SplitSpec(rule="random", labels_per_class=6, val_per_class=3, patch_size=5)
CPU = torch.device("cpu")


def trial(
    method: str = "nt_xent", protocol: str = "fine_tuning", index: int = 0, params: dict[str, Any] | None = None,
    **protocol_params: Any,
) -> Trial:  # fmt: skip
    return plan_trial(
        SCENE, method=method, params={**tiny_params(METHODS.get(method)), **(params or {})}, protocol=protocol,
        protocol_params=protocol_params, split=dataclasses.replace(SPLIT, index=index),
    )  # fmt: skip


def test_every_split_shares_the_pretraining_and_leaves_it_as_it_was() -> None:
    trials = [trial(index=0), trial(index=1), trial(protocol="linear", index=0)]
    assert len(group_trials(trials)) == 1
    tuned, other, probed = run_group(trials, SCENE)
    assert tuned.status == other.status == probed.status == "ok", tuned.error
    # What came before it, and in what order, changes nothing.
    assert probed.confusion_test == run_trial(trials[2], SCENE).confusion_test
    assert other.confusion_test == run_trial(trials[1], SCENE).confusion_test
    assert tuned.confusion_test != probed.confusion_test


def test_it_is_fine_tuning_on_the_training_pixels() -> None:
    planned = trial(learning_rates=(0.02,), steps=7)
    fitted = fitting.fit_scene(planned, SCENE, CPU)
    split = split_of(SCENE, planned.split)
    assert fitted.network is not None
    found = fitted.network.fine_tune(split.train, TRUTH[split.train], 7, 0.02)
    # By hand: the same encoder again, and a classifier drawn from the seed.
    method = METHODS.get("nt_xent")(**tiny_params(METHODS.get("nt_xent")))
    encoders: list[nn.Module] = []
    image = torch.from_numpy(SCENE.cube.astype(np.float32))
    pixels = torch.arange(len(TRUTH))
    networks = method._seeded_networks

    def spy(*given: Any) -> Any:
        made = networks(*given)
        encoders.append(made.encoder)
        return made

    object.__setattr__(method, "_seeded_networks", spy)
    labels = torch.full_like(pixels, -1)
    memo = ScopedMemo(Memo())
    method.fit(
        FitData(cube=image, pixels=pixels, labels=labels, seed=0, device=CPU, observer=SilentObserver(), memo=memo)
    )
    encoder: Any = encoders[0]
    components = principal_components(standardize(image, pixels), pixels, method.n_components)
    torch.manual_seed(0)
    classifier = nn.Linear(encoder.dim, 4)
    fine_tune(
        encoder, classifier, PatchSource(components, method.patch_size), torch.from_numpy(split.train),
        torch.from_numpy(TRUTH[split.train]), views=method.make_views(),
        training=Training(steps=7, batch_size=method.batch_size, learning_rate=0.02),
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    expected = class_scores(classifier, encoder.embed_scene(components).flatten(0, 1))
    assert np.array_equal(found, expected.numpy())


def test_validation_chooses_and_test_labels_play_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[int], list[int], float]] = []
    split = split_of(SCENE, trial().split)

    def fake(pixels: np.ndarray, labels: np.ndarray, steps: int, rate: float) -> np.ndarray:
        seen.append((pixels.tolist(), labels.tolist(), rate))
        # The higher the rate, the more validation pixels are right, up to 1e-3; above, fewer.
        n_right = {3e-4: 1, 1e-3: 3, 3e-3: 2}[rate]
        scores = np.zeros((len(TRUTH), 4), dtype=np.float32)
        scores[np.arange(len(TRUTH)), (TRUTH + 1) % 4] = 1.0
        right = split.val[:n_right]
        scores[right, TRUTH[right]] = 2.0
        return scores

    protocol = FineTuning()
    rows = protocol.prepare(Network(len(TRUTH), fake), np.arange(len(TRUTH)))
    chosen = protocol.choose(rows[split.train], TRUTH[split.train], rows[split.val], TRUTH[split.val])
    assert chosen.parameters == {"learning_rate": 1e-3}
    assert [rate for *_, rate in seen] == [3e-4, 1e-3, 3e-3]
    assert all(pixels == split.train.tolist() for pixels, *_ in seen)
    assert all(labels == TRUTH[split.train].tolist() for _, labels, _ in seen)
    assert np.array_equal(chosen.predict(rows[split.val[:3]]), TRUTH[split.val[:3]])


def test_a_rate_that_diverges_is_no_candidate_and_all_of_them_are_an_error() -> None:
    def fake(pixels: np.ndarray, labels: np.ndarray, steps: int, rate: float) -> np.ndarray:
        if rate > 0.01:
            raise NonFiniteLossError("the loss is nan")
        return np.eye(4, dtype=np.float32)[np.maximum(TRUTH, 0)]

    split = split_of(SCENE, trial().split)
    for rates, expected in (((0.1, 0.001), 0.001), ((0.001, 0.1), 0.001), ((0.1, 0.2), None)):
        protocol = FineTuning(learning_rates=rates)
        rows = protocol.prepare(Network(len(TRUTH), fake), np.arange(len(TRUTH)))
        given = rows[split.train], TRUTH[split.train], rows[split.val], TRUTH[split.val]
        if expected is None:
            with pytest.raises(NonFiniteLossError):
                protocol.choose(*given)
        else:
            assert protocol.choose(*given).parameters == {"learning_rate": expected}


def test_it_learns() -> None:
    params = {"steps": 100, "learning_rate": 0.02, "n_components": 8}
    record = run_trial(trial(params=params, learning_rates=(0.02,), steps=60), SCENE)
    confusion = np.array(record.confusion_test)
    assert np.trace(confusion) / confusion.sum() > 0.8
    assert json.loads(record.chosen_json or "") == {"learning_rate": 0.02}


def test_methods_without_a_network_and_odd_values_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="reads network, which method 'raw_spectra' does not give"):
        trial("raw_spectra")
    with pytest.raises(InvalidValueError, match="steps"):
        trial(steps=0)
    with pytest.raises(InvalidValueError, match="learning_rates"):
        trial(learning_rates=(0.0,))
