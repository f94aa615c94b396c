"""A trial gives the same numbers however it is run, sees only what it may, and what fails is recorded."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import METHODS, InvalidValueError, SplitSpec, Trial, fitting, plan_trial, run_group, run_trial
from benchmark.memo import Memo
from benchmark.planning import split_of
from results import RunRecord
from tests.benchmark.entrants import SpyAll, SpyNone, SpyTrain, tiny_params
from tests.scene_factory import tiny_scene

ROOT = Path(__file__).resolve().parents[2]
SCENE = tiny_scene()
SPLIT = SplitSpec(rule="random", labels_per_class=4, val_per_class=3, patch_size=5)
LEARNERS = ("mined_negatives", "nt_xent", "oracle_negatives")

pytestmark = pytest.mark.usefixtures("entrants")


@pytest.fixture(autouse=True)
def fresh_memo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts as a fresh process does."""
    monkeypatch.setattr(fitting, "_MEMO", Memo(size=16))


def trial(
    method: str = "raw_spectra", *, index: int = 0, params: dict[str, Any] | None = None, **options: Any
) -> Trial:
    split = dataclasses.replace(SPLIT, index=index)
    given = {**tiny_params(METHODS.get(method)), **(params or {})}
    return plan_trial(SCENE, method=method, params=given, **{"protocol": "knn", "split": split, **options})


def confusions(record: RunRecord) -> tuple[Any, Any]:
    assert record.status == "ok", record.error
    return record.confusion_val, record.confusion_test


def test_the_record_of_a_trial_is_complete() -> None:
    planned = trial("mined_negatives", params={"easy": "uniform"}, seed=5, index=2)
    record = run_trial(planned, SCENE, device="cpu")
    split = split_of(SCENE, planned.split)

    assert record.status == "ok"
    assert (record.trial_id, record.config_id) == (planned.trial_id, planned.config_id)
    assert (record.scene, record.scene_hash) == ("tiny", SCENE.hash)
    assert (record.split_rule, record.labels_per_class, record.split_index) == ("random", 4, 2)
    assert (record.method, record.protocol, record.seed) == ("mined_negatives", "knn", 5)
    assert json.loads(record.params_json)["easy"] == "uniform"
    assert record.class_names == list(SCENE.class_names)
    # Rows of a confusion matrix count the true pixels of a class.
    flat = SCENE.labels.reshape(-1)
    for confusion, pixels in ((record.confusion_val, split.val), (record.confusion_test, split.test)):
        assert np.sum(confusion, axis=1).tolist() == np.bincount(flat[pixels], minlength=4).tolist()
    assert (record.n_train, record.n_val, record.n_test) == (len(split.train), len(split.val), len(split.test))
    assert record.n_train + record.n_val + record.n_test == (SCENE.labels >= 0).sum()
    assert record.transductive is True
    assert record.leakage > 0
    assert json.loads(record.chosen_json)["k"] in (1, 3, 5, 10)
    # Convolutions 4 x 8, 8 x 8 and 8 x 16 of kernels 3, 3, 1, and two numbers per normalised channel.
    assert record.n_parameters == 4 * 8 * 9 + 8 * 8 * 9 + 8 * 16 + 2 * (8 + 8 + 16)
    assert record.embedding_dim == 16
    assert {"loss", "false_negative_rate_after", "false_negative_rate_hard"} <= {p["name"] for p in record.curves}
    assert {"purity", "pair_precision", "negatives_per_anchor"} <= set(record.diagnostics)
    assert record.diagnostics["negatives_per_anchor"] == 8
    assert min(record.fit_s, record.embed_s, record.protocol_s) > 0
    assert record.device == "cpu"
    assert record.n_threads == 1
    if record.peak_memory_mib is not None:
        assert record.fit_memory_mib is not None
        assert record.embed_memory_mib is not None
        assert record.peak_memory_mib == max(record.fit_memory_mib, record.embed_memory_mib) > 1
    assert torch.__version__.startswith(record.versions["torch"].partition("+")[0])
    assert record.error is None
    assert record.to_table().num_rows == 1


def test_a_classifier_that_can_see_is_better_than_chance() -> None:
    record = run_trial(trial(), SCENE)
    confusion = np.array(record.confusion_test)
    assert np.trace(confusion) / confusion.sum() > 0.6


@pytest.mark.parametrize("method", LEARNERS)
def test_alone_in_a_group_again_and_after_others_the_same_bits(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = trial(method, params={"easy": "uniform"} if method == "mined_negatives" else None)
    alone = confusions(run_trial(wanted, SCENE))
    again = confusions(run_trial(wanted, SCENE))

    siblings = [
        trial(method, params=wanted.method_params(), index=index, protocol=p) for index, p in ((1, "knn"), (2, "svm"))
    ]
    group = [siblings[0], wanted, siblings[1]]
    in_group = [confusions(record) for record in run_group(group, SCENE)]

    # What other trials have left in the memo is not taken for this one's.
    monkeypatch.setattr(fitting, "_MEMO", Memo(size=16))
    neighbours = [trial(other, params={"n_components": 5}) for other in LEARNERS]
    neighbours += [trial(other, seed=7) for other in LEARNERS]
    for name in ("n_clusters", "cluster_window"):
        neighbours.append(trial("mined_negatives", params={"easy": "uniform", name: 3}))
    for neighbour in neighbours:
        assert confusions(run_trial(neighbour, SCENE)) != alone
    with_memo = confusions(run_trial(wanted, SCENE))

    assert alone == again == in_group[1] == with_memo
    assert in_group[0] != in_group[1]
    assert confusions(run_trial(siblings[0], SCENE)) == in_group[0]
    # The seed does reach the numbers.
    assert confusions(run_trial(dataclasses.replace(wanted, seed=1), SCENE)) != alone


def test_the_number_of_threads_does_not_change_the_bits_and_comes_back() -> None:
    before = torch.get_num_threads()
    found = []
    try:
        for n_threads in (1, 3):
            torch.set_num_threads(n_threads)
            found.append(confusions(run_trial(trial("nt_xent"), SCENE)))
            assert torch.get_num_threads() == n_threads
            assert run_trial(trial("broken_fit"), SCENE).status == "failed"
            assert torch.get_num_threads() == n_threads
            list(run_group([trial("nt_xent", index=0), trial("nt_xent", index=1)], SCENE))
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_the_same_bits_in_a_process_with_other_hashes() -> None:
    code = (
        "import json, sys\n"
        "from tests.benchmark.test_runner import LEARNERS, SCENE, run_trial, trial\n"
        "records = [run_trial(trial(method), SCENE) for method in LEARNERS[::-1]]\n"
        "print(json.dumps({r.method: [r.trial_id, r.confusion_val, r.confusion_test] for r in records}))\n"
    )
    here = {method: run_trial(trial(method), SCENE) for method in LEARNERS}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=120, check=True,
        env={**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    found = json.loads(done.stdout)
    for method, record in here.items():
        assert found[method] == [record.trial_id, record.confusion_val, record.confusion_test]


def test_a_search_trial_is_never_tested() -> None:
    search, final = (run_trial(trial(purpose=purpose), SCENE) for purpose in ("search", "trial"))
    assert search.confusion_test is None
    assert search.purpose == "search"
    assert search.confusion_val == final.confusion_val
    assert final.confusion_test is not None
    assert search.trial_id != final.trial_id


def test_a_group_shares_one_fit() -> None:
    SpyNone.seen.clear()
    records = list(run_group([trial("spy_none", index=index) for index in range(3)], SCENE))
    assert len(SpyNone.seen) == 1
    assert [record.n_shared for record in records] == [3, 3, 3]
    assert [record.split_index for record in records] == [0, 1, 2]
    assert len({record.started_utc for record in records}) == 1


# What a method may see.


def test_without_leave_every_label_is_hidden() -> None:
    SpyNone.seen.clear()
    record = run_trial(trial("spy_none"), SCENE)
    assert record.sees_labels == "none"
    assert SpyNone.seen[0].shape == (SCENE.labels.size,)
    assert (SpyNone.seen[0] == -1).all()


def test_with_leave_for_train_all_others_are_hidden() -> None:
    SpyTrain.seen.clear()
    trials = [trial("spy_train", index=index) for index in range(2)]
    with pytest.raises(InvalidValueError, match="share one fit"):
        next(run_group(trials, SCENE))
    for planned in trials:
        assert run_trial(planned, SCENE).sees_labels == "train"
        train = split_of(SCENE, planned.split).train
        expected = np.full(SCENE.labels.size, -1)
        expected[train] = SCENE.labels.reshape(-1)[train]
        assert SpyTrain.seen.pop().tolist() == expected.tolist()


def test_a_bound_sees_all_and_is_marked() -> None:
    SpyAll.seen.clear()
    assert run_trial(trial("spy_all"), SCENE).sees_labels == "all"
    assert SpyAll.seen[0].tolist() == SCENE.labels.reshape(-1).tolist()


@pytest.mark.parametrize("method", ["vandal", *LEARNERS])
def test_the_scene_is_never_written(method: str) -> None:
    scene = tiny_scene()
    before = scene.cube.tobytes(), scene.labels.tobytes()
    for planned in (trial(method, protocol="linear"), trial(method, protocol="svm")):
        assert run_trial(planned, scene).status == "ok"
    assert (scene.cube.tobytes(), scene.labels.tobytes()) == before
    # As Ray hands it to a worker: a write would not be harmless but an error, and torch would warn.
    scene.cube.flags.writeable = False
    scene.labels.flags.writeable = False
    assert run_trial(trial(method), scene).status == "ok"


# What goes wrong.


def test_a_failing_method_is_recorded_for_every_trial_of_its_group(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="benchmark.runner"):
        records = list(run_group([trial("broken_fit", index=index) for index in range(2)], SCENE))
    for index, record in enumerate(records):
        assert (record.status, record.error_type) == ("failed", "RuntimeError")
        assert "the fit broke" in record.error
        assert "\n" not in record.error
        assert (record.split_index, record.trial_id) == (index, trial("broken_fit", index=index).trial_id)
        assert record.confusion_val is record.confusion_test is record.fit_s is None
        assert record.to_table().num_rows == 1
    assert "the fit broke" in caplog.text
    assert run_trial(trial(), SCENE).status == "ok"


def test_a_failing_protocol_leaves_the_others_of_the_group_alone() -> None:
    group = [trial(), trial(protocol="broken_choice"), trial(index=1)]
    records = list(run_group(group, SCENE))
    assert [record.status for record in records] == ["ok", "failed", "ok"]
    assert records[1].error_type == "ZeroDivisionError"
    assert "the choice broke" in records[1].error
    assert confusions(records[2]) == confusions(run_trial(group[2], SCENE))


@pytest.mark.parametrize(
    ("method", "params"), [("nt_xent", {"learning_rate": 1e30, "steps": 20}), ("broken_embedding", {})]
)
def test_divergence_is_a_status_of_its_own(method: str, params: dict[str, Any]) -> None:
    record = run_trial(trial(method, params=params), SCENE)
    assert (record.status, record.error_type) == ("diverged", "NonFiniteLossError")
    assert re.search(r"nan|NaN|inf", record.error)
    assert record.confusion_val is record.confusion_test is None


def test_another_scene_than_planned_is_refused() -> None:
    planned = trial()
    other = tiny_scene(seed=1)
    with pytest.raises(InvalidValueError, match=f"{SCENE.hash}.*{other.hash}.*plan it again") as caught:
        run_trial(planned, other)
    assert "\n" not in str(caught.value)


def test_trials_of_different_fits_are_refused() -> None:
    for group in ([], [trial(), trial(seed=1)], [trial("raw_spectra"), trial("nt_xent")]):
        with pytest.raises(InvalidValueError, match="share one fit"):
            next(run_group(group, SCENE))


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="device='tpu'"):
        run_trial(trial(), SCENE, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InvalidValueError, match=r"device='cuda'.*use device='cpu'"):
            run_trial(trial(), SCENE, device="cuda")
