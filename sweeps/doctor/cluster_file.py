"""Looks at a cluster file where ``ray up`` is typed, before or after it: the file, this machine, the nodes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark import InvalidValueError
from results.errors import one_line
from sweeps.doctor import authentication, file_nodes
from sweeps.doctor.findings import Finding, fault, fine, note

LAUNCHER_SETTING = "RAY_UP_enable_autoscaler_v2"
_HEAD_SETTING = "RAY_enable_autoscaler_v2=0"


def examine_file(path: Path, cluster: dict[str, Any]) -> Iterator[Finding]:
    """Give what is to be said of a cluster file and of the machines that it names.

    Args:
        path: a YAML file for ``ray up``.
        cluster: what it holds; of a Kubernetes object only its kind is told.
    """
    from sweeps.on_ray.cluster_file import prepared

    subject = f"cluster file {path}"
    if "apiVersion" in cluster:
        yield note(
            subject, f"a Kubernetes {cluster.get('kind')}, which 'ray up' does not read: "
            f"'kubectl apply --dry-run=server -f {path}' checks it",
        )  # fmt: skip
        return
    missing = _missing(cluster)
    if missing:
        yield fault(subject, missing)
        return
    try:
        complete = prepared(cluster)
    except InvalidValueError as error:
        yield fault(subject, f"Ray refuses it: {one_line(error)}: correct it, then run doctor again for the rest")
        return
    provider = complete["provider"]["type"]
    yield fine(subject, f"valid for Ray, provider {provider}")
    yield from _commands_here()
    yield from _mount_findings(complete)
    yield from authentication.file_findings(complete)
    if "worker_ips" in complete["provider"]:
        yield _autoscaler_finding(path, complete)
        yield from file_nodes.examine_nodes(complete)
    else:
        yield note(
            "nodes", f"{provider} makes them at 'ray up', there is none to ask before; its credentials and quotas "
            f"are not looked at. Then: ray exec {path} 'hsicl doctor --cluster auto'",
        )  # fmt: skip


def _missing(cluster: dict[str, Any]) -> str:
    """Return what an on-premise file lacks that Ray would say less plainly, or ""."""
    provider, auth = cluster.get("provider"), cluster.get("auth")
    # An on-premise provider is called local by Ray. What is no mapping is left to Ray's schema.
    if not isinstance(provider, dict) or provider.get("type") != "local" or "coordinator_address" in provider:
        return ""
    if not provider.get("head_ip"):
        return "provider.head_ip is missing: give the address of the machine that is to be the head"
    if not isinstance(provider.get("worker_ips"), list):
        return "provider.worker_ips must be a list of addresses: write 'worker_ips: []' if the head is alone"
    if not isinstance(auth, dict) or not auth.get("ssh_user"):
        return "auth.ssh_user is missing: give the account on the nodes"
    return ""


def _commands_here() -> Iterator[Finding]:
    for name in ("ssh", "rsync"):
        found = shutil.which(name)
        if found:
            yield fine(f"{name} here", found)
        else:
            yield fault(f"{name} here", f"not on the PATH: 'ray up' needs it, 'apt-get install {name}' or the like")


def _mount_findings(cluster: dict[str, Any]) -> Iterator[Finding]:
    mounts = cluster["file_mounts"]
    for remote, local in mounts.items():
        # Of the token more is said below.
        is_token = authentication.uses_token(cluster) and remote.endswith(authentication.TOKEN_FILE)
        if not is_token and not Path(local).expanduser().exists():
            yield fault(f"file_mounts {remote}", f"{local} is not there: 'ray up' would stop at it, correct the path")
    if not mounts:
        yield note("file_mounts", "none: hsicl must be on every node already, 'ray submit' sends hsicl.py alone")


def _autoscaler_finding(path: Path, cluster: dict[str, Any]) -> Finding:
    subject, value = f"{LAUNCHER_SETTING} here", os.environ.get(LAUNCHER_SETTING)
    workers = cluster["provider"]["worker_ips"]
    if any(_HEAD_SETTING in command for command in cluster["head_start_ray_commands"]):
        return fine("autoscaler", f"the file sets {_HEAD_SETTING} for the head: it starts on-premise workers")
    # Ray takes whatever is not 1 as off, and unset as 1.
    if value not in (None, "1"):
        return fine(subject, f"{value}: the autoscaler that starts on-premise workers")
    if not workers:
        return note(subject, f"{value or 'not set'}: of no consequence while worker_ips is empty")
    return fault(
        subject, f"{value or 'not set'}: autoscaler version 2 never starts the {len(workers)} workers of an on-premise "
        f"cluster: let head_start_ray_commands export {_HEAD_SETTING}, or type '{LAUNCHER_SETTING}=0 ray up {path}'",
    )  # fmt: skip
