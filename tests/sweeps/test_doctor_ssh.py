"""Doctor looks at the nodes of an on-premise cluster file over a real ssh, and says of each fault what to do."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import hsicl
from sweeps.doctor import Finding, examine_cluster, file_nodes
from sweeps.doctor.cluster_file import LAUNCHER_SETTING
from sweeps.doctor.ssh import ask_all
from tests.sweeps.ssh_nodes import SSHD, Nodes, furnish, running_nodes

pytestmark = [
    pytest.mark.skipif(
        SSHD is None or not all(map(shutil.which, ("ssh", "ssh-keygen"))) or os.geteuid() != 0,
        reason="needs root, sshd and ssh: 'apt-get install openssh-server'",
    ),
    # The sshd's log file is closed by the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

HEAD, WORKER = "127.0.0.1", "127.0.0.2"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with running_nodes(tmp_path_factory.mktemp("nodes"), n_nodes=2) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine as it should be, the nodes with nothing but shells: those that need Python furnish them again."""
    monkeypatch.setenv(LAUNCHER_SETTING, "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setattr(file_nodes, "_SSH_PORT", nodes.port)
    for host in nodes.hosts:
        furnish(nodes.home(host), commands=())


def examined(path: Path) -> dict[str, Finding]:
    """Return the findings by subject, which must not come twice, each a line."""
    findings = list(examine_cluster(str(path), "unused"))
    assert all("\n" not in str(finding) for finding in findings)
    by_subject = {finding.subject: finding for finding in findings}
    assert len(by_subject) == len(findings)
    return by_subject


def faults(found: dict[str, Finding]) -> dict[str, str]:
    return {subject: finding.text for subject, finding in found.items() if not finding.is_ok}


def processes_with(text: str) -> list[str]:
    """Return the command lines on this machine that hold ``text``."""
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_text(errors="replace")
        except OSError:
            continue
        lines += [line] if text in line else []
    return lines


def test_nodes_like_this_machine_are_fine_and_nothing_is_left_there(
    nodes: Nodes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for host in nodes.hosts:
        furnish(nodes.home(host))
        (nodes.home(host) / "data").mkdir()
    before = {host: sorted(nodes.home(host).rglob("*")) for host in nodes.hosts}
    start = ["HSICL_DATA=~/data RAY_AUTH_MODE=disabled ray start --head"]
    path = nodes.cluster_file(head_start_ray_commands=start)
    assert hsicl.main(["doctor", "--store", str(tmp_path / "store"), "--cluster", str(path)]) == 0
    said = capsys.readouterr().out
    assert "FAIL" not in said
    for host, name in ((HEAD, f"node {HEAD} (head)"), (WORKER, f"node {WORKER}")):
        assert f"ok    {name} versions: python" in said
        assert f"ok    {name} rsync: there" in said
        assert f"ok    {name} data root: {nodes.home(host)}/data" in said
        assert f"ok    {name} clock: at most " in said
        # Python keeps its compiled files elsewhere.
        assert sorted(nodes.home(host).rglob("*")) == before[host]


def test_other_versions_are_told_with_both_values(nodes: Nodes) -> None:
    furnish(nodes.home(HEAD), has_torch=False)
    furnish(nodes.home(WORKER), has_torch=False)
    fake = nodes.home(WORKER) / "stub" / "torch-9.9.9.dist-info"
    fake.mkdir()
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.9.9\n")
    script = nodes.home(WORKER) / "bin" / "ray"
    script.write_text("#!/bin/sh\necho ray, version 1.2.3\n")
    wrong = faults(examined(nodes.cluster_file()))
    assert wrong.keys() == {f"node {WORKER} versions", f"node {WORKER} ray"}
    assert wrong[f"node {WORKER} versions"].startswith("torch 9.9.9 where the head has 2.")
    assert f"the command is 1.2.3 ({script})" in wrong[f"node {WORKER} ray"]


def test_missing_commands_are_told_with_the_shell_that_misses_them(nodes: Nodes) -> None:
    (nodes.home(HEAD) / "plain" / "rsync").unlink()
    furnish(nodes.home(WORKER), commands=("ray",))
    (nodes.home(WORKER) / "bin" / "python").write_text("#!/bin/sh\necho no module named encodings >&2; exit 1\n")
    (nodes.home(WORKER) / "bin" / "python").chmod(0o755)
    wrong = faults(examined(nodes.cluster_file()))
    assert wrong.keys() == {
        f"node {HEAD} (head) rsync", f"node {HEAD} (head) python", f"node {HEAD} (head) ray", f"node {WORKER} python",
    }  # fmt: skip
    assert "plain ssh command" in wrong[f"node {HEAD} (head) rsync"]
    assert "bash --login -c -i" in wrong[f"node {HEAD} (head) ray"]
    assert "no module named encodings" in wrong[f"node {WORKER} python"]


def test_what_ray_up_is_to_install_is_no_fault_before_it(nodes: Nodes) -> None:
    path = nodes.cluster_file(setup_commands=["pip install '.[cluster]'"])
    before = examined(path)
    assert faults(before) == {}
    assert "has not set the head up" in before[f"node {WORKER} versions"].text
    (nodes.home(HEAD) / "ray_bootstrap_config.yaml").touch()
    assert f"node {WORKER} python" in faults(examined(path))


def test_a_key_that_is_refused_is_told_with_the_remedy(nodes: Nodes) -> None:
    auth = nodes.cluster()["auth"] | {"ssh_private_key": str(nodes.folder / "stranger")}
    wrong = faults(examined(nodes.cluster_file(auth=auth)))
    assert wrong.keys() == {f"node {HEAD} (head) ssh", f"node {WORKER} ssh"}
    assert "Permission denied" in wrong[f"node {WORKER} ssh"]
    assert "~/.ssh/authorized_keys of root" in wrong[f"node {WORKER} ssh"]


@pytest.mark.parametrize(("mode", "reason"), [(None, "is not there"), (0o644, "chmod 600")])
def test_a_key_that_cannot_be_used_is_told_before_any_node_is_asked(
    nodes: Nodes, tmp_path: Path, mode: int | None, reason: str
) -> None:
    key = tmp_path / "key"
    if mode is not None:
        shutil.copy(nodes.folder / "user", key)
        key.chmod(mode)
    found = examined(nodes.cluster_file(auth=nodes.cluster()["auth"] | {"ssh_private_key": str(key)}))
    assert reason in faults(found)["ssh key"]
    assert not [subject for subject in found if subject.startswith("node")]


def test_a_node_that_is_not_there_is_a_fault_unless_the_head_reaches_it(nodes: Nodes) -> None:
    furnish(nodes.home(HEAD), has_torch=False)
    provider = {"type": "local", "head_ip": HEAD, "worker_ips": ["127.0.0.9"]}
    wrong = faults(examined(nodes.cluster_file(provider=provider)))
    assert wrong.keys() == {"node 127.0.0.9 ssh"}
    assert "see that the machine is up" in wrong["node 127.0.0.9 ssh"]
    # This proxy goes to the head alone, which reaches the worker.
    relay = nodes.cluster()["auth"]["ssh_proxy_command"]
    to_head = relay.replace("bash -c '", f"bash -c 'test %h = {HEAD} || exit 1; ")
    auth = nodes.cluster()["auth"] | {"ssh_proxy_command": to_head}
    found = examined(nodes.cluster_file(auth=auth))
    assert faults(found) == {}
    assert found[f"node {WORKER} ssh"].is_note


def test_a_worker_that_the_head_cannot_reach_is_a_fault(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_nodes, "_SSH_PORT", 1)
    for host in nodes.hosts:
        furnish(nodes.home(host), has_torch=False)
    assert faults(examined(nodes.cluster_file())).keys() == {f"node {WORKER} from the head"}


@pytest.mark.parametrize("hangs", ["login file", "proxy"])
def test_a_node_that_hangs_is_given_up_and_left_alone(nodes: Nodes, tmp_path: Path, hangs: str) -> None:
    auth: dict[str, Any] = nodes.cluster()["auth"]
    if hangs == "login file":
        (nodes.home(WORKER) / ".bashrc").write_text("case $- in *i*) sleep 60 ;; esac\n")
    else:
        auth["ssh_proxy_command"] = "sleep 60"
    began = time.monotonic()
    replies = ask_all([WORKER], auth, exports=f": {tmp_path}", connect_to=[], timeout_s=2)
    assert replies[WORKER].error == "no answer within 2 s"
    assert time.monotonic() - began < 10
    deadline = time.monotonic() + 10
    while processes_with(str(tmp_path)):
        assert time.monotonic() < deadline, "the question outlives its answer"
        time.sleep(0.1)


def test_the_token_of_a_running_cluster_is_compared(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "auth_token"
    token.write_text("secret")
    token.chmod(0o600)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    for host in nodes.hosts:
        furnish(nodes.home(host), has_torch=False)
    (nodes.home(HEAD) / "ray_bootstrap_config.yaml").touch()
    (nodes.home(HEAD) / ".ray").mkdir()
    (nodes.home(HEAD) / ".ray" / "auth_token").write_text("secret\n")
    path = nodes.cluster_file(
        file_mounts={"~/.ray/auth_token": str(token)},
        head_start_ray_commands=["RAY_AUTH_MODE=token ray start --head"],
        worker_start_ray_commands=["RAY_AUTH_MODE=token ray start --address=$RAY_HEAD_IP:6379"],
    )
    found = examined(path)
    assert "the same as this machine's; its mode is 644" in found[f"node {HEAD} (head) token"].text
    assert faults(found).keys() == {f"node {WORKER} token"}
    assert "secret" not in "".join(map(str, found.values()))
    assert yaml.safe_load(path.read_text())["file_mounts"]
