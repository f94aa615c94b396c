"""The nodes that an on-premise cluster file names, asked over ssh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.errors import one_line
from sweeps.doctor import probe
from sweeps.doctor.authentication import assignments, uses_token
from sweeps.doctor.comparison import (
    ALL_AGREE,
    LAPTOP_AGREES,
    Answer,
    clock_finding,
    machine_findings,
    token_finding,
    version_findings,
)
from sweeps.doctor.findings import Finding, fault, fine, note
from sweeps.doctor.ssh import Reply, ask_all

# The head's launcher knows no proxy: it reaches the workers here.
_SSH_PORT = 22
_VARIABLES = ("HSICL_DATA", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")


@dataclass(frozen=True, kw_only=True)
class _Node:
    """A node, what it said, and what else is to be known to judge it."""

    name: str
    host: str
    reply: Reply
    is_head: bool
    head: Reply
    cluster: dict[str, Any]

    @property
    def awaits_setup(self) -> bool:
        """Whether ``ray up`` is still to install what a trial needs."""
        return not self.head.was_set_up and bool(self.cluster["head_setup_commands"])


def examine_nodes(cluster: dict[str, Any]) -> Iterator[Finding]:
    """Give what the nodes are, and how they differ from the head, which is compared with this machine.

    Args:
        cluster: the file with Ray's defaults filled in, of a provider that lists its hosts.
    """
    provider, auth = cluster["provider"], cluster["auth"]
    key_fault = _key_fault(auth)
    if key_fault:
        yield key_fault
        return
    # From here the head may have another address than the workers use.
    external = None if provider.get("use_internal_ips") else provider.get("external_head_ip")
    head_host, workers = external or provider["head_ip"], list(provider["worker_ips"])
    replies = ask_all(
        [head_host, *workers], auth, exports=_exports(cluster), connect_to=[(host, _SSH_PORT) for host in workers]
    )
    here = probe.answer([], [])
    head = replies[head_host]
    for host, reply in replies.items():
        is_head = host == head_host
        name = f"node {host} (head)" if is_head else f"node {host}"
        node = _Node(name=name, host=host, reply=reply, is_head=is_head, head=head, cluster=cluster)
        yield from _node_findings(node, here)


def _key_fault(auth: dict[str, Any]) -> Finding | None:
    if not auth.get("ssh_private_key"):
        return None
    path = Path(auth["ssh_private_key"]).expanduser()
    if not path.is_file():
        return fault("ssh key", f"{path} is not there: correct auth.ssh_private_key, or make one with 'ssh-keygen'")
    if path.stat().st_mode & 0o077:
        return fault("ssh key", f"{path} may be read by others and ssh refuses it: 'chmod 600 {path}'")
    return None


def _exports(cluster: dict[str, Any]) -> str:
    found = {name: assignments(cluster, name) for name in _VARIABLES}
    return "; ".join(f"export {name}={values[-1]}" for name, values in found.items() if values) or ":"


def _node_findings(node: _Node, here: Answer) -> Iterator[Finding]:
    if node.reply.error is not None:
        yield _unreached(node)
        return
    yield fine(f"{node.name} ssh", f"reached as {node.cluster['auth']['ssh_user']}")
    head_answer = node.head.answer
    if not node.is_head and head_answer is not None and node.host not in head_answer["reached"]:
        yield fault(
            f"{node.name} from the head", f"the head cannot connect to its port {_SSH_PORT}: the head starts the "
            "workers itself and without ssh_proxy_command: open the port between them",
        )  # fmt: skip
    if node.reply.has_rsync:
        yield fine(f"{node.name} rsync", "there")
    else:
        yield fault(f"{node.name} rsync", "not on the PATH of a plain ssh command: 'apt-get install rsync' there")
    if (node.cluster.get("docker") or {}).get("container_name"):
        yield note(f"{node.name} versions", "trials run in a container, which is not looked at from here")
    elif node.awaits_setup:
        yield note(
            f"{node.name} versions", "'ray up' has not set the head up: what setup_commands install is looked at "
            "when you run doctor again after it",
        )  # fmt: skip
    else:
        yield from _environment_findings(node, here)
    if node.reply.answer is not None:
        yield from machine_findings(node.name, node.reply.answer)
        yield clock_finding(node.name, node.reply.answer, node.reply.asked, node.reply.received)


def _unreached(node: _Node) -> Finding:
    user, text = node.cluster["auth"]["ssh_user"], one_line(node.reply.error)
    subject = f"{node.name} ssh"
    if "Permission denied" in text:
        key = node.cluster["auth"].get("ssh_private_key") or "your key"
        return fault(subject, f"{text}: put {key}'s public half into ~/.ssh/authorized_keys of {user} there")
    if not node.is_head and node.head.answer is not None and node.host in node.head.answer["reached"]:
        return note(
            subject, f"not reached from here ({text}), the head reaches its port {_SSH_PORT}, which is enough: "
            "'hsicl doctor --cluster auto' on the head looks further",
        )  # fmt: skip
    return fault(subject, f"{text}: see that the machine is up and sshd runs, and correct its address or auth")


def _environment_findings(node: _Node, here: Answer) -> Iterator[Finding]:
    reply, is_missing = node.reply, False
    for command in ("python", "ray"):
        if not reply.commands[command]:
            is_missing = True
            yield fault(
                f"{node.name} {command}", "not on the PATH of 'bash --login -c -i', the shell that Ray uses: put "
                "its environment's bin folder on the PATH in ~/.bashrc, above any line that leaves early",
            )  # fmt: skip
    if not reply.commands["hsicl"]:
        yield note(f"{node.name} hsicl", "no command of that name on the PATH; 'ray submit' does without it")
    answer = reply.answer
    if answer is None:
        if not is_missing:
            yield fault(f"{node.name} python", f"it does not run: {one_line(reply.python_error)}: repair it there")
        return
    if reply.ray_version and answer["packages"]["ray"] not in (None, reply.ray_version):
        yield fault(
            f"{node.name} ray", f"the command is {reply.ray_version} ({reply.commands['ray']}), python's package is "
            f"{answer['packages']['ray']} ({reply.commands['python']}): let both be of one environment on the PATH",
        )  # fmt: skip
    if node.is_head:
        yield from version_findings(node.name, answer, "this machine", here, must_agree=LAPTOP_AGREES)
    else:
        yield from version_findings(node.name, answer, "the head", node.head.answer, must_agree=ALL_AGREE)
    if uses_token(node.cluster) and node.head.was_set_up:
        yield token_finding(node.name, answer, "this machine", here)
