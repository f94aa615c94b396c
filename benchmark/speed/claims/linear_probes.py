"""The linear probes of many splits of one embedding, solved together against one scikit-learn fit after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.computing import in_threads
from benchmark.fitting import fit_scene
from benchmark.planning import plan_trial, split_of
from benchmark.protocols.base import Chosen, Problem
from benchmark.protocols.linear import LinearProbe
from benchmark.protocols.linear_together import LinearProbeTogether
from benchmark.scene import Scene
from benchmark.scene_files import load_scene
from benchmark.speed.claims.base import Bound, Claim, Row
from benchmark.speed.timing import alternate, ratio
from benchmark.trial import SplitSpec
from hsicl_core.errors import UserError

# Guarded blocks and budgets as in the study of label budgets.
_PER_CLASS = (1, 3, 5, 10, 20, 30)
_N_SPLITS = 10
# One turn of the loop is 300 fits.
_REPEATS = 3


class LinearProbes(Claim):
    """Protocol ``linear_together`` against ``linear``, each given the rows that both standardise in the same way.

    Both include the choice of the penalty on validation. The embedding is that of ``random_encoder``, of 128
    dimensions. Both in one thread: ours takes no more, and in two scikit-learn's small products wait for each other and
    take several times as long. scikit-learn stops where no entry of the gradient is
    above 1e-4, ours where no class's whole gradient is longer than 2e-4; of 100 fits on this scene ours was then the
    nearer to the exact probabilities in 90.
    """

    title: ClassVar[str] = "Linear probes"

    def measure(self, device: torch.device) -> Iterator[Row]:
        """See ``Claim``."""
        if device.type != "cpu":
            # They are solved on the host beside any device.
            return
        what = (
            f"{_N_SPLITS} splits x {len(_PER_CLASS)} budgets x {len(LinearProbe().inverse_penalties)} penalties, Indian"
            " Pines, 128 dimensions: a loop of scikit-learn's fits over all together"
        )
        try:
            scene = load_scene("indian_pines")
        except UserError as error:
            yield Row(what=what, bound=Bound(least=5), note=f"not measured: {error}")
            return
        problems, tests = probes_of(scene, device)
        found: dict[str, Sequence[Chosen]] = {}

        def together() -> None:
            found["together"] = all_chosen(LinearProbeTogether().choose_together(problems))

        def loop() -> None:
            found["loop"] = all_chosen(LinearProbe().choose_together(problems))

        with in_threads(1):
            LinearProbe().choose_together(problems[:1])
            ours, theirs = alternate(together, loop, repeats=_REPEATS, warm_up=0)
        yield Row(
            what=what, n_threads=1, bound=Bound(least=5), figure=ratio(theirs, ours),
            note=accuracy_note(found["together"], found["loop"], tests),
        )  # fmt: skip


def probes_of(
    scene: Scene, device: torch.device
) -> tuple[list[Problem], list[tuple[NDArray[np.float32], NDArray[np.int64]]]]:
    """Return the problems of all splits and budgets, and the test rows (n, 128) and classes (n,) of each."""
    trials = [
        plan_trial(scene, method="random_encoder", split=SplitSpec(labels_per_class=n, index=index))
        for n in _PER_CLASS
        for index in range(_N_SPLITS)
    ]
    with in_threads(1):
        fitted = fit_scene(trials[0], scene, device)
    rows, labels = LinearProbe().prepare(fitted.embedding, fitted.pixels), scene.labels.reshape(-1).astype(np.int64)
    splits = [split_of(scene, trial.split) for trial in trials]
    problems = [
        Problem(train_x=rows[each.train], train_y=labels[each.train], val_x=rows[each.val], val_y=labels[each.val])
        for each in splits
    ]
    return problems, [(rows[each.test], labels[each.test]) for each in splits]


def all_chosen(found: Sequence[Chosen | Exception]) -> list[Chosen]:
    """Return the classifiers; raise what the first of them failed with, if any did."""
    chosen: list[Chosen] = []
    for each in found:
        if isinstance(each, Exception):
            raise each
        chosen.append(each)
    return chosen


def accuracy_note(
    ours: Sequence[Chosen], theirs: Sequence[Chosen], tests: Sequence[tuple[NDArray[np.float32], NDArray[np.int64]]]
) -> str:
    """Return what ours gains in test accuracy, in points, over all splits and budgets."""
    gains = np.array(
        [
            100 * (np.mean(one.predict(x) == y) - np.mean(other.predict(x) == y))
            for one, other, (x, y) in zip(ours, theirs, tests, strict=True)
        ]
    )
    same = sum(one.parameters == other.parameters for one, other in zip(ours, theirs, strict=True))
    return (
        f"ours less scikit-learn's test accuracy: {gains.mean():+.2f} points in the mean, a standard deviation of "
        f"{gains.std(ddof=1):.2f} from one split to another, at most {np.abs(gains).max():.2f}; the same penalty in "
        f"{same} of {len(gains)}"
    )
