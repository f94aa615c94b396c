"""Machines for a test: namespaces of this one, each with its own network address, processes, home and temporary folder.

Nothing of it has a name outside: networks and mounts belong to the processes that were started here and vanish with
them, and the kernel kills those should this process die. Two runs at once do not see each other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
VENV = Path(sys.prefix)
HOME = "/srv/hsicl"

_TOOLS = ("ip", "mount", "nsenter", "rsync", "script", "setpriv", "ssh", "ssh-keygen", "sshd", "unshare")
_PREFIX = "10.77.0."
_GATEWAY = f"{_PREFIX}1"
_LONGEST_CALL_S = 30.0
# With the commands of an administrator, which are not on every PATH.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SWITCH = f"""
set -e
ip link set lo up
ip link add switch type bridge
ip address add {_GATEWAY}/24 dev switch
ip link set switch up
echo ready
sleep infinity
"""


class NodeError(RuntimeError):
    """A machine did not start, or a command on it failed."""


def missing_for_nodes() -> str:
    """Return why machines cannot be made here, "" where they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root, for namespaces"
    absent = [tool for tool in _TOOLS if shutil.which(tool, path=f"{os.environ['PATH']}:{_PATH}") is None]
    return f"needs {', '.join(absent)}: install openssh-server, rsync, iproute2 and util-linux" if absent else ""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One machine.

    Attributes:
        name: its host name; ``"laptop"`` has no sshd, but the private key and a copy of the checkout in ``~/hsicl``.
        process: keeps the namespaces alive.
        pid: of its first process, as seen from outside.
    """

    name: str
    process: subprocess.Popen[str]
    pid: int

    def path(self, path: str) -> Path:
        """Return where ``path`` below the home of this machine is seen from outside."""
        return Path(f"/proc/{self.pid}/root{HOME}", path)

    def popen(self, command: str, *, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start ``command`` by bash in the home and return the process; both its streams come by ``stdout``."""
        variables = {"HOME": HOME, "PATH": _PATH, "USER": "root", "TERM": "dumb", "LANG": "C.UTF-8"}
        settings = [f"{name}={value}" for name, value in {**variables, **(environment or {})}.items()]
        return subprocess.Popen(
            [
                *_enter(self.pid, "-m", "-u", "-n", "-p"),
                "setpriv",
                "--pdeathsig",
                "KILL",
                "env",
                "-i",
                *settings,
                "bash",
                "-c",
                f"cd; {command}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def run(
        self,
        command: str,
        *,
        environment: Mapping[str, str] | None = None,
        seconds: float = 120,
        status: int | None = 0,
    ) -> str:
        """Run ``command`` by bash in the home and return what it said, on both streams.

        Args:
            command: for bash.
            environment: variables beside those of a bare login.
            seconds: after which it is killed.
            status: the exit status that it must have; None for any.

        Raises:
            NodeError: it took too long or has another exit status.
        """
        return finished(self.popen(command, environment=environment), seconds=seconds, status=status)

    def kill(self) -> None:
        """Switch the machine off: every process on it ends at once, and its files are gone."""
        self.process.kill()
        self.process.communicate()


def finished(process: subprocess.Popen[str], *, seconds: float, status: int | None = 0) -> str:
    """Wait for ``process`` and return what it said; see ``Node.run``."""
    try:
        told, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise NodeError(f"{process.args!r} did not end in {seconds:g} s:\n{ended(process)}") from None
    if status is not None and process.returncode != status:
        raise NodeError(f"{process.args!r} gave {process.returncode}, not {status}:\n{told}")
    return told


def ended(process: subprocess.Popen[str]) -> str:
    """Kill ``process`` and what it started, and return what it had said."""
    process.kill()
    told, _ = process.communicate(timeout=_LONGEST_CALL_S)
    return told


@dataclass(frozen=True, kw_only=True)
class Network:
    """Machines on one switch, and ``~/shared``, which is the same folder on all of them."""

    folder: Path
    hosts: str
    switch: Node
    nodes: dict[str, Node] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def add(self, name: str, number: int) -> Node:
        """Start the machine ``name`` with the address 10.77.0.``number``."""
        environment = {"NAME": name, "HOME": HOME, "HOSTS": self.hosts, "PATH": f"{_PATH}:{os.environ['PATH']}"}
        places = {"VENV": str(VENV), "CHECKOUT": str(CHECKOUT), "FOLDER": str(self.folder)}
        script = Path(__file__).with_name("machine.sh").read_text()
        unshare = ("-m", "-u", "-n", "-p", "--mount-proc")
        node = _started(name, unshare, script, {**os.environ, **environment, **places})
        self.nodes[name] = node
        at_switch, inside = _enter(self.switch.pid, "-n"), [*_enter(node.pid, "-n"), "ip"]
        ends = [name, "type", "veth", "peer", "name", "eth0", "netns", str(node.pid)]
        _call([*at_switch, "ip", "link", "add", *ends])
        _call([*at_switch, "ip", "link", "set", name, "master", "switch", "up"])
        _call([*inside, "address", "add", f"{_PREFIX}{number}/24", "dev", "eth0"])
        _call([*inside, "link", "set", "eth0", "up"])
        # Ray asks which of its addresses leads to the outside. None does: the switch passes nothing on.
        _call([*inside, "route", "add", "default", "via", _GATEWAY])
        return node

    def kill(self, name: str) -> None:
        """Switch the machine ``name`` off."""
        self.nodes.pop(name).kill()

    def cut(self, name: str) -> None:
        """Unplug the machine ``name``: it runs on, and nobody hears of it."""
        _call([*_enter(self.switch.pid, "-n"), "ip", "link", "set", name, "down"])

    def mend(self, name: str) -> None:
        """Plug the machine ``name`` in again."""
        _call([*_enter(self.switch.pid, "-n"), "ip", "link", "set", name, "up"])


@contextmanager
def network(folder: Path, numbers: Mapping[str, int]) -> Iterator[Network]:
    """Make machines on a switch of their own; at the end all are killed, whatever happened.

    Args:
        folder: empty; keys are made there.
        numbers: the last part of the address by name.
    """
    for key in ("id_ed25519", "host_key"):
        _call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "hsicl-test", "-f", str(folder / key)])
    (folder / "shared").mkdir()
    hosts = "127.0.0.1 localhost\n" + "".join(f"{_PREFIX}{number} {name}\n" for name, number in numbers.items())
    made = Network(folder=folder, hosts=hosts, switch=_started("switch", ("-n", "-p"), _SWITCH, os.environ))
    try:
        for name, number in numbers.items():
            made.add(name, number)
        yield made
    finally:
        for node in [*made.nodes.values(), made.switch]:
            node.kill()


def _started(name: str, namespaces: Sequence[str], script: str, environment: Mapping[str, str]) -> Node:
    # setpriv: should this process be killed, the kernel kills the machine. unshare heeds no SIGTERM.
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "unshare", *namespaces, "-f", "--kill-child", "bash", "-c", script],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        if line == "ready\n":
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            return Node(name=name, process=process, pid=int(children[0]))
        told.append(line)
    process.communicate()
    raise NodeError(f"machine {name} did not start:\n{''.join(told)}")


def _enter(pid: int, *namespaces: str) -> list[str]:
    return ["nsenter", "-t", str(pid), *namespaces]


def _call(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_CALL_S)
    if done.returncode:
        raise NodeError(f"{' '.join(command)}: {done.stderr.strip()}")
