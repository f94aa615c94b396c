"""Ray's token authentication, as a cluster file sets it up: the mode is said, one token reaches every node."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweeps.doctor.findings import Finding, fault, fine, note

_MODE, TOKEN_FILE = "RAY_AUTH_MODE", ".ray/auth_token"
_SETUP = ("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands")
_START = ("head_start_ray_commands", "worker_start_ray_commands")


def assignments(cluster: dict[str, Any], name: str) -> list[str]:
    """Return every value, as the shell reads it, that a cluster file's commands give the variable ``name``."""
    pattern = re.compile(rf"""\b{name}=("[^"]*"|'[^']*'|[^\s;&|"']+)""")
    return [value for key in (*_SETUP, *_START) for line in cluster.get(key) or [] for value in pattern.findall(line)]


def uses_token(cluster: dict[str, Any]) -> bool:
    """Return whether the cluster's Ray is started with the mode ``token``."""
    return {value.strip("\"'") for value in assignments(cluster, _MODE)} == {"token"}


def file_findings(cluster: dict[str, Any]) -> Iterator[Finding]:
    """Give whether the mode is said where Ray is started, and whether the token goes to the nodes."""
    modes = {value.strip("\"'") for value in assignments(cluster, _MODE)}
    subject = f"{_MODE} in the file"
    silent = [line for key in _START for line in cluster[key] if "ray start" in line and f"{_MODE}=" not in line]
    is_set_up = any(_MODE in line for key in _SETUP for line in cluster.get(key) or [])
    if silent and not is_set_up:
        yield fault(
            subject, f"not said in '{silent[0]}': whether a token is asked for then hangs on what lies in the home of "
            f"each node: write '{_MODE}=token ray start ...' there",
        )  # fmt: skip
    elif len(modes) > 1:
        yield fault(subject, f"{' and '.join(sorted(modes))}: say the same in every command")
    elif modes == {"token"}:
        yield fine(subject, "token")
        yield _shipped_finding(cluster)
    else:
        yield note(subject, f"{', '.join(modes)}: whoever reaches the head's ports can run code on the nodes")
    if len(modes) == 1:
        yield _here_finding(next(iter(modes)))


def _shipped_finding(cluster: dict[str, Any]) -> Finding:
    places = [TOKEN_FILE, *(value.strip("\"'") for value in assignments(cluster, "RAY_AUTH_TOKEN_PATH"))]
    sources = [local for remote, local in cluster["file_mounts"].items() if remote.endswith(tuple(places))]
    if not sources:
        return fault(
            "token", f"no file_mounts entry sends it: add '~/{TOKEN_FILE}: ~/{TOKEN_FILE}', and "
            "'ray get-auth-token --generate' makes one here",
        )  # fmt: skip
    path = Path(sources[0]).expanduser()
    if not path.is_file() or not path.read_text(encoding="utf-8", errors="replace").strip():
        return fault("token", f"{path} is missing or empty: 'ray get-auth-token --generate' makes one")
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return fault("token", f"{path} has mode {mode:03o}, others may read it: 'chmod 600 {path}'")
    return fine("token", f"{path}, mode {mode:03o}, is sent to every node")


def _here_finding(mode: str) -> Finding:
    subject, here = f"{_MODE} here", os.environ.get(_MODE)
    if here == mode:
        return fine(subject, here)
    text = f"'export {_MODE}={mode}' before you join the cluster from here"
    if here is None:
        return note(
            subject, f"not set: 'ray up' and 'ray submit' go by ssh and need none, 'ray job submit' does: {text}"
        )
    return fault(subject, f"{here} where the file says {mode}: {text}")
