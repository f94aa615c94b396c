"""One running cluster for the tests that leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.launching import launched
from tests.cluster.nodes import Network


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Laptop, head and worker of a cluster of the committed file, and a machine that is no part of it."""
    with launched(tmp_path_factory.mktemp("cluster")) as machines:
        machines.add("stranger", 13)
        yield machines
