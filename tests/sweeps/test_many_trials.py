"""A thousand short trials: what Ray adds to each, what the driver keeps of each; and a scene is held once."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmark import Scene, group_trials
from results import RunRecord
from sweeps import EXECUTORS, plan
from sweeps.executors.loop import LoopExecutor
from tests.sweeps.local_ray import MARKS, local_ray
from tests.sweeps.sweep_factory import noisy_sweep, tiny_scenes

pytestmark = [
    *MARKS,
    pytest.mark.timed,
    pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc"),
]

_N_SLOTS = 2


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        with local_ray(tmp_path_factory.mktemp("home"), num_cpus=_N_SLOTS):
            yield


def resident_kb() -> int:
    (size,) = re.findall(r"^VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(size)


def measured(n_trials: int) -> tuple[float, float]:
    """Return what Ray adds per trial in ms of a slot, and what the driver's memory grows by per trial in KB."""
    scenes = tiny_scenes()
    sweep = noisy_sweep(
        axes={"level": tuple(float(level) for level in range(n_trials))}, params={"fault": "sleep_50ms"}, controls=(),
        n_seeds=1, n_splits=1,
    )  # fmt: skip
    groups = group_trials(plan(sweep, scenes))
    # The same fits in this process, one after the other: the first few begin and warm up.
    ends: list[float] = []
    LoopExecutor().execute(groups[:40], scenes, device="cpu", on_record=lambda record: ends.append(time.perf_counter()))
    alone_s = (ends[-1] - ends[9]) / 30
    points: list[tuple[float, int]] = []

    def note(record: RunRecord) -> None:
        assert record.status == "ok"
        points.append((time.perf_counter(), resident_kb()))

    EXECUTORS.get("ray")().execute(groups, scenes, device="cpu", on_record=note)
    assert len(points) == n_trials
    # Starting the workers is paid once, not per trial.
    first, last = n_trials // 5, n_trials - 1
    per_trial_s = (points[last][0] - points[first][0]) / (last - first) * _N_SLOTS
    return 1000 * (per_trial_s - alone_s), (points[last][1] - points[first][1]) / (last - first)


def test_a_thousand_trials_cost_less_than_60_ms_and_200_kb_each() -> None:
    overhead_ms, growth_kb = measured(1000)
    print(f"1,000 trials of 50 ms: Ray adds {overhead_ms:.1f} ms per trial, the driver grows by {growth_kb:.1f} KB")
    assert overhead_ms < 60
    assert growth_kb < 200


def noted_private_bytes(scene: Scene, folder: Path) -> list[int]:
    """Return what each of two fits says of the private memory of its worker, before it copies spectra for itself."""
    folder.mkdir()
    sweep = noisy_sweep(
        axes={"level": tuple(float(level) for level in range(_N_SLOTS))}, controls=(), n_seeds=1, n_splits=1,
        params={"fault": "note_memory", "marker": str(folder)}, scenes=(scene.name,),
    )  # fmt: skip
    scenes = {scene.name: scene}
    EXECUTORS.get("ray")().execute(
        group_trials(plan(sweep, scenes)), scenes, device="cpu", on_record=lambda record: None
    )
    return [int(path.name.partition(".")[0]) for path in folder.iterdir()]


def scene_of(n_bands: int) -> Scene:
    cube = np.random.default_rng(0).integers(0, 9, (64, 64, n_bands), dtype=np.int16)
    labels = np.arange(64 * 64).reshape(64, 64) % 2
    return Scene(name=f"bands{n_bands}", cube=cube, labels=labels, class_names=("a", "b"))


def test_a_machine_holds_the_scene_once(tmp_path: Path) -> None:
    """A cube of 32 MiB as float32: no worker has it for itself."""
    small = noted_private_bytes(scene_of(4), tmp_path / "small")
    large = noted_private_bytes(scene_of(2048), tmp_path / "large")
    assert len(small) == len(large) == _N_SLOTS
    assert max(large) - min(small) < 20 * 2**20
