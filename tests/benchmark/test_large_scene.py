"""A cube five times as large as memory goes from its file to a map: 20 GB in 4 GiB, or ``HSICL_LARGE_GB`` of them.

Needs root, for the limit, and about three times the cube's size on the disk of the temporary folder.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.test_architecture import ROOT

GIGABYTES = float(os.environ.get("HSICL_LARGE_GB", "20"))
LIMIT = 4 * 2**30
BANDS = 200
# Where control groups of memory may be made, and the file of a group that holds its limit.
GROUPS = ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max"))


@pytest.fixture
def group() -> Iterator[Path]:
    """Make a control group with the limit; the page cache counts too."""
    for parent, name in GROUPS:
        folder = parent / f"hsicl-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / name).exists():
            (folder / name).write_text(str(LIMIT))
            yield folder
            folder.rmdir()
            return
        folder.rmdir()
    pytest.skip("no control group of memory can be made: run as root")


@pytest.mark.slow
def test_a_cube_larger_than_memory_goes_from_its_file_to_a_map(group: Path, tmp_path: Path) -> None:
    side = int(math.sqrt(GIGABYTES * 1e9 / (4 * BANDS)))
    if shutil.disk_usage(tmp_path).free < 3.2 * GIGABYTES * 1e9:
        pytest.skip(f"{tmp_path} has not {3.2 * GIGABYTES:g} GB free")
    files, root, picture = tmp_path / "files", tmp_path / "root", tmp_path / "map.png"

    def run(*arguments: object) -> None:
        enter = f'echo $$ > {group}/cgroup.procs; exec "$@"'
        subprocess.run(
            ["bash", "-c", enter, "bash", sys.executable, ROOT / "hsicl.py", *map(str, arguments)],
            cwd=tmp_path, check=True, env={**os.environ, "HSICL_DATA": str(root), "TMPDIR": str(tmp_path)},
        )  # fmt: skip

    recipe = ("--height", side, "--width", side, "--classes", 8, "--region", 40, "--labelled", 0.7, "--snr", 20)
    run("scenes", "synthesize", "large", *recipe, "--mixing", 0.3, "--seed", 1, "--files", files)
    assert (files / "cube.npy").stat().st_size >= 0.99 * GIGABYTES * 1e9
    run("scenes", "import", "large", "--cube", files / "cube.npy", "--labels", files / "labels.npy", "--unlabelled", -1)
    labels = np.load(files / "labels.npy")
    shutil.rmtree(files)
    run("map", "large", "--method", "mined_negatives", "--set", "steps=150", "--out", picture, "--data", "map.tif")
    assert picture.stat().st_size > 0
    # Ids start at 1. Ten labels of each of eight classes, noise and mixtures: far from perfect, and from chance.
    found = tifffile.imread(tmp_path / "map.tif").astype(np.int64) - 1
    assert found.shape == labels.shape
    assert (found == labels)[labels >= 0].mean() > 0.5
