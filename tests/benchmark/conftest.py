"""The entry points of the entrants of this folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmark.entrants import ENTRY_POINTS


@pytest.fixture(scope="module")
def entrants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make the entrants known to the registries; gives the folder that does it when it is on the path."""
    folder = tmp_path_factory.mktemp("entrants")
    info = folder / "hsicl_entrants-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hsicl-entrants\nVersion: 0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(folder), *sys.path])
        yield folder
