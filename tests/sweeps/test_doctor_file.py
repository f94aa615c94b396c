"""Doctor judges a cluster file and the machine that types ``ray up`` before any node is asked."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

import hsicl
from benchmark import InvalidValueError
from sweeps.doctor import Finding, examine_cluster, file_nodes
from sweeps.doctor.authentication import assignments, file_findings
from sweeps.doctor.cluster_file import LAUNCHER_SETTING

TOKEN_START = "RAY_AUTH_MODE=token ray start --head"
ON_PREMISE: dict[str, Any] = {
    "cluster_name": "lab",
    "provider": {"type": "local", "head_ip": "192.0.2.1", "worker_ips": ["192.0.2.2"]},
    "auth": {"ssh_user": "me"},
    "head_start_ray_commands": ["ray stop", TOKEN_START],
    "worker_start_ray_commands": ["ray stop", "RAY_AUTH_MODE=token ray start --address=$RAY_HEAD_IP:6379"],
}


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """No node is asked; whether one would have been is kept. This machine is as it should be."""
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(file_nodes, "examine_nodes", lambda cluster: asked.append(cluster) or iter(()))
    monkeypatch.setenv(LAUNCHER_SETTING, "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    return asked


def with_token(folder: Path, mode: int = 0o600) -> dict[str, Any]:
    """Return a sound cluster file whose token lies in ``folder``."""
    token = folder / "auth_token"
    token.write_text("secret")
    token.chmod(mode)
    return copy.deepcopy(ON_PREMISE) | {"file_mounts": {"~/.ray/auth_token": str(token)}}


def examined(cluster: Any, folder: Path) -> dict[str, Finding]:
    path = folder / "cluster.yaml"
    path.write_text(cluster if isinstance(cluster, str) else yaml.safe_dump(cluster))
    findings = list(examine_cluster(str(path), "unused"))
    assert all("\n" not in str(finding) for finding in findings)
    return {finding.subject.replace(str(path), "FILE"): finding for finding in findings}


def faults(found: dict[str, Finding]) -> dict[str, str]:
    return {subject: finding.text for subject, finding in found.items() if not finding.is_ok}


def test_a_sound_file_has_no_fault_and_its_nodes_are_asked(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    found = examined(with_token(tmp_path), tmp_path)
    assert faults(found) == {}
    assert found["token"].text == f"{tmp_path}/auth_token, mode 600, is sent to every node"
    assert [cluster["provider"]["worker_ips"] for cluster in asked] == [["192.0.2.2"]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"provider": {"type": "local", "head_ip": "192.0.2.1"}}, "write 'worker_ips: []'"),
        ({"provider": {"type": "local", "head_ip": "192.0.2.1", "worker_ips": "192.0.2.2"}}, "must be a list"),
        ({"provider": {"type": "local", "worker_ips": []}}, "provider.head_ip is missing"),
        ({"provider": {"type": "moon"}}, "Unsupported node provider: moon"),
        ({"provider": "local"}, "Ray refuses it"),
        ({"provider": None}, "Ray refuses it"),
        ({"auth": {}}, "auth.ssh_user is missing"),
        ({"auth": {"ssh_user": 7}}, "auth.ssh_user: 7 is not of type 'string'"),
        ({"woker_setup_commands": []}, "'woker_setup_commands' was unexpected"),
        ({"setup_commands": "pip install ."}, "Ray refuses it"),
        ({"file_mounts": ["~/.ray"]}, "file_mounts: ['~/.ray'] is not of type 'object'"),
        ({"max_workers": -1}, "Ray refuses it"),
    ],
)
def test_a_file_that_ray_would_refuse_is_one_fault_and_no_node_is_asked(
    change: dict[str, Any], reason: str, tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    found = examined(ON_PREMISE | change, tmp_path)
    assert faults(found).keys() == {"cluster file FILE"}
    assert reason in found["cluster file FILE"].text
    assert asked == []


@pytest.mark.parametrize("text", [None, "a: [", "- a\n- b\n", "", "\x00"])
def test_what_is_no_cluster_file_ends_with_status_2(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    if text is not None:
        path.write_text(text)
    assert hsicl.main(["doctor", "--store", str(tmp_path / "store"), "--cluster", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"hsicl: --cluster {path}: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("target", ["cluster", "10.0.0.1", ":6379", "10.0.0.1:ray", ""])
def test_a_target_that_is_neither_file_nor_address_is_refused(target: str) -> None:
    with pytest.raises(InvalidValueError, match="give a cluster file"):
        examine_cluster(target, "unused")


@pytest.mark.parametrize("value", [None, "1"])
def test_the_autoscaler_that_never_starts_workers_is_a_fault(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv(LAUNCHER_SETTING)
    else:
        monkeypatch.setenv(LAUNCHER_SETTING, value)
    cluster = with_token(tmp_path)
    wrong = faults(examined(cluster, tmp_path))
    assert wrong.keys() == {f"{LAUNCHER_SETTING} here"}
    assert f"type '{LAUNCHER_SETTING}=0 ray up {tmp_path}/cluster.yaml'" in wrong[f"{LAUNCHER_SETTING} here"]
    # A file that chooses the other one for the head needs no setting here, and to a head alone it is of no consequence.
    chooses = cluster | {"head_start_ray_commands": [f"export RAY_enable_autoscaler_v2=0; {TOKEN_START}"]}
    assert faults(examined(chooses, tmp_path)) == {}
    cluster["provider"]["worker_ips"] = []
    assert faults(examined(cluster, tmp_path)) == {}


def test_commands_that_are_missing_here_are_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert faults(examined(with_token(tmp_path), tmp_path)).keys() == {"ssh here", "rsync here"}


def test_a_file_to_be_sent_that_is_not_here_is_a_fault(tmp_path: Path) -> None:
    cluster = with_token(tmp_path)
    cluster["file_mounts"]["~/scenes"] = str(tmp_path / "nowhere")
    assert faults(examined(cluster, tmp_path)).keys() == {"file_mounts ~/scenes"}


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("absent", "missing or empty"),
        ("empty", "missing or empty"),
        ("open", "chmod 600"),
        ("unsent", "no file_mounts"),
    ],
)
def test_a_token_that_does_not_reach_the_nodes_or_is_no_secret_is_a_fault(
    what: str, reason: str, tmp_path: Path
) -> None:
    cluster = with_token(tmp_path, mode=0o644 if what == "open" else 0o600)
    if what == "absent":
        (tmp_path / "auth_token").unlink()
    elif what == "empty":
        (tmp_path / "auth_token").write_text("\n")
    elif what == "unsent":
        cluster["file_mounts"] = {}
    wrong = faults(examined(cluster, tmp_path))
    assert wrong.keys() == {"token"}
    assert reason in wrong["token"]


def complete(head: str, **more: list[str]) -> dict[str, Any]:
    return {"head_start_ray_commands": [head], "worker_start_ray_commands": [], "file_mounts": {}} | more


def test_the_mode_must_be_said_where_ray_is_started() -> None:
    silent = complete("ray start --head")
    (finding,) = file_findings(silent)
    assert not finding.is_ok
    assert "'RAY_AUTH_MODE=token ray start ...'" in finding.text
    # Said once for every shell of the account.
    setup = ["echo 'export RAY_AUTH_MODE=disabled' >> ~/.bashrc"]
    said = next(file_findings(silent | {"setup_commands": setup}))
    assert (said.is_note, said.text[:9]) == (True, "disabled:")
    torn = complete(TOKEN_START, worker_start_ray_commands=["RAY_AUTH_MODE=disabled ray start"])
    assert [finding.text for finding in file_findings(torn)] == ["disabled and token: say the same in every command"]


@pytest.mark.parametrize(("here", "is_ok"), [(None, True), ("token", True), ("disabled", False)])
def test_the_mode_here_is_compared_with_the_file(
    here: str | None, is_ok: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE")
    if here is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", here)
    finding = examined(with_token(tmp_path), tmp_path)["RAY_AUTH_MODE here"]
    assert (finding.is_ok, finding.is_note) == (is_ok, here is None)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("HSICL_DATA=~/data ray start", ["~/data"]),
        ("export HSICL_DATA=~/data; ray start", ["~/data"]),
        ("echo 'export HSICL_DATA=/d' >> ~/.bashrc", ["/d"]),
        ('HSICL_DATA="/with space" ray start', ['"/with space"']),
        ("MY_HSICL_DATA=/d ray start", []),
        ("ray start", []),
    ],
)
def test_assignments_are_read_as_the_shell_reads_them(line: str, values: list[str]) -> None:
    assert assignments({"head_start_ray_commands": [line]}, "HSICL_DATA") == values


@pytest.mark.parametrize("provider", ["aws", "gcp"])
def test_of_a_cloud_is_said_what_needs_no_credentials(
    provider: str, tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    place = {"aws": {"region": "us-west-2"}, "gcp": {"region": "us-west1", "project_id": None}}[provider]
    cluster = with_token(tmp_path) | {"provider": {"type": provider, **place}, "auth": {"ssh_user": "ubuntu"}}
    found = examined(cluster, tmp_path)
    assert faults(found) == {}
    assert found["nodes"].is_note
    assert f"{provider} makes them at 'ray up'" in found["nodes"].text
    assert asked == []


def test_of_a_kubernetes_object_is_said_who_checks_it(tmp_path: Path) -> None:
    found = examined({"apiVersion": "ray.io/v1", "kind": "RayJob"}, tmp_path)
    assert list(found) == ["cluster file FILE"]
    assert "a Kubernetes RayJob" in found["cluster file FILE"].text
