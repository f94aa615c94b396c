"""docs/cluster.md typed on real machines, one of which dies in mid-sweep: every planned row once, and the page is true.

Of the many lines of Ray and the doctor the page shows those of ``TELLING``, none of which holds a time or a name that
differs from run to run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmark import load_scene
from results import open_store
from sweeps import SWEEPS, plan
from tests.cluster.launching import hosts, n_rows, on_premise_for_nodes, start_typing, wait_for_workers, wait_until
from tests.cluster.nodes import CHECKOUT, Network, ended, finished, missing_for_nodes, network
from tests.console_pages import check_or_paste, commands_of, plain_lines, typed

PAGE = CHECKOUT / "docs/cluster.md"
# The lines worth a reader's time, by the command's first words. Others: all of its lines.
TELLING = {
    "ray get-auth-token": r"$^",
    "ray up": r"New status: up-to-date",
    "ray exec": r"local\.cluster\.node",
    "ray submit cluster.yaml hsicl.py -- doctor": r"^FAIL|workers of the cluster file|^note  store|  autoscaler",
    "ray submit": r"trials planned",
    "hsicl doctor": r"^FAIL|autoscaler|token",
    "RAY_AUTH_MODE=token ray job submit": r"trials planned|succeeded",
    "ray rsync-down": r"$^",
    "ray down": r"No nodes remaining",
}


def telling_lines(command: str, told: str) -> list[str]:
    """Return the lines of ``told`` that the page shows."""
    patterns = [pattern for words, pattern in TELLING.items() if command.startswith(words)] or [""]
    lines = plain_lines(re.sub(r"raysubmit_\w+", "raysubmit_...", told))
    return [line.strip() for line in lines if re.search(patterns[0], line)]


def test_the_page_shows_the_telling_lines() -> None:
    assert commands_of("$ a b\nseen\n$ c\n") == ["a b", "c"]
    told = "noise\r\n\x1b[1mold\r16 trials planned, 0 finished before\x1b[22m\r\n"
    assert telling_lines("ray submit x", told) == ["16 trials planned, 0 finished before"]
    assert telling_lines("hsicl report", "a\n\nb\n") == ["a", "b"]
    assert telling_lines("ray rsync-down x", "a\n") == []


class Walk:
    """Types the page's commands and sees to what happens meanwhile, as the page tells it."""

    def __init__(self, machines: Network) -> None:
        self.machines = machines
        self.laptop = machines["laptop"]
        self.store = machines["head"].path("runs/smoke")
        self.taken_along: list[str] = []
        self.n_at_kill = 0
        self.rows_after_kill: list[dict[str, Any]] = []

    def type(self, command: str) -> list[str]:
        """Return what the page shows of the answer to ``command``."""
        if command.startswith("ray exec"):
            wait_for_workers(self.laptop)
        if " ray job submit" in command:
            with self.way_to_the_head():
                told = finished(start_typing(self.laptop, command), seconds=300)
            self.taken_along = self.machines["head"].run("cd /tmp/ray/session_latest/runtime_resources; find .").split()
            return telling_lines(command, told)
        process = start_typing(self.laptop, command)
        if command.startswith("ray submit") and " sweep " in command and not self.n_at_kill:
            wait_until(lambda: process.poll() is not None or bool(hosts(self.store)), 240, process.poll)
            # The head, where Ray is warm, can be through before the worker's first fit: it waits for it.
            self.signal_fits_of_head("STOP")
            wait_until(lambda: process.poll() is not None or "worker" in hosts(self.store), 240, process.poll)
            self.n_at_kill = n_rows(self.store)
            self.machines.kill("worker")
            self.signal_fits_of_head("CONT")
        told = finished(process, seconds=300)
        if self.n_at_kill and not self.rows_after_kill:
            self.rows_after_kill = open_store(self.store).read().to_pylist()
        return telling_lines(command, told)

    def signal_fits_of_head(self, signal: str) -> None:
        # Status 1: there is none.
        self.machines["head"].run(f"pkill -{signal} -f ^ray::ResourceTrainable", status=None)

    @contextmanager
    def way_to_the_head(self) -> Iterator[None]:
        """Have the second terminal of the page open, in which ``ray dashboard`` forwards a port."""
        process = start_typing(self.laptop, "ray dashboard cluster.yaml")
        try:
            wait_until(
                lambda: self.laptop.run(": < /dev/tcp/localhost/8265 && echo open", status=None) == "open\n",
                60,
                process.poll,
            )
            yield
        finally:
            ended(process)


def planned(n_seeds: int) -> list[str]:
    sweep = SWEEPS.get("smoke").with_overrides(n_seeds=n_seeds, n_splits=2)
    return sorted(trial.trial_id for trial in plan(sweep, {"indian_pines": load_scene("indian_pines")}))


@pytest.mark.cluster
@pytest.mark.skipif(bool(missing_for_nodes()), reason=missing_for_nodes())
def test_a_sweep_outlives_a_machine_and_the_page_is_true(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    with network(tmp_path, {"laptop": 10, "head": 11, "worker": 12}) as machines:
        walk = Walk(machines)
        walk.laptop.path("hsicl/cluster.yaml").write_text(on_premise_for_nodes())
        mine = walk.laptop.path("hsicl/results/runs/mine")
        mine.mkdir(parents=True)
        (mine / "note.txt").touch()
        seen = typed(page, walk.type)
        brought = open_store(walk.laptop.path("hsicl/results/runs/smoke")).read().to_pylist()
        shipped = machines["head"].run("cd hsicl; find .").split()
    rows = walk.rows_after_kill
    assert sorted(row["trial_id"] for row in rows) == planned(8)
    assert {row["status"] for row in brought} == {"ok"}
    # Both machines worked, and there was work left when one was switched off.
    assert {row["host"] for row in rows} == {"head", "worker"}
    assert 0 < walk.n_at_kill < len(rows)
    assert sorted(row["trial_id"] for row in brought) == planned(9)
    # Both ways take the code along, and neither the packages nor other results; a job leaves the commit behind.
    for files in (shipped, walk.taken_along):
        assert [name for name in files if name.endswith("/benchmark/planning.py")]
        assert [name for name in files if "/.venv" in name or "/results/runs" in name] == []
    assert all(row["commit"] for row in rows)
    assert {row["commit"] for row in brought if row["trial_id"] not in planned(8)} == {None}
    check_or_paste(PAGE, seen)
