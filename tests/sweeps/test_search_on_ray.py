"""A search with four concurrent trials of random length suggests the same, and gives the same numbers, every time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from results import open_store
from results.schema import VOLATILE_COLUMNS
from sweeps import EXECUTORS, SearchSettings, Sweep, run_sweep
from sweeps.executors.base import Executor
from sweeps.executors.loop import LoopExecutor
from tests.sweeps.local_ray import MARKS, local_ray
from tests.sweeps.sweep_factory import noisy_sweep, tiny_scenes

pytestmark = [
    *MARKS,
    pytest.mark.campaign,
]

SCENES = tiny_scenes()
LEVELS = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """Ray with four workers, however many processors the machine has."""
    with local_ray(tmp_path_factory.mktemp("home"), num_cpus=4):
        yield EXECUTORS.get("ray")()


def jittery_sweep(notes: Path) -> Sweep:
    notes.mkdir(exist_ok=True)
    return noisy_sweep(
        name="jittery", method="lucky", axes={"level": LEVELS, "steps": (9,)},
        params={"pause_s": 0.05, "notes": str(notes)}, controls=(), n_splits=1, n_seeds=1,
    )  # fmt: skip


def search(executor: Executor, folder: Path, notes: Path, settings: SearchSettings) -> list[dict[str, Any]]:
    outcome = run_sweep(
        jittery_sweep(notes), open_store(folder), SCENES, executor, settings=settings, stream=sys.stderr
    )
    assert outcome.n_ok > 0
    assert outcome.n_failed == 0
    rows = open_store(folder).read().to_pylist()
    return [{name: value for name, value in row.items() if name not in VOLATILE_COLUMNS} for row in rows]


EAGER = "tests.sweeps.lucky:eager_tpe"


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(SearchSettings(search="optuna", sampler=EAGER, n_configs=8), id="optuna"),
        # A launch per rung, each of which starts its workers.
        pytest.param(
            SearchSettings(search="optuna", sampler=EAGER, scheduler="asha", n_configs=6), id="optuna-asha",
        ),
    ],
)  # fmt: skip
def test_a_search_is_the_same_every_time(executor: Executor, tmp_path: Path, settings: SearchSettings) -> None:
    notes = tmp_path / "notes"
    by_loop = search(LoopExecutor(), tmp_path / "loop", notes, settings)
    for note in notes.iterdir():
        note.unlink()
    first, second = (search(executor, tmp_path / name, notes, settings) for name in ("first", "second"))
    assert first == second == by_loop
    assert {row["purpose"] for row in first} == {"search", "trial"}
    # Side by side indeed.
    assert len(list(notes.iterdir())) >= 4
