"""Asks every node of a running cluster what it is, in a Ray task pinned to it.

Run as a process of its own, so that whoever asks can give up: a head that accepts a connection and then is silent
keeps Ray waiting for minutes. ``python -c 'from sweeps.on_ray.nodes import main; main()' REQUEST``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import ray
import yaml
from ray import cloudpickle
from ray.autoscaler.v2.utils import is_autoscaler_v2
from ray.experimental.internal_kv import _internal_kv_get
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from benchmark import InvalidValueError
from results.errors import one_line
from sweeps.doctor import probe
from sweeps.on_ray.session import connected

# What ``ray up`` leaves in the home of the head.
_BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")
_STATUS, _ERROR = b"__autoscaling_status", b"__autoscaling_error"


def main() -> None:
    """Print the answers for the request in the first argument: address, look_for, timeout_s."""
    request = json.loads(sys.argv[1])
    try:
        with connected(request["address"]):
            found = _cluster(request["look_for"], request["timeout_s"])
    except Exception as error:
        # Ray's errors have no base in common with ours; whoever asked tells all of them alike.
        text = str(error) if isinstance(error, InvalidValueError) else f"{type(error).__name__}: {error}"
        found = {"error": one_line(text, limit=None)}
    print(probe.MARK + json.dumps(found), flush=True)  # noqa: T201


def _cluster(look_for: list[str], timeout_s: float) -> dict[str, Any]:
    nodes = ray.nodes()
    here = ray.get_runtime_context().get_node_id()
    return {
        "error": None,
        "driver": probe.answer([], []),
        "nodes": _ask_all([node for node in nodes if node["Alive"]], look_for, timeout_s, here),
        "gone": [f"{node['NodeManagerAddress']} ({node['DeathReasonMessage'] or 'no reason given'})"
                 for node in nodes if not node["Alive"]],
        "autoscaler": _autoscaler(),
        "bootstrap": _bootstrap(),
    }  # fmt: skip


def _ask_all(nodes: list[dict[str, Any]], look_for: list[str], timeout_s: float, here: str) -> list[dict[str, Any]]:
    # By value: a node without hsicl is to say so, not to fail at unpickling.
    cloudpickle.register_pickle_by_value(probe)
    # No CPU, so that busy nodes answer; one call per worker process, so that none stays.
    task = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(probe.answer)
    asked = {}
    for node in nodes:
        pinned = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked[task.options(scheduling_strategy=pinned).remote(look_for, [])] = _described(node, here)
    waiting, deadline = list(asked), time.monotonic() + timeout_s
    while waiting:
        done, waiting = ray.wait(waiting, num_returns=1, timeout=max(0.0, deadline - time.monotonic()))
        if not done:
            break
        asked[done[0]] |= _result(done[0])
    for late in waiting:
        ray.cancel(late, force=True)
        asked[late]["error"] = f"did not answer within {timeout_s:g} s"
    return list(asked.values())


def _described(node: dict[str, Any], here: str) -> dict[str, Any]:
    resources = node["Resources"]
    return {
        "id": node["NodeID"],
        "address": node["NodeManagerAddress"],
        "is_head": "node:__internal_head__" in resources,
        "is_here": node["NodeID"] == here,
        "cpus": resources.get("CPU", 0.0),
        "gpus": resources.get("GPU", 0.0),
        "object_store_gib": resources.get("object_store_memory", 0.0) / 2**30,
        "answer": None,
        "error": None,
        "asked": time.time(),
    }


def _result(reference: Any) -> dict[str, Any]:
    received = time.time()
    try:
        return {"answer": ray.get(reference), "received": received}
    except Exception as error:
        # A node that does not answer, for whatever reason, is a finding.
        return {"error": f"{type(error).__name__}: {error}"}


def _autoscaler() -> dict[str, Any]:
    status, error = _internal_kv_get(_STATUS), _internal_kv_get(_ERROR)
    report = json.loads(status).get("autoscaler_report", {}) if status else {}
    return {
        # Version 2 writes no report of this kind.
        "is_v2": bool(is_autoscaler_v2(fetch_from_server=True)),
        "n_pending": len(report.get("pending_nodes") or []),
        "n_failed": len(report.get("failed_nodes") or []),
        "error": error.decode(errors="replace") if error else None,
    }


def _bootstrap() -> dict[str, Any] | None:
    """Return what ``ray up`` was told of the nodes, None where it was not here or the provider is no list of hosts."""
    try:
        cluster = yaml.safe_load(_BOOTSTRAP.expanduser().read_text(encoding="utf-8"))
        provider = cluster["provider"]
        if provider["type"] != "local":
            return None
        (node_type,) = cluster["available_node_types"].values()
        return {
            "head": provider["head_ip"],
            "workers": list(provider["worker_ips"]),
            "n_least": min(int(node_type.get("min_workers", 0)), len(provider["worker_ips"])),
        }
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError):
        return None
