"""The nodes of a running cluster, asked by Ray tasks pinned to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from results.errors import one_line
from sweeps.doctor import probe
from sweeps.doctor.comparison import ALL_AGREE, clock_finding, machine_findings, token_finding, version_findings
from sweeps.doctor.findings import Finding, fault, fine, note
from sweeps.doctor.process import Program

_NODE_TIMEOUT_S = 45.0
# With the connection, which Ray itself would try for minutes.
_TIMEOUT_S = 90.0
_CODE = "from sweeps.on_ray.nodes import main; main()"


def examine_cluster(address: str, store_uri: str) -> Iterator[Finding]:
    """Give what the nodes of a running cluster are, and how they differ from this machine, where the driver runs.

    Args:
        address: ``"auto"`` or ``"HOST:PORT"``.
        store_uri: a store; of a folder it is told who sees it.
    """
    with _seen_by_all(store_uri) as look_for:
        found = ask_cluster(address, look_for, node_timeout_s=_NODE_TIMEOUT_S, timeout_s=_TIMEOUT_S)
    subject = f"cluster {address}"
    if found["error"] is not None:
        # Ray does not say whether it was the token.
        remedy = "where Ray does run there, RAY_AUTH_MODE and the token here must be the head's"
        yield fault(subject, f"{found['error']}; {remedy}")
        return
    nodes = found["nodes"]
    n_cpus, n_gpus = sum(node["cpus"] for node in nodes), sum(node["gpus"] for node in nodes)
    yield fine(subject, f"{len(nodes)} nodes, {n_cpus:g} CPUs, {n_gpus:g} GPUs")
    yield _mode_finding()
    yield _autoscaler_finding(found["autoscaler"])
    yield from _membership_findings(found)
    if found["gone"]:
        yield note("nodes that left", one_line("; ".join(found["gone"])))
    names = _names(nodes)
    for name, node in zip(names, nodes, strict=True):
        yield from _node_findings(name, node, found["driver"])
    yield _store_finding(store_uri, {name: node["answer"] for name, node in zip(names, nodes, strict=True)}, look_for)


def ask_cluster(address: str, look_for: list[str], *, node_timeout_s: float, timeout_s: float) -> dict[str, Any]:
    """Return what ``sweeps.on_ray.nodes`` finds, or ``{"error": reason}``, within ``timeout_s``."""
    request = json.dumps({"address": address, "look_for": look_for, "timeout_s": node_timeout_s})
    # The same code as here, wherever this process has it from.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folder or os.getcwd() for folder in sys.path)}
    program = Program.start([sys.executable, "-c", _CODE, request], environment)
    try:
        output, complaints = program.collect(timeout_s)
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {timeout_s:g} s: see with 'ray status' on the head whether Ray runs"}
    last = complaints.strip().splitlines()[-1:] or [f"exit status {program.process.returncode}"]
    return probe.read_answer(output) or {"error": f"Ray gave up ({one_line(last[0])}): see 'ray status' on the head"}


@contextmanager
def _seen_by_all(store_uri: str) -> Iterator[list[str]]:
    """Keep a file in a store's folder for as long as the nodes are asked; give its path, if there is one."""
    folder = Path(store_uri).expanduser().absolute()
    if "://" in store_uri or not folder.is_dir():
        yield []
        return
    path = folder / f".probe-{uuid.uuid4().hex}"
    try:
        path.touch()
    except OSError:
        yield []
        return
    try:
        yield [str(path)]
    finally:
        path.unlink(missing_ok=True)


def _mode_finding() -> Finding:
    mode = os.environ.get("RAY_AUTH_MODE")
    if mode is None:
        return note("RAY_AUTH_MODE here", "not set: Ray then looks for a token file; say token or disabled explicitly")
    return fine("RAY_AUTH_MODE here", mode)


def _autoscaler_finding(autoscaler: dict[str, Any]) -> Finding:
    version = f"version {2 if autoscaler['is_v2'] else 1}"
    if autoscaler["error"]:
        return fault("autoscaler", f"{version}, {one_line(autoscaler['error'])}: see monitor.log on the head")
    text = f"{version}, {autoscaler['n_pending']} nodes pending, {autoscaler['n_failed']} failed"
    if autoscaler["n_failed"]:
        return note("autoscaler", f"{text}: see monitor.log on the head")
    return fine("autoscaler", version if autoscaler["is_v2"] else text)


def _membership_findings(found: dict[str, Any]) -> Iterator[Finding]:
    """Give which of the nodes that ``ray up`` was told of have not joined."""
    bootstrap, joined = found["bootstrap"], {node["address"] for node in found["nodes"]}
    # The file may be another cluster's.
    if bootstrap is None or bootstrap["head"] not in joined:
        return
    absent = [host for host in bootstrap["workers"] if host not in joined]
    if not absent:
        yield fine("workers of the cluster file", "all have joined")
        return
    text = f"{', '.join(absent)} not joined"
    if len(bootstrap["workers"]) - len(absent) >= bootstrap["n_least"]:
        yield note("workers of the cluster file", f"{text}; min_workers asks for no more than there are")
    elif found["autoscaler"]["is_v2"]:
        yield fault(
            "workers of the cluster file", f"{text}: autoscaler version 2 never starts on-premise workers: "
            "'ray down', then 'RAY_UP_enable_autoscaler_v2=0 ray up'",
        )  # fmt: skip
    else:
        yield fault(
            "workers of the cluster file", f"{text}: a worker takes a minute after 'ray up'; then see "
            "/tmp/ray/session_latest/logs/monitor.* on the head for the reason",
        )  # fmt: skip


def _names(nodes: list[dict[str, Any]]) -> list[str]:
    count = Counter(node["address"] for node in nodes)
    names = []
    for node in nodes:
        # Two on one machine have one address.
        address = node["address"] if count[node["address"]] == 1 else f"{node['address']}#{node['id'][:6]}"
        names.append(f"node {address} (head)" if node["is_head"] else f"node {address}")
    return names


def _node_findings(name: str, node: dict[str, Any], driver: dict[str, Any]) -> Iterator[Finding]:
    answer = node["answer"]
    if answer is None:
        yield fault(name, f"{one_line(node['error'])}: see the raylet's log there, or take the node out of the cluster")
        return
    yield from version_findings(name, answer, "the driver", driver, must_agree=ALL_AGREE)
    yield from machine_findings(name, answer)
    yield _memory_finding(name, node)
    yield clock_finding(name, answer, node["asked"], node["received"])
    # A driver with a token has joined by it.
    if os.environ.get("RAY_AUTH_MODE") == "token":
        yield token_finding(name, answer, "the driver", driver)


def _memory_finding(name: str, node: dict[str, Any]) -> Finding:
    store, shared = node["object_store_gib"], node["answer"]["shared_memory_gib"]
    memory = node["answer"]["memory_gib"]
    of_memory = "" if memory is None else f" of {memory:.1f} GiB memory"
    text = f"{store:.2f} GiB{of_memory}; a scene is held in it once"
    if shared is not None and store > shared:
        return note(
            f"{name} object store", f"{text}; /dev/shm has {shared:.2f} GiB, so it lies in /tmp and is slow: make "
            "/dev/shm larger ('--shm-size' of a container)",
        )  # fmt: skip
    return fine(f"{name} object store", text)


def _store_finding(uri: str, answers: dict[str, dict[str, Any] | None], look_for: list[str]) -> Finding:
    subject = f"store {uri}"
    if "://" in uri:
        return note(subject, "the driver alone writes it; credentials are needed where the sweep is started only")
    if not look_for:
        return note(subject, "no folder that this machine can write to; the driver makes it where the sweep is started")
    blind = [name for name, answer in answers.items() if answer is not None and look_for[0] not in answer["seen"]]
    if not blind:
        return note(subject, "every node sees this folder")
    return note(
        subject, f"{', '.join(blind)} sees another folder or none, which is fine: the driver alone writes; bring the "
        "results home with 'ray rsync-down' or from the machine that ran the sweep",
    )  # fmt: skip
