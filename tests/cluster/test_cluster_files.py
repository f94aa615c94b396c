"""The committed cluster files: what Ray's own schema and launcher say of them, and what they all must have.

None of the clouds was ever reached. KubeRay's schema comes in no package; its file is held against the fields and types
of the RayJob reference of KubeRay 1.7, as far as the file uses them.
"""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError

import hsicl
from tests.cluster.launching import on_premise_for_nodes
from tests.cluster.nodes import CHECKOUT

FOLDER = CHECKOUT / "sweeps/clusters"
LAUNCHED = ("on_premise", "aws", "gcp")


def loaded(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def test_all_files_are_known_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*LAUNCHED, "kuberay"}


@pytest.mark.parametrize("name", LAUNCHED)
def test_ray_accepts_the_file(name: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(loaded(name))
    validate_config(prepared)
    types = prepared["available_node_types"]
    assert prepared["head_node_type"] in types
    assert prepared["max_workers"] >= sum(node_type.get("min_workers", 0) for node_type in types.values())
    with pytest.raises(ValidationError, match="unexpected"):
        validate_config({**prepared, "unexpected": 1})


@pytest.mark.parametrize("name", LAUNCHED)
def test_every_node_has_the_package_the_token_and_an_explicit_mode(name: str) -> None:
    config = loaded(name)
    assert config["file_mounts"] == {"~/hsicl": ".", "~/.ray/auth_token": "~/.ray/auth_token"}
    assert {"/.venv", "/results/runs"} <= set(config["rsync_exclude"])
    for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
        assert commands[0] == "ray stop"
        (start,) = commands[1:]
        assert re.search(r"export [^;]*RAY_AUTH_MODE=token[^;]*;.*ray start ", start)
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in config["head_start_ray_commands"][1]
    assert "--address=$RAY_HEAD_IP:6379" in config["worker_start_ray_commands"][1]


@pytest.mark.parametrize("name", LAUNCHED)
def test_files_differ_in_their_machines_only(name: str) -> None:
    shared = ("file_mounts", "rsync_exclude", "setup_commands")
    assert {key: loaded(name)[key] for key in shared} == {key: loaded("on_premise")[key] for key in shared}


def test_the_autoscaler_that_starts_local_workers_is_chosen_by_the_file() -> None:
    start = loaded("on_premise")["head_start_ray_commands"][1]
    assert re.search(r"export [^;]*RAY_enable_autoscaler_v2=0[^;]*;.*ray start ", start)


def test_an_edit_that_no_longer_applies_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert yaml.safe_load(on_premise_for_nodes())["provider"]["head_ip"] == "10.77.0.11"
    monkeypatch.setattr("tests.cluster.launching.EDITS", {"head_ip: 9.9.9.9": ""})
    with pytest.raises(AssertionError, match=r"should have 'head_ip: 9\.9\.9\.9' once"):
        on_premise_for_nodes()


def parsed(line: str) -> argparse.Namespace:
    """Return what the front door makes of a command line that begins with its own name."""
    return hsicl._parser().parse_args(shlex.split(line))


@pytest.mark.parametrize("name", LAUNCHED)
def test_the_command_at_the_top_is_one_of_the_front_door(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    (line,) = re.findall(r"^#     ray submit (.*)$", text, re.MULTILINE)
    file, script, dashes, arguments = line.split(" ", 3)
    assert (file, script, dashes) == (f"sweeps/clusters/{name}.yaml", "hsicl.py", "--")
    assert parsed(arguments).address == "auto"


def test_aws_is_completed_by_rays_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a simulated EC2: network, security group, role and key are found for what the file says."""
    moto = pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    from ray.autoscaler._private.aws.config import bootstrap_aws
    from ray.autoscaler._private.util import prepare_config

    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    # Ray waits until a new role is known everywhere.
    monkeypatch.setattr("ray.autoscaler._private.aws.config.time.sleep", lambda seconds: None)
    config = prepare_config(loaded("aws"))
    with moto.mock_aws(config={"iam": {"load_aws_managed_policies": True}}):
        image = boto3.client("ec2", config["provider"]["region"]).describe_images()["Images"][0]["ImageId"]
        for node_type in config["available_node_types"].values():
            node_type["node_config"]["ImageId"] = image
        completed = bootstrap_aws(config)
    for node_type in completed["available_node_types"].values():
        node = node_type["node_config"]
        assert node["SubnetIds"]
        assert node["SecurityGroupIds"]
        assert node["KeyName"]
    assert completed["head_node"]["IamInstanceProfile"]


# Required fields and their types, by path; "*" is every element of a list.
KUBERAY = {
    "apiVersion": str,
    "kind": str,
    "metadata.name": str,
    "spec.entrypoint": str,
    "spec.shutdownAfterJobFinishes": bool,
    "spec.ttlSecondsAfterFinished": int,
    "spec.submissionMode": str,
    "spec.backoffLimit": int,
    "spec.rayClusterSpec.rayVersion": str,
    "spec.rayClusterSpec.enableInTreeAutoscaling": bool,
    "spec.rayClusterSpec.authOptions.mode": str,
    "spec.rayClusterSpec.authOptions.secretName": str,
    "spec.rayClusterSpec.headGroupSpec.rayStartParams": dict,
    "spec.rayClusterSpec.headGroupSpec.template.spec.containers.*.name": str,
    "spec.rayClusterSpec.headGroupSpec.template.spec.containers.*.image": str,
    "spec.rayClusterSpec.headGroupSpec.template.spec.containers.*.env.*.value": str,
    "spec.rayClusterSpec.headGroupSpec.template.spec.containers.*.volumeMounts.*.mountPath": str,
    "spec.rayClusterSpec.headGroupSpec.template.spec.volumes.*.persistentVolumeClaim.claimName": str,
    "spec.rayClusterSpec.workerGroupSpecs.*.groupName": str,
    "spec.rayClusterSpec.workerGroupSpecs.*.replicas": int,
    "spec.rayClusterSpec.workerGroupSpecs.*.minReplicas": int,
    "spec.rayClusterSpec.workerGroupSpecs.*.maxReplicas": int,
    "spec.rayClusterSpec.workerGroupSpecs.*.rayStartParams": dict,
    "spec.rayClusterSpec.workerGroupSpecs.*.template.spec.containers.*.name": str,
    "spec.rayClusterSpec.workerGroupSpecs.*.template.spec.containers.*.image": str,
    "spec.rayClusterSpec.workerGroupSpecs.*.template.spec.containers.*.env.*.value": str,
}
QUANTITY = re.compile(r"\d+(\.\d+)?([KMGT]i|[mKMGT])?")


def values_at(found: Any, path: list[str]) -> list[Any]:
    """Return the values at ``path``; a missing key is an error."""
    if not path:
        return [found]
    if path[0] == "*":
        return [value for element in found for value in values_at(element, path[1:])]
    return values_at(found[path[0]], path[1:])


def test_kuberay_has_the_fields_and_types_of_a_ray_job() -> None:
    job = loaded("kuberay")
    for path, kind in KUBERAY.items():
        values = values_at(job, path.split("."))
        assert values, path
        assert all(type(value) is kind for value in values), path
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        pod = group["template"]["spec"]
        for container in pod["containers"]:
            asked = container["resources"]
            assert asked["requests"] == asked["limits"]
            assert all(QUANTITY.fullmatch(quantity) for quantity in asked["limits"].values())
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounted <= {volume["name"] for volume in pod.get("volumes", [])}
    assert cluster["workerGroupSpecs"][0]["maxReplicas"] >= cluster["workerGroupSpecs"][0]["replicas"]


def test_kuberay_runs_the_front_door_and_the_pinned_ray() -> None:
    spec = loaded("kuberay")["spec"]
    python, script, arguments = spec["entrypoint"].split(" ", 2)
    assert (python, Path(script).name) == ("python", "hsicl.py")
    assert parsed(arguments).address == "auto"
    pinned = re.findall(r"^ray==(.*)$", (CHECKOUT / "constraints.txt").read_text(), re.MULTILINE)
    assert [spec["rayClusterSpec"]["rayVersion"]] == pinned
