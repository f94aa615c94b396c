"""The committed cluster file, edited for the machines of nodes.py, and a user's commands on the laptop."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from results import open_store
from tests.cluster.nodes import CHECKOUT, HOME, VENV, Network, Node, finished, network

# What a user edits; and the installation, which needs a package index: the machines share this one's packages instead.
EDITS = {
    "head_ip: 192.168.1.10": "head_ip: 10.77.0.11",
    "worker_ips: [192.168.1.11]": "worker_ips: [10.77.0.12]",
    "ssh_user: ubuntu": "ssh_user: root",
    "- python3 -m venv ~/hsicl_venv": f"- ln -sfn {VENV} ~/hsicl_venv",
    "- cd ~/hsicl && ~/hsicl_venv/bin/pip install --quiet --constraint constraints.txt --editable '.[cluster]'": (
        "- test -f ~/hsicl/constraints.txt"
    ),
}


def on_premise_for_nodes() -> str:
    """Return the committed file with ``EDITS``, each of which must apply exactly once."""
    text = (CHECKOUT / "sweeps/clusters/on_premise.yaml").read_text(encoding="utf-8")
    for old, new in EDITS.items():
        assert text.count(old) == 1, f"sweeps/clusters/on_premise.yaml should have {old!r} once"
        text = text.replace(old, new)
    return text


def start_typing(laptop: Node, command: str) -> subprocess.Popen[str]:
    """Start ``command`` as a user of the laptop does: in the checkout, at a terminal, with the venv active."""
    environment = {
        "PATH": f"{HOME}/hsicl/.venv/bin:/usr/local/bin:/usr/bin:/bin",
        # The venv holds a link to the checkout of the test, which no machine sees.
        "PYTHONPATH": f"{HOME}/hsicl",
        "COLUMNS": "120",
        "NO_COLOR": "1",
        "COMMAND": command,
    }
    return laptop.popen('cd hsicl; exec script -qec "$COMMAND" /dev/null', environment=environment)


def wait_until(condition: Callable[[], bool], seconds: float, what: Callable[[], object]) -> None:
    """Return as soon as ``condition`` holds; fail after ``seconds`` and tell ``what``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what()}"
        time.sleep(0.1)


def n_rows(store: Path) -> int:
    """Return how many trials ``store`` has finished so far."""
    return len(list(store.glob("*.parquet")))


def hosts(store: Path) -> set[str]:
    """Return the names of the machines that the rows of ``store`` come from so far."""
    return set(open_store(store).read().column("host").to_pylist()) if n_rows(store) else set()


@contextmanager
def launched(folder: Path) -> Iterator[Network]:
    """Start laptop, head and worker, and on the two a cluster from the committed file.

    Args:
        folder: empty.
    """
    with network(folder, {"laptop": 10, "head": 11, "worker": 12}) as machines:
        laptop = machines["laptop"]
        laptop.path("hsicl/cluster.yaml").write_text(on_premise_for_nodes())
        for command in ("ray get-auth-token --generate", "ray up -y --disable-usage-stats cluster.yaml"):
            finished(start_typing(laptop, command), seconds=180)
        wait_for_workers(laptop)
        yield machines


def wait_for_workers(laptop: Node) -> None:
    """Return as soon as the worker has joined."""

    def status() -> str:
        return finished(start_typing(laptop, "ray exec cluster.yaml 'ray status'"), seconds=120)

    wait_until(lambda: "2 local.cluster.node" in status(), 120, status)


def with_packages(**variables: str) -> dict[str, str]:
    """Return the variables of a shell that has Ray, but not the lines that the cluster file adds to it."""
    paths = {"PATH": f"{VENV}/bin:/usr/bin:/bin", "PYTHONPATH": f"{HOME}/hsicl"}
    # Ray tries 20 times, a second apart.
    return {**paths, "RAY_USAGE_STATS_ENABLED": "0", "RAY_NUM_REDIS_GET_RETRIES": "2", **variables}
