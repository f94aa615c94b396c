"""Nodes to log in to: an sshd each on a loopback address and a free high port, with a home and keys of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SSHD = shutil.which("sshd") or shutil.which("/usr/sbin/sshd")


@dataclass(frozen=True)
class Nodes:
    """Running nodes: 127.0.0.1 is the head, 127.0.0.2 and so on are workers.

    Attributes:
        folder: holds keys, configurations and the homes.
        port: where every sshd listens.
        hosts: the addresses.
    """

    folder: Path
    port: int
    hosts: tuple[str, ...]

    def home(self, host: str) -> Path:
        """Return the home of the account on ``host``."""
        return self.folder / host

    def cluster(self, **changes: Any) -> dict[str, Any]:
        """Return a cluster file's content that names these nodes; ``changes`` replace top-level entries."""
        relay = f"bash -c 'exec 3<>/dev/tcp/%h/{self.port}; cat <&3 & cat >&3; kill $!'"
        key = str(self.folder / "user")
        return {
            "cluster_name": "loopback",
            "provider": {"type": "local", "head_ip": self.hosts[0], "worker_ips": list(self.hosts[1:])},
            "auth": {"ssh_user": "root", "ssh_private_key": key, "ssh_proxy_command": relay},
            "head_start_ray_commands": ["ray stop", "RAY_AUTH_MODE=disabled ray start --head"],
            "worker_start_ray_commands": ["ray stop", "RAY_AUTH_MODE=disabled ray start --address=$RAY_HEAD_IP:6379"],
            **changes,
        }

    def cluster_file(self, **changes: Any) -> Path:
        """Return the path of a cluster file with that content."""
        path = self.folder / "cluster.yaml"
        path.write_text(yaml.safe_dump(self.cluster(**changes)))
        return path


@contextmanager
def running_nodes(folder: Path, n_nodes: int) -> Iterator[Nodes]:
    """Start ``n_nodes`` nodes; end their sshd at the end."""
    for name in ("host", "user", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    Path("/run/sshd").mkdir(exist_ok=True)
    hosts = tuple(f"127.0.0.{index + 1}" for index in range(n_nodes))
    nodes = Nodes(folder, _free_port(hosts), hosts)
    with ExitStack() as stack:
        for host in hosts:
            furnish(nodes.home(host))
            stack.enter_context(_sshd(nodes, host))
        yield nodes


# What a probe asks of torch, without the seconds that its import takes; any other name is a class.
TORCH_STUB = """
def get_num_threads(): return 1
class cuda: device_count = staticmethod(lambda: 0)
def __getattr__(name): return type(name, (), {})
"""


def furnish(home: Path, *, commands: tuple[str, ...] = ("python", "ray", "hsicl"), has_torch: bool = True) -> None:
    """Make a home whose login shell finds ``commands`` of this environment, and plain shells rsync.

    Without ``has_torch`` what is imported as torch is a stub, which saves seconds; its version is the real one's.
    """
    shutil.rmtree(home, ignore_errors=True)
    (home / "bin").mkdir(parents=True)
    (home / "plain").mkdir()
    for name in commands:
        script = home / "bin" / name
        # Not a link: a virtual environment's Python looks for its packages beside the path it was called by.
        script.write_text(f'#!/bin/sh\nexec {Path(sys.executable).parent / name} "$@"\n')
        script.chmod(0o755)
    for name in ("sh", "bash", "rsync", "timeout"):
        found = shutil.which(name)
        if found:
            (home / "plain" / name).symlink_to(found)
    (home / "stub").mkdir()
    if not has_torch:
        (home / "stub" / "torch.py").write_text(TORCH_STUB)
    # As on many machines, it is left early by plain shells; what it says must not disturb.
    (home / ".bashrc").write_text(
        "case $- in *i*) ;; *) return ;; esac\necho welcome\n"
        f"export PATH={home}/bin:/usr/bin:/bin PYTHONPATH={home}/stub\n"
    )


@contextmanager
def _sshd(nodes: Nodes, host: str) -> Iterator[None]:
    home, folder = nodes.home(host), nodes.folder
    config = folder / f"{host}.config"
    config.write_text(
        f"Port {nodes.port}\nListenAddress {host}\nHostKey {folder}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nPasswordAuthentication no\nPermitRootLogin yes\n"
        f"SetEnv HOME={home} PATH={home}/plain OMP_NUM_THREADS=1\n"
    )
    assert SSHD is not None
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=(folder / f"{host}.log").open("w"))
    try:
        _wait_for(host, nodes.port)
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


def _free_port(hosts: tuple[str, ...]) -> int:
    with socket.socket() as probe:
        probe.bind((hosts[0], 0))
        return int(probe.getsockname()[1])


def _wait_for(host: str, port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "sshd does not listen"
            time.sleep(0.05)
        else:
            return
