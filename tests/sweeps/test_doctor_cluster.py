"""Doctor asks the nodes of a running cluster: two raylets beside a head, one of them unlike the driver, one silent."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.cluster_utils import Cluster

import hsicl
from sweeps.doctor import Finding, cluster_nodes
from sweeps.doctor.cluster_nodes import examine_cluster
from tests.sweeps.ssh_nodes import TORCH_STUB

pytestmark = [
    pytest.mark.ray,
    pytest.mark.campaign,
    # Ray leaves sockets and log files of its own to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# Run by every Python of a node before its own program: it is as if hsicl were not installed there.
WITHOUT_HSICL = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("benchmark", "sweeps"):
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Without())
"""
# Workers never begin to work; the node's own services do.
SILENT = "import sys, time\nif 'default_worker.py' in ' '.join(sys.orig_argv): time.sleep(600)\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module", autouse=True)
def environment(home: Path) -> Iterator[None]:
    """A folder of our own for Ray: what it writes there would tell 'auto' of others about this cluster."""
    # Paths of sockets must be short.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("HOME", str(home))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head, and a worker without a CPU to spare: what asks for none is answered all the same."""
    variables = pythonpath(tmp_path_factory.mktemp("nodes"), "")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "env_vars": variables})
    cluster.add_node(num_cpus=0, object_store_memory=100 * 2**20, env_vars=variables)
    yield cluster
    cluster.shutdown()


def examined(address: str, store: Path) -> list[Finding]:
    findings = list(examine_cluster(address, str(store)))
    assert all("\n" not in str(finding) for finding in findings)
    return findings


def pythonpath(folder: Path, program: str) -> dict[str, str]:
    """Return the environment of a node whose Python runs ``program`` first, and imports a quick stub as torch."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(program)
    (folder / "torch.py").write_text(TORCH_STUB)
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])}


def test_equal_nodes_are_fine_each_in_its_own_name(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    assert hsicl.main(["doctor", "--store", str(store), "--cluster", cluster.address]) == 0
    said = capsys.readouterr().out
    assert f"ok    cluster {cluster.address}: 2 nodes, 1 CPUs, 0 GPUs" in said
    assert said.count(" versions: python") == said.count(" clock: at most") == 2
    assert said.count("(head) versions: ") == 1
    assert "object store: 0.10 GiB of" in said
    assert f"note  store {store}: every node sees this folder" in said
    assert "ok    autoscaler: version 1" in said
    assert list(store.iterdir()) == []


def test_nodes_that_are_unlike_the_driver_are_told_and_the_others_are_fine(
    cluster: Cluster, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One node has no hsicl, on one no task ever starts, and one that ``ray up`` was told of has not joined."""
    monkeypatch.setattr(cluster_nodes, "_NODE_TIMEOUT_S", 15.0)
    bootstrap = {
        "provider": {"type": "local", "head_ip": cluster.head_node.node_ip_address, "worker_ips": ["192.0.2.77"]},
        "available_node_types": {"local.cluster.node": {"min_workers": 1, "max_workers": 1}},
    }
    (home / "ray_bootstrap_config.yaml").write_text(yaml.safe_dump(bootstrap))
    without = cluster.add_node(num_cpus=1, env_vars=pythonpath(tmp_path / "without", WITHOUT_HSICL))
    silent = cluster.add_node(num_cpus=1, env_vars=pythonpath(tmp_path / "silent", SILENT))
    try:
        found = examined(cluster.address, tmp_path)
    finally:
        (home / "ray_bootstrap_config.yaml").unlink()
        for node in (without, silent):
            cluster.remove_node(node)
    wrong = {fault.subject: fault.text for fault in found if not fault.is_ok}
    address = cluster.head_node.node_ip_address
    silent_name, without_name = (f"node {address}#{node.node_id[:6]}" for node in (silent, without))
    assert wrong.keys() == {"workers of the cluster file", silent_name, f"{without_name} hsicl"}
    assert wrong["workers of the cluster file"].startswith("192.0.2.77 not joined")
    assert "monitor.*" in wrong["workers of the cluster file"]
    assert wrong[silent_name].startswith("did not answer within 15 s")
    assert "(ModuleNotFoundError: No module named 'benchmark')" in wrong[f"{without_name} hsicl"]
    assert sum(" versions: python" in str(finding) for finding in found) == 3


@pytest.mark.parametrize("listens", [True, False])
def test_an_address_where_no_ray_answers_is_one_fault_in_time(
    listens: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ray itself would try for minutes where somebody listens; a closed port it is told of as soon as it asks.
    monkeypatch.setattr(cluster_nodes, "_TIMEOUT_S", 8.0 if listens else 60.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if not listens:
            server.close()
        (fault,) = examined(address, tmp_path)
    assert str(fault).startswith(f"FAIL  cluster {address}: ")
    assert ("no answer within 8 s" if listens else "no Ray to be had there") in fault.text


def answer_of(**changes: Any) -> dict[str, Any]:
    """Return what a healthy cluster that ``ray up`` has made would say, with ``changes``."""
    return {
        "error": None, "driver": {}, "nodes": [], "gone": [], "bootstrap": None,
        "autoscaler": {"is_v2": False, "n_pending": 0, "n_failed": 0, "error": None}, **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "verdict", "text"),
    [
        ({"autoscaler": {"is_v2": True, "n_pending": 0, "n_failed": 0, "error": None}}, "ok  ", "version 2"),
        ({"autoscaler": {"is_v2": False, "n_pending": 1, "n_failed": 2, "error": None}}, "note", "2 failed"),
        ({"autoscaler": {"is_v2": False, "n_pending": 0, "n_failed": 0, "error": "Bo\nom"}}, "FAIL", "Bo om"),
        ({"gone": ["10.0.0.3 (health check failed)"]}, "note", "health check failed"),
        ({"error": "InvalidAuthToken"}, "FAIL", "InvalidAuthToken"),
    ],
)
def test_what_ray_says_of_the_cluster_is_passed_on(
    changes: dict[str, Any], verdict: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_nodes, "ask_cluster", lambda *_, **__: answer_of(**changes))
    (finding,) = (finding for finding in examined("auto", tmp_path) if text in finding.text)
    assert str(finding).startswith(verdict)


@pytest.mark.parametrize(
    ("is_v2", "n_least", "verdict", "text"),
    [(True, 1, "FAIL", "RAY_UP_enable_autoscaler_v2=0 ray up"), (False, 0, "note", "asks for no more")],
)
def test_why_a_worker_is_not_there(
    is_v2: bool, n_least: int, verdict: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = {"id": "a", "address": "10.0.0.1", "is_head": True, "cpus": 1, "gpus": 0, "answer": None, "error": "lost"}
    found = answer_of(nodes=[dead], bootstrap={"head": "10.0.0.1", "workers": ["10.0.0.2"], "n_least": n_least})
    found["autoscaler"]["is_v2"] = is_v2
    monkeypatch.setattr(cluster_nodes, "ask_cluster", lambda *_, **__: found)
    said = {finding.subject: finding for finding in examined("auto", tmp_path)}
    assert not said["node 10.0.0.1 (head)"].is_ok
    worker = said["workers of the cluster file"]
    assert str(worker).startswith(verdict)
    assert text in worker.text
