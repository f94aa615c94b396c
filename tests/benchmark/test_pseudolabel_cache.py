"""Pseudolabels are computed once on a machine, are the same bits however they come, and no damaged file is believed."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

from benchmark import fitting, node_cache, plan_trial, provenance, run_trial
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods import _labelling
from benchmark.methods._labelling import LabellingMethod
from benchmark.methods.base import FitData
from benchmark.methods.mined_few_label import MinedFewLabel
from benchmark.methods.mined_negatives import MinedNegatives
from benchmark.node_cache import computed_once, forget, share_in
from hsicl_core import InvalidValueError, KMeansPseudoLabeler
from hsicl_core.observing import SilentObserver
from hsicl_core.preprocessing import standardize
from hsicl_core.registries import PSEUDO_LABELERS
from tests.benchmark.entrants import tiny_params
from tests.scene_factory import tiny_scene
from tests.sweeps.sweep_factory import SPLIT

CPU = torch.device("cpu")
SCENE = tiny_scene()
TRUTH = torch.from_numpy(SCENE.labels.reshape(-1).copy()).long()
LABEL_FREE = [name for name in PSEUDO_LABELERS.names() if PSEUDO_LABELERS.get(name).sees_labels == "none"]


@pytest.fixture(autouse=True)
def alone_again() -> Iterator[None]:
    yield
    share_in(None)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by a source's name with every computation."""
    names: list[str] = []
    make = _labelling.make_labels

    def counting(source: Any, *given: Any) -> tuple[Tensor, Tensor]:
        names.append(type(source).__name__)
        return make(source, *given)

    monkeypatch.setattr(_labelling, "make_labels", counting)
    return names


def method(kind: type[LabellingMethod] = MinedNegatives, **params: Any) -> LabellingMethod:
    return kind(**{**tiny_params(kind), **params})


def data(*, seed: int = 0, scene: str = "a scene", labels: Tensor | None = None) -> FitData:
    """Return what a fit of another process is given: nothing is in its memo."""
    return FitData(
        cube=torch.from_numpy(SCENE.cube.copy()), pixels=torch.arange(len(TRUTH)),
        labels=torch.full_like(TRUTH, -1) if labels is None else labels, seed=seed, device=CPU,
        observer=SilentObserver(), memo=ScopedMemo(Memo(), scene, "cpu"),
    )  # fmt: skip


def labels_of(labelling: LabellingMethod, given: FitData | None = None) -> tuple[Tensor, Tensor]:
    given = given or data()
    found = labelling.label(given, standardize(given.cube, given.pixels))
    assert found.confidence is not None
    return found.labels, found.confidence


def is_same(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> bool:
    return all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(first, second, strict=True))


def results_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tensors"))


def _label_slowly(folder: Path, computed: Path, start: Any, answers: Any) -> None:
    share_in(folder)
    make = _labelling.make_labels

    def slowly(*given: Any) -> tuple[Tensor, Tensor]:
        with computed.open("a") as stream:
            stream.write("computed\n")
        # Long enough for the other to come meanwhile.
        time.sleep(0.5)
        return make(*given)

    _labelling.make_labels = slowly  # type: ignore[assignment]
    start.wait(60)
    answers.put([tensor.numpy().tobytes() for tensor in labels_of(method())])


def test_two_processes_that_want_the_same_at_once_compute_it_once(tmp_path: Path) -> None:
    expected = [tensor.numpy().tobytes() for tensor in labels_of(method())]
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(2), context.Queue()
    given = (tmp_path / "shared", tmp_path / "computed", start, answers)
    processes = [context.Process(target=_label_slowly, args=given) for _ in range(2)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert (tmp_path / "computed").read_text() == "computed\n"
    assert found == [expected, expected]


@pytest.mark.parametrize("source", [*LABEL_FREE, "few_label_classifier"])
def test_labels_and_confidence_are_the_same_bits_computed_written_and_read(
    tmp_path: Path, source: str, made: list[str]
) -> None:
    labelling = method(MinedNegatives if source in LABEL_FREE else MinedFewLabel, pseudolabels=source)
    alone = labels_of(labelling, data(labels=TRUTH))
    share_in(tmp_path)
    written, read = labels_of(labelling, data(labels=TRUTH)), labels_of(labelling, data(labels=TRUTH))
    assert is_same(written, alone)
    assert is_same(read, alone)
    assert len(made) == 2


def _other_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    other = {**provenance.versions(), "scikit-learn": "0.0"}
    monkeypatch.setattr(provenance, "versions", lambda: other)


OTHERWISE: dict[str, Callable[[pytest.MonkeyPatch], tuple[LabellingMethod, FitData]]] = {
    "scene": lambda patch: (method(), data(scene="another scene")),
    "seed": lambda patch: (method(), data(seed=1)),
    "K": lambda patch: (method(n_clusters=5), data()),
    "source": lambda patch: (method(pseudolabels="random"), data()),
    "options": lambda patch: (method(pseudolabel_options={"n_init": 2}), data()),
    "features": lambda patch: (method(features="pca"), data()),
    "components": lambda patch: (method(n_components=3), data()),
    "window": lambda patch: (method(cluster_window=3), data()),
    "versions": lambda patch: (_other_versions(patch), (method(), data()))[1],
    "our code": lambda patch: (patch.setattr(node_cache, "_code", lambda: "other"), (method(), data()))[1],
    "its code": lambda patch: (patch.setattr(_labelling, "_digest_of_code", lambda _: "other"), (method(), data()))[1],
    "device": lambda patch: (patch.setattr(provenance, "device_name", lambda _: "other"), (method(), data()))[1],
}


@pytest.mark.parametrize("what", OTHERWISE)
def test_what_differs_in_anything_is_computed_anew(
    tmp_path: Path, what: str, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    share_in(tmp_path)
    labels_of(method())
    labels_of(*OTHERWISE[what](monkeypatch))
    assert len(made) == 2
    assert len(results_in(tmp_path)) == 2


def test_labels_that_the_source_sees_tell_results_apart_and_others_do_not(tmp_path: Path, made: list[str]) -> None:
    share_in(tmp_path)
    every_second = torch.where(torch.arange(len(TRUTH)) % 2 == 0, TRUTH, -1)
    for labels in (TRUTH, every_second, TRUTH):
        labels_of(method(MinedFewLabel), data(labels=labels))
        labels_of(method(), data(labels=labels))
    assert made == ["FewLabelClassifierPseudoLabeler", "KMeansPseudoLabeler", "FewLabelClassifierPseudoLabeler"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-1],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:20],
        lambda whole: b"",
        lambda whole: bytes(len(whole)),
        lambda whole: b"\x93NUMPY" + whole[6:],
        lambda whole: whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:],
        lambda whole: whole + b"more",
    ],
    ids=["one byte less", "half", "less than the sum", "empty", "zeros", "another head", "one bit", "longer"],
)
def test_a_torn_or_foreign_file_is_computed_anew_and_replaced(
    tmp_path: Path, damage: Callable[[bytes], bytes], made: list[str]
) -> None:
    share_in(tmp_path)
    expected = labels_of(method())
    (file,) = results_in(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert is_same(labels_of(method()), expected)
    assert len(made) == 2
    assert file.read_bytes() == whole
    assert is_same(labels_of(method()), expected)
    assert len(made) == 2


def test_what_one_writes_no_other_sees(tmp_path: Path) -> None:
    share_in(tmp_path)
    first = labels_of(method())
    expected = tuple(tensor.clone() for tensor in first)
    second = labels_of(method())
    for tensor in (*first, *second):
        tensor.fill_(77)
    assert is_same(labels_of(method()), expected)


def test_where_nothing_can_be_shared_each_computes(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = labels_of(method())
    (tmp_path / "file").write_text("in the way")
    share_in(tmp_path / "file")
    assert is_same(labels_of(method()), expected)
    share_in(tmp_path / "absent" / "deep")
    assert is_same(labels_of(method()), expected)
    share_in(tmp_path / "anothers")
    (tmp_path / "anothers").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: 12345)
        assert is_same(labels_of(method()), expected)
    assert list((tmp_path / "anothers").iterdir()) == []
    assert len(made) == 4


def test_without_room_each_computes_and_nothing_is_left(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    expected = labels_of(method())
    share_in(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    for _ in range(2):
        assert is_same(labels_of(method()), expected)
    assert len(made) == 3
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_without_locks_it_is_shared_all_the_same(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    share_in(tmp_path)
    assert is_same(labels_of(method()), labels_of(method()))
    assert len(made) == 1


@pytest.mark.parametrize("error", [InvalidValueError("too few vectors"), OSError(errno.ENOSPC, "no scratch space")])
def test_what_the_computation_raises_comes_through_and_holds_nobody_up(tmp_path: Path, error: Exception) -> None:
    def failing() -> list[Tensor]:
        raise error

    share_in(tmp_path)
    with pytest.raises(type(error)) as raised:
        computed_once("key", failing, CPU)
    assert raised.value is error
    # A lock that was still held would keep this waiting for ever.
    assert computed_once("key", lambda: [torch.ones(2)], CPU)[0].tolist() == [1, 1]


def test_the_results_unused_for_longest_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share_in(tmp_path)
    computed: list[str] = []

    def want(key: str) -> None:
        computed_once(key, lambda: (computed.append(key), [torch.zeros(1000)])[1], CPU)
        # File systems' clocks are coarse.
        time.sleep(0.02)

    # Room for two of 4 kB with what describes them, not for three.
    monkeypatch.setattr(node_cache, "_MOST_BYTES", 10_000)
    for key in ("a", "b", "a", "c"):
        want(key)
    assert len(results_in(tmp_path)) == 2
    for key in ("a", "c", "b"):
        want(key)
    assert computed == ["a", "b", "c", "b"]


@given(
    st.lists(
        arrays.arrays(
            st.sampled_from([np.int64, np.float32, np.float64, np.uint8, np.bool_]),
            arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
        max_size=3,
    )
)
def test_any_tensors_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("shared")
    share_in(folder)
    tensors = [torch.from_numpy(np.array(value)) for value in values]
    computed_once("key", lambda: tensors, CPU)
    found = computed_once("key", lambda: pytest.fail("not read"), CPU)
    assert [each.shape for each in found] == [each.shape for each in tensors]
    assert [each.dtype for each in found] == [each.dtype for each in tensors]
    # As bytes: NaN is not equal to itself.
    assert [each.numpy().tobytes() for each in found] == [each.numpy().tobytes() for each in tensors]


def test_a_trial_has_the_same_numbers_from_the_files_and_without(tmp_path: Path, made: list[str]) -> None:
    params = tiny_params(MinedNegatives)
    trial = plan_trial(SCENE, method="mined_negatives", params=params, protocol="knn", split=SPLIT)
    rows = []
    for folder in (None, tmp_path, tmp_path):
        share_in(folder)
        # As a process that has just started.
        fitting._MEMO._results.clear()
        rows.append(run_trial(trial, SCENE, device="cpu"))
    assert rows[0].error is None
    assert len(made) == 2
    for name in ("confusion_val", "confusion_test", "curves", "diagnostics"):
        assert getattr(rows[0], name) == getattr(rows[1], name) == getattr(rows[2], name)
    # Another temperature has the same labels.
    other = plan_trial(
        SCENE, method="mined_negatives", params={**params, "temperature": 0.4}, protocol="knn", split=SPLIT
    )
    fitting._MEMO._results.clear()
    run_trial(other, SCENE, device="cpu")
    assert len(made) == 2
    forget(tmp_path)
    assert not tmp_path.exists()


def test_no_folder_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    labels_of(method())
    assert list(tmp_path.iterdir()) == []


def test_a_source_without_a_file_shares_with_itself_only() -> None:
    # As in a notebook: its module names no file.
    one, other = (type(name, (KMeansPseudoLabeler,), {"__module__": "nowhere"}) for name in ("One", "Other"))
    assert _labelling._digest_of_code(one) == _labelling._digest_of_code(one)
    assert _labelling._digest_of_code(one) != _labelling._digest_of_code(other)
