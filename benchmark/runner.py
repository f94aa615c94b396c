"""Run trials in this process: fit once for all that share the fit, score each, give back records."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import logging
import platform
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark import provenance
from benchmark.classifier import FittedScene, choose_classifier
from benchmark.computing import peak_memory_mib, reproducibly, reset_peak_memory, resolve_device
from benchmark.diagnostics import NegativeDiagnostics, Reporter
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods.base import BEYOND_PATCH, FitData, Method
from benchmark.planning import group_trials, split_of
from benchmark.protocols.base import Floats, Labels, Network
from benchmark.record_columns import confusion, split_columns, trial_columns
from benchmark.registries import METHODS, PROTOCOLS
from benchmark.scene import Scene
from benchmark.split import within_reach
from benchmark.trial import Trial, canonical_json
from hsicl_core.errors import InvalidValueError, SplitError
from hsicl_core.rows import ArrayRows, in_memory
from hsicl_core.training import NonFiniteLossError
from results.record import RunRecord

_log = logging.getLogger(__name__)
_MEMO = Memo(size=16)
# Rows of an embedding that are looked at at once.
_CHUNK = 2**16


def run_trial(trial: Trial, scene: Scene, *, device: str = "auto") -> RunRecord:
    """Return the record of one trial. See ``run_group``."""
    return next(run_group([trial], scene, device=device))


def run_group(trials: Sequence[Trial], scene: Scene, *, device: str = "auto") -> Iterator[RunRecord]:
    """Yield one record per trial, in order. A trial that fails gives a record that says why.

    Args:
        trials: they share one fit, as ``group_trials`` gives them.
        scene: the scene they name; it is copied, never changed.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        InvalidValueError: the trials do not share one fit, the scene is another one, or the device is not there.
    """
    target = resolve_device(device)
    if len(group_trials(trials)) != 1:
        raise InvalidValueError("run_group takes trials that share one fit: group them with group_trials first")
    if trials[0].scene_hash != scene.hash:
        raise InvalidValueError(
            f"the trial was planned for scene {trials[0].scene!r} with hash {trials[0].scene_hash}, got hash "
            f"{scene.hash}: plan it again with this scene"
        )
    with reproducibly():
        try:
            fitted = fit_scene(trials[0], scene, target)
        except Exception as error:
            for trial in trials:
                yield _failure(trial, error)
            return
        for trial in trials:
            try:
                yield _score(trial, scene, fitted, n_shared=len(trials))
            except Exception as error:
                yield _failure(trial, error)


def fit_scene(trial: Trial, scene: Scene, device: torch.device) -> FittedScene:
    """Fit the trial's method and embed every pixel of the scene."""
    method = METHODS.get(trial.method)(**trial.method_params())
    _warm_up(trial.protocol)
    started = dt.datetime.now(dt.UTC)
    reset_peak_memory(device)
    pixels = _visible_pixels(method, trial, scene)
    # What fits of the same pixels share; the cube is shared by all.
    memo = ScopedMemo(_MEMO, scene.hash, str(device), _digest(pixels))
    # A copy: the scene may be memory that other processes read, and torch would write through it.
    cube = _MEMO.get((scene.hash, str(device), "cube"), lambda: in_memory(ArrayRows(scene.cube, device)))
    all_labels = torch.from_numpy(np.array(scene.labels, dtype=np.int64).reshape(-1)).to(device)
    diagnostics = NegativeDiagnostics(all_labels)
    clock = time.perf_counter()
    fit = method.fit(
        FitData(
            cube=cube, pixels=torch.from_numpy(pixels).to(device),
            labels=_visible_labels(method, trial, scene, all_labels), seed=trial.seed, device=device,
            observer=Reporter(diagnostics), memo=memo,
        )
    )  # fmt: skip
    _wait_for(device)
    fit_s = time.perf_counter() - clock
    fit_memory = peak_memory_mib(device)
    reset_peak_memory(device)
    embedded = fit.embed()
    scores = None if fit.classify is None else fit.classify(embedded).float().cpu().numpy()
    embedding = embedded.float().cpu().numpy()
    embed_s = time.perf_counter() - clock - fit_s
    embed_memory = peak_memory_mib(device)
    if not all(_is_finite(array) for array in (embedding, scores) if array is not None):
        raise NonFiniteLossError("the embedding holds NaN or infinity: training diverged; lower the learning rate")
    head, is_dirty = provenance.commit()
    points = [*fit.curves, *diagnostics.curves]
    columns = {
        "transductive": method.transductive,
        "curves": [{"name": name, "step": step, "value": value} for name, step, value in points],
        "diagnostics": diagnostics.summary(),
        "n_parameters": fit.n_parameters,
        "embedding_dim": embedding.shape[1],
        "fit_s": fit_s,
        "embed_s": embed_s,
        "peak_memory_mib": None if fit_memory is None or embed_memory is None else max(fit_memory, embed_memory),
        "fit_memory_mib": fit_memory,
        "embed_memory_mib": embed_memory,
        "device": device.type,
        "device_name": provenance.device_name(device),
        "host": platform.node(),
        "n_threads": torch.get_num_threads(),
        "started_utc": started,
        "commit": head,
        "dirty": is_dirty,
        "versions": provenance.versions(),
    }
    network = None if fit.fine_tune is None else Network(len(embedding), _on_arrays(fit.fine_tune, device))
    return FittedScene(embedding=embedding, scores=scores, network=network, pixels=pixels, columns=columns)


def _score(trial: Trial, scene: Scene, fitted: FittedScene, n_shared: int) -> RunRecord:
    clock = time.perf_counter()
    classifier = choose_classifier(trial, scene, fitted)
    choose_s = time.perf_counter() - clock
    split = classifier.split
    confusion_val = confusion(scene, split.val, classifier.predict)
    confusion_test = confusion(scene, split.test, classifier.predict) if trial.purpose == "trial" else None
    return RunRecord(
        **_trial_columns(trial),
        **fitted.columns,
        **split_columns(scene, split, None if METHODS.get(trial.method).bounded_view else BEYOND_PATCH),
        status="ok", confusion_val=confusion_val, confusion_test=confusion_test,
        chosen_json=canonical_json(classifier.chosen.parameters),
        n_shared=n_shared, choose_s=choose_s, protocol_s=time.perf_counter() - clock,
    )  # fmt: skip


def _trial_columns(trial: Trial) -> dict[str, Any]:
    method = METHODS.get(trial.method)
    return trial_columns(trial, sees_labels=method.sees_labels, kind=method.kind)


def failed_record(trial: Trial, error_type: str, message: str, *, status: str = "failed") -> RunRecord:
    """Return the record of a trial that did not finish."""
    return RunRecord(**_trial_columns(trial), status=status, error_type=error_type, error=message)


def _failure(trial: Trial, error: Exception) -> RunRecord:
    has_diverged = isinstance(error, NonFiniteLossError)
    # The record tells the user; where it came from is for who looks for it.
    _log.debug("trial %s failed", trial.trial_id, exc_info=error)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" [{frame.name}, line {frame.lineno}]" for frame in last)
    status = "diverged" if has_diverged else "failed"
    return failed_record(trial, type(error).__name__, f"{error}{where}", status=status)


def _visible_pixels(method: Method, trial: Trial, scene: Scene) -> NDArray[np.int64]:
    """Return all pixels, or those whose patch holds no test and no validation pixel.

    Not the latter either: validation would measure spectra that were seen, and so not what test measures.

    Raises:
        SplitError: no pixel is left.
    """
    shape = scene.labels.shape
    if method.transductive:
        return np.arange(scene.labels.size)
    split = split_of(scene, trial.split)
    held_out = np.concatenate([split.val, split.test])
    pixels = np.flatnonzero(~within_reach(held_out, shape, reach=trial.split.patch_size // 2))
    if pixels.size == 0:
        raise SplitError(
            f"transductive=False leaves no pixel to train on: all patches of {trial.split.patch_size} x "
            f"{trial.split.patch_size} hold a test or validation pixel; use a smaller patch_size or another rule"
        )
    return pixels


def _digest(pixels: NDArray[np.int64]) -> str:
    return hashlib.sha256(pixels.data).hexdigest()


def _is_finite(array: NDArray[np.float32]) -> bool:
    return all(bool(np.isfinite(array[start : start + _CHUNK]).all()) for start in range(0, len(array), _CHUNK))


def _on_arrays(
    fine_tune: Callable[[torch.Tensor, torch.Tensor, int, float], torch.Tensor], device: torch.device
) -> Callable[[Labels, Labels, int, float], Floats]:
    """Return ``Fit.fine_tune`` for arrays."""

    def of_arrays(pixels: Labels, labels: Labels, steps: int, learning_rate: float) -> Floats:
        known, classes = (torch.from_numpy(array).to(device) for array in (pixels, labels))
        scores: Floats = fine_tune(known, classes, steps, learning_rate).float().cpu().numpy()
        return scores

    return of_arrays


def _visible_labels(method: Method, trial: Trial, scene: Scene, all_labels: torch.Tensor) -> torch.Tensor:
    """Return all labels, only the training labels, or none, as the method declares."""
    if method.sees_labels == "all":
        return all_labels.clone()
    visible = torch.full_like(all_labels, -1)
    if method.sees_labels == "train":
        train = torch.from_numpy(split_of(scene, trial.split).train).to(all_labels.device)
        visible[train] = all_labels[train]
    return visible


@functools.cache
def _warm_up(protocol: str) -> None:
    """Import what a fit and its scoring import at first use, so that no trial's seconds hold another's imports."""
    PROTOCOLS.get(protocol)
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)]).zero_grad()


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
