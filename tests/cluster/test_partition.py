"""A machine is unplugged in mid-sweep and never comes back: Ray gives it up, and every planned row is there once."""

from __future__ import annotations

from pathlib import Path

import pytest

from results import open_store
from tests.cluster.launching import hosts, launched, n_rows, start_typing, wait_until
from tests.cluster.nodes import finished, missing_for_nodes

pytestmark = [
    pytest.mark.cluster,
    # Ray waits about a minute for a silent machine.
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_for_nodes()), reason=missing_for_nodes()),
]
COMMAND = "ray submit cluster.yaml hsicl.py -- sweep smoke --seeds 8 --splits 2 --address auto --store runs/smoke"


@pytest.mark.parametrize("mended", [False, True], ids=["for good", "until given up"])
def test_an_unplugged_machine_costs_no_row(tmp_path: Path, mended: bool) -> None:
    with launched(tmp_path) as machines:
        store = machines["head"].path("runs/smoke")
        process = start_typing(machines["laptop"], COMMAND)
        wait_until(lambda: process.poll() is not None or "worker" in hosts(store), 240, process.poll)
        n_at_cut = n_rows(store)
        machines.cut("worker")
        if mended:
            wait_until(lambda: process.poll() is not None or n_rows(store) >= n_at_cut + 8, 240, lambda: n_rows(store))
            machines.mend("worker")
        told = finished(process, seconds=400)
        rows = open_store(store).read().to_pylist()
    assert "80 trials planned, 0 finished before, 80 ok, 0 failed" in told
    assert 0 < n_at_cut < len(rows)
    assert len({row["trial_id"] for row in rows}) == len(rows) == 80
    assert {row["status"] for row in rows} == {"ok"}
