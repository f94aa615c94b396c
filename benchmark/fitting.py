"""Fit the methods of some trials to a scene: one alone, or several trained as one; then embed, one after the other."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark import provenance
from benchmark.classifier import FittedScene
from benchmark.computing import peak_memory_mib, reset_peak_memory
from benchmark.diagnostics import NegativeDiagnostics, Reporter
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods.base import Fit, FitData, Method
from benchmark.planning import split_of
from benchmark.protocols.base import Floats, Labels, Network
from benchmark.registries import METHODS, PROTOCOLS
from benchmark.scene import Scene
from benchmark.shared_cube import cube_of
from benchmark.split import within_reach
from benchmark.trial import Trial
from hsicl_core.errors import SplitError
from hsicl_core.training import NonFiniteLossError

_MEMO = Memo(size=16)
# Rows of an embedding that are looked at at once.
_CHUNK = 2**16


def fit_scene(trial: Trial, scene: Scene, device: torch.device) -> FittedScene:
    """Fit the trial's method and embed every pixel of the scene."""
    (fitted,) = fit_scenes([trial], scene, device)
    if isinstance(fitted, Exception):
        raise fitted
    return fitted


def fit_scenes(trials: Sequence[Trial], scene: Scene, device: torch.device) -> Iterator[FittedScene | Exception]:
    """Fit the methods of the trials, as one where there are several, and embed with each of them when it is asked for.

    Args:
        trials: one of each fit; the ``fusion`` of their methods is equal and not None where there are several.
        scene: the scene they name.
        device: where to compute.

    Yields:
        What came of each trial's fit, in order, or what it failed with.
    """
    started = dt.datetime.now(dt.UTC)
    reset_peak_memory(device)
    prepared = [_prepared(trial, scene, device) for trial in trials]
    able = [each for each in prepared if not isinstance(each, Exception)]
    clock = time.perf_counter()
    fits = _fitted(able)
    _wait_for(device)
    columns = {
        "started_utc": started,
        "fit_s": (time.perf_counter() - clock) / max(1, len(able)),
        "n_fused": len(able),
        "fit_memory_mib": peak_memory_mib(device),
    }
    for each in prepared:
        if isinstance(each, Exception):
            yield each
            continue
        fit = next(fits)
        try:
            yield fit if isinstance(fit, Exception) else _embedded(each, fit, columns)
        except Exception as error:
            # Of a fit alone the runner makes a record of it, and so it does of each here.
            yield error


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    method: Method
    data: FitData
    pixels: NDArray[np.int64]
    diagnostics: NegativeDiagnostics


def _prepared(trial: Trial, scene: Scene, device: torch.device) -> _Prepared | Exception:
    try:
        method = METHODS.get(trial.method)(**trial.method_params())
        _warm_up(trial.protocol)
        pixels = _visible_pixels(method, trial, scene)
        # A copy: the scene may be memory that other processes read, and torch would write through it.
        cube = _MEMO.get((scene.hash, str(device), "cube"), lambda: cube_of(scene, device))
        all_labels = torch.from_numpy(np.array(scene.labels, dtype=np.int64).reshape(-1)).to(device)
        diagnostics = NegativeDiagnostics(all_labels)
        data = FitData(
            cube=cube, pixels=torch.from_numpy(pixels).to(device),
            labels=_visible_labels(method, trial, scene, all_labels), seed=trial.seed, device=device,
            observer=Reporter(diagnostics),
            # What fits of the same pixels share; the cube is shared by all.
            memo=ScopedMemo(_MEMO, scene.hash, str(device), _digest(pixels)),
        )  # fmt: skip
    except Exception as error:
        return error
    return _Prepared(method=method, data=data, pixels=pixels, diagnostics=diagnostics)


def _fitted(prepared: Sequence[_Prepared]) -> Iterator[Fit | Exception]:
    if len(prepared) > 1:
        methods = [each.method for each in prepared]
        return iter(methods[0].fit_together(methods, [each.data for each in prepared]))
    fits: list[Fit | Exception] = []
    for each in prepared:
        try:
            fits.append(each.method.fit(each.data))
        except Exception as error:
            fits.append(error)
    return iter(fits)


def _embedded(prepared: _Prepared, fit: Fit, columns: dict[str, Any]) -> FittedScene:
    device = prepared.data.device
    reset_peak_memory(device)
    clock = time.perf_counter()
    embedded = fit.embed()
    scores = None if fit.classify is None else fit.classify(embedded).float().cpu().numpy()
    embedding = embedded.float().cpu().numpy()
    embed_s = time.perf_counter() - clock
    embed_memory, fit_memory = peak_memory_mib(device), columns["fit_memory_mib"]
    if not all(_is_finite(array) for array in (embedding, scores) if array is not None):
        raise NonFiniteLossError("the embedding holds NaN or infinity: training diverged; lower the learning rate")
    head, is_dirty = provenance.commit()
    points = [*fit.curves, *prepared.diagnostics.curves]
    columns = {
        **columns,
        "transductive": prepared.method.transductive,
        "curves": [{"name": name, "step": step, "value": value} for name, step, value in points],
        "diagnostics": prepared.diagnostics.summary(),
        "n_parameters": fit.n_parameters,
        "embedding_dim": embedding.shape[1],
        "embed_s": embed_s,
        "peak_memory_mib": None if fit_memory is None or embed_memory is None else max(fit_memory, embed_memory),
        "embed_memory_mib": embed_memory,
        "device": device.type,
        "device_name": provenance.device_name(device),
        "host": platform.node(),
        "n_threads": torch.get_num_threads(),
        "commit": head,
        "dirty": is_dirty,
        "versions": provenance.versions(),
    }
    network = None if fit.fine_tune is None else Network(len(embedding), _on_arrays(fit.fine_tune, device))
    return FittedScene(embedding=embedding, scores=scores, network=network, pixels=prepared.pixels, columns=columns)


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
