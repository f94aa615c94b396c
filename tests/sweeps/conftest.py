"""The store of a test, and the entry points of the tests' own entrant and sweep."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from results import ResultStore, open_store

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def plugin_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Install the entrants ``noisy`` and ``lucky`` and the sweep ``sleepy`` here, for children and Ray's workers."""
    folder = tmp_path_factory.mktemp("plugin")
    info = folder / "hsicl_noisy-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hsicl-noisy\nVersion: 0\n")
    (info / "entry_points.txt").write_text(
        "[hsicl.methods]\nnoisy = tests.sweeps.entrants:Noisy\nlucky = tests.sweeps.lucky:Lucky\n"
        "[hsicl.sweeps]\nsleepy = tests.sweeps.sweep_factory:SLEEPY\n"
    )
    path = os.pathsep.join(filter(None, [str(folder), str(_ROOT), os.environ.get("PYTHONPATH")]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(folder), *sys.path])
        patch.setenv("PYTHONPATH", path)
        yield path


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return open_store(tmp_path / "store")
