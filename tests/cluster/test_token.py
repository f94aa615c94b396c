"""A cluster of the committed file admits who has the token, and nobody else: neither a machine nor a driver."""

from __future__ import annotations

import pytest

from tests.cluster.launching import n_rows, wait_until, with_packages
from tests.cluster.nodes import Network, missing_for_nodes

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(missing_for_nodes()), reason=missing_for_nodes()),
]

JOIN = "ray start --address=10.77.0.11:6379"
COUNT = (
    "import ray; ray.init('auto', logging_level='ERROR'); print(sum(node['Alive'] for node in ray.nodes()), 'alive')"
)
WITHOUT_TOKEN = {
    "no mode": {"RAY_AUTH_MODE": "disabled"},
    "no token": {"RAY_AUTH_MODE": "token"},
    "another token": {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64},
}


@pytest.mark.parametrize("lacking", WITHOUT_TOKEN)
def test_a_machine_without_the_token_is_refused(machines: Network, lacking: str) -> None:
    told = machines["stranger"].run(JOIN, environment=with_packages(**WITHOUT_TOKEN[lacking]), status=1)
    assert "Ray runtime started" not in told
    assert "InvalidAuthToken" in told or "no authentication token was found" in told


@pytest.mark.parametrize("lacking", ["no mode", "another token"])
def test_a_driver_without_the_token_is_refused_in_one_line(machines: Network, lacking: str) -> None:
    """On the head itself, by somebody with an account there."""
    variables = with_packages(**WITHOUT_TOKEN[lacking])
    command = "python hsicl/hsicl.py sweep smoke --address 10.77.0.11:6379 --store runs/refused"
    told = machines["head"].run(command, environment=variables, status=2)
    assert "Traceback" not in told
    assert len([line for line in told.splitlines() if line.startswith("hsicl:")]) == 1
    assert n_rows(machines["head"].path("runs/refused")) == 0


def test_a_machine_with_the_token_joins(machines: Network) -> None:
    token = machines["laptop"].path(".ray/auth_token").read_text()
    told = machines["stranger"].run(JOIN, environment=with_packages(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token))
    assert "Ray runtime started" in told

    def alive() -> str:
        return machines["head"].run(f'python -c "{COUNT}"', environment=with_packages(RAY_AUTH_MODE="token"))

    wait_until(lambda: "3 alive" in alive(), 60, alive)


def test_the_token_is_for_its_owner_only(machines: Network) -> None:
    for name in ("head", "worker"):
        assert machines[name].path(".ray/auth_token").stat().st_mode & 0o777 == 0o600
