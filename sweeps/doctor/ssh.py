"""Asks a node over ssh what it is, as Ray's cluster launcher would reach it. One connection; nothing is left there."""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from results.errors import one_line
from sweeps.doctor import probe
from sweeps.doctor.process import Program

# ssh gives up earlier where the node is silent; this is for a shell, an import or a proxy that hangs.
ANSWER_TIMEOUT_S = 90.0
_CONNECT_TIMEOUT_S = 10
_COMMANDS = ("python", "ray", "hsicl", "docker")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came of asking a node.

    Attributes:
        error: ssh's own words where the node could not be asked; else None.
        has_rsync: whether rsync is on the PATH of a plain, non-interactive shell, where the other side looks for it.
        commands: path by command, "" where a login shell does not find it.
        ray_version: what the command ``ray --version`` says.
        was_set_up: whether ``ray up`` has been there as on a head.
        answer: what ``probe.answer`` gave; None where no Python ran.
        python_error: why not.
        asked: when ssh was started, in s since the epoch.
        received: when the reply was complete.
    """

    error: str | None = None
    has_rsync: bool = False
    commands: dict[str, str] = field(default_factory=dict)
    ray_version: str = ""
    was_set_up: bool = False
    answer: dict[str, Any] | None = None
    python_error: str = ""
    asked: float = 0.0
    received: float = 0.0


def ask_all(
    hosts: Sequence[str],
    auth: Mapping[str, Any],
    *,
    exports: str,
    connect_to: Sequence[tuple[str, int]],
    timeout_s: float = ANSWER_TIMEOUT_S,
) -> dict[str, Reply]:
    """Return what each host says, all asked at once, within ``timeout_s``.

    Args:
        hosts: addresses or names.
        auth: the cluster file's ``auth``: ssh_user, and where given ssh_private_key and ssh_proxy_command.
        exports: shell commands that set the variables under which Ray is started there.
        connect_to: hosts and ports that the nodes are to try.
        timeout_s: how long a node may take.
    """
    remote = _remote_command(exports, list(connect_to), timeout_s)
    asked = time.time()
    programs = {host: Program.start([*_ssh(auth), f"{auth['ssh_user']}@{host}", remote]) for host in hosts}
    with ThreadPoolExecutor(max_workers=len(programs)) as pool:
        try:
            # Each in a thread: the time at which its answer came tells how far its clock is off.
            replies = pool.map(lambda program: _reply(program, asked, timeout_s), programs.values())
            return dict(zip(programs, replies, strict=True))
        except BaseException:
            for program in programs.values():
                program.end()
            raise


def _reply(program: Program, asked: float, timeout_s: float) -> Reply:
    try:
        output, complaints = program.collect(timeout_s)
    except subprocess.TimeoutExpired:
        return Reply(error=f"no answer within {timeout_s:g} s")
    received = time.time()
    if f"{probe.MARK}shell" not in output:
        return Reply(error=one_line(complaints) or f"ssh ended with status {program.process.returncode} and no word")
    return replace(_read(output, complaints), asked=asked, received=received)


def _ssh(auth: Mapping[str, Any]) -> list[str]:
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": _CONNECT_TIMEOUT_S,
        "LogLevel": "ERROR",
        # As Ray's launcher does.
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": os.devnull,
        "IdentitiesOnly": "yes",
    }
    if auth.get("ssh_proxy_command"):
        options["ProxyCommand"] = auth["ssh_proxy_command"]
    key = ["-i", os.path.expanduser(auth["ssh_private_key"])] if auth.get("ssh_private_key") else []
    return ["ssh", "-T", *key, *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]


def _remote_command(exports: str, connect_to: list[tuple[str, int]], timeout_s: float) -> str:
    """Return what the node's shell is to run: first as rsync's other side is, then as Ray runs commands."""
    say = f"echo {probe.MARK}"
    encoded = base64.b64encode(probe.script([], connect_to).encode()).decode()
    program = f"import base64; exec(base64.b64decode('{encoded}'))"
    inner = "\n".join(
        [
            "source ~/.bashrc",
            "export PYTHONWARNINGS=ignore",
            exports,
            *(f'{say}command.{name}="$(command -v {name})"' for name in _COMMANDS),
            f"test -e ~/ray_bootstrap_config.yaml && {say}set_up",
            f'command -v ray >/dev/null && {say}ray_version="$(ray --version 2>/dev/null)"',
            f"python -c {shlex.quote(program)} 2>&1",
        ]
    )
    # A login file that hangs is not to outlive the question; interactive shells heed no milder signal.
    shell = f"timeout -s KILL {timeout_s:g} bash --login -c -i {shlex.quote(inner)}"
    outer = f"{say}shell; command -v rsync >/dev/null && {say}rsync; exec {shell}"
    return f"exec sh -c {shlex.quote(outer)}"


def _read(output: str, complaints: str) -> Reply:
    said = [line.partition(probe.MARK)[2] for line in output.splitlines() if probe.MARK in line]
    values = dict(line.partition("=")[::2] for line in said if not line.startswith("{"))
    commands = {name: values.get(f"command.{name}", "").strip() for name in _COMMANDS}
    answer = probe.read_answer(output)
    rest = [line for line in output.splitlines() if line.strip() and probe.MARK not in line] or complaints.splitlines()
    return Reply(
        has_rsync="rsync" in values,
        commands=commands,
        ray_version=values.get("ray_version", "").strip().rpartition(" ")[2],
        was_set_up="set_up" in values,
        answer=answer,
        python_error="" if answer or not rest else rest[-1].strip(),
    )
