"""Run trials in this process: fit once for all that share the fit, score each, give back records."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from benchmark.classifier import Classifier, FittedScene, choose_classifiers
from benchmark.computing import reproducibly, resolve_device
from benchmark.fitting import fit_scenes
from benchmark.methods.base import BEYOND_PATCH
from benchmark.planning import group_trials, pack_groups
from benchmark.record_columns import confusion, split_columns, trial_columns
from benchmark.registries import METHODS
from benchmark.scene import Scene
from benchmark.trial import Trial, canonical_json
from hsicl_core.errors import InvalidValueError
from hsicl_core.training import NonFiniteLossError
from results.record import RunRecord

_log = logging.getLogger(__name__)


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
    return run_pack([trials], scene, device=device)


def run_pack(groups: Sequence[Sequence[Trial]], scene: Scene, *, device: str = "auto") -> Iterator[RunRecord]:
    """Yield the records of groups whose fits are trained as one, in order; what fails of one leaves the others.

    Numbers are those of ``run_group`` but for sums in another order (``Method.fit_together``); a single group's are
    its own, bit for bit.

    Args:
        groups: the trials of a group share one fit; the groups go together, as ``pack_groups`` gives them.
        scene: the scene they name; it is copied, never changed.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        InvalidValueError: trials that do not share one fit, groups that do not go together, another scene, or no such
            device.
    """
    target = resolve_device(device)
    for trials in groups:
        if len(group_trials(trials)) != 1:
            raise InvalidValueError("run_group takes trials that share one fit: group them with group_trials first")
        if trials[0].scene_hash != scene.hash:
            raise InvalidValueError(
                f"the trial was planned for scene {trials[0].scene!r} with hash {trials[0].scene_hash}, got hash "
                f"{scene.hash}: plan it again with this scene"
            )
    if len(pack_groups(groups, size=lambda _: len(groups))) > 1:
        raise InvalidValueError("run_pack takes groups that can be trained as one: pack them with pack_groups first")
    return _run(groups, scene, target)


def _run(groups: Sequence[Sequence[Trial]], scene: Scene, device: torch.device) -> Iterator[RunRecord]:
    with reproducibly():
        fits = fit_scenes([trials[0] for trials in groups], scene, device)
        for trials, fitted in zip(groups, fits, strict=True):
            if isinstance(fitted, Exception):
                yield from (_failure(trial, fitted) for trial in trials)
                continue
            for trial, chosen in zip(trials, choose_classifiers(trials, scene, fitted), strict=True):
                try:
                    yield _score(trial, scene, fitted, *chosen, n_shared=len(trials))
                except Exception as error:
                    yield _failure(trial, error)


def _score(
    trial: Trial, scene: Scene, fitted: FittedScene, classifier: Classifier | Exception, choose_s: float, n_shared: int
) -> RunRecord:
    if isinstance(classifier, Exception):
        raise classifier
    clock = time.perf_counter()
    split = classifier.split
    confusion_val = confusion(scene, split.val, classifier.predict)
    confusion_test = confusion(scene, split.test, classifier.predict) if trial.purpose == "trial" else None
    return RunRecord(
        **_trial_columns(trial),
        **fitted.columns,
        **split_columns(scene, split, None if METHODS.get(trial.method).bounded_view else BEYOND_PATCH),
        status="ok", confusion_val=confusion_val, confusion_test=confusion_test,
        chosen_json=canonical_json(classifier.chosen.parameters),
        n_shared=n_shared, choose_s=choose_s, protocol_s=choose_s + time.perf_counter() - clock,
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
