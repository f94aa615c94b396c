"""A store in a folder that all machines see: two sweeps from two machines write it at once, every row is there once."""

from __future__ import annotations

import pytest

from benchmark import load_scene
from results import open_store
from sweeps import SWEEPS, plan
from tests.cluster.launching import with_packages
from tests.cluster.nodes import Network, finished, missing_for_nodes

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(missing_for_nodes()), reason=missing_for_nodes()),
]
COMMAND = "python hsicl/hsicl.py sweep smoke --seeds 2 --address 10.77.0.11:6379 --store ~/shared/store"


def test_two_sweeps_at_once_into_a_shared_folder(machines: Network) -> None:
    variables = with_packages(RAY_AUTH_MODE="token")
    sweeps = [machines[name].popen(COMMAND, environment=variables) for name in ("head", "worker")]
    for sweep in sweeps:
        assert "10 trials planned, 0 finished before, 10 ok, 0 failed" in finished(sweep, seconds=240)
    assert "10 finished before" in machines["head"].run(COMMAND, environment=variables)
    told = machines["worker"].run("python hsicl/hsicl.py store verify ~/shared/store", environment=variables)
    assert "nothing wrong in 10 rows of 10 files" in told
    rows = open_store(machines["laptop"].path("shared/store")).read().to_pylist()
    planned = plan(SWEEPS.get("smoke").with_overrides(n_seeds=2), {"indian_pines": load_scene("indian_pines")})
    assert [row["trial_id"] for row in rows] == sorted(trial.trial_id for trial in planned)
    assert {row["status"] for row in rows} == {"ok"}
