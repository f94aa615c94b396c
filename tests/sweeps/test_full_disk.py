"""A full disk under the store or under Ray: one line, nothing torn, and with room the same command goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sweeps.disturbed_sweep import disturbed_sweep

pytestmark = [
    pytest.mark.ray,
    pytest.mark.campaign,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="mounts a small disk: needs root"),
]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """Mount a disk of ``size`` at ``folder``; give a function that changes its size."""
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")

    def resize(size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_store_on_a_full_disk_is_one_line_and_goes_on_with_room(tmp_path: Path) -> None:
    with disturbed_sweep(tmp_path, n_levels=8) as sweep, small_disk(sweep.store, "60k") as resize:
        ending = sweep.run()
        assert ending.status == 2, ending.text
        sweep.check_ending(ending)
        assert "No space left" in ending.errors[0]
        sweep.check_store()
        assert 0 < sweep.n_files() < sweep.n_trials
        assert {path.suffix for path in sweep.store.iterdir()} == {".parquet"}
        sweep.wait_for_processes_to_end()
        resize("10m")
        ending = sweep.run()
        assert ending.status == 0, ending.text
        sweep.check_complete()


@pytest.mark.parametrize("size", ["20k", "2m"])
def test_a_full_disk_under_rays_own_files_loses_nothing(tmp_path: Path, size: str) -> None:
    with disturbed_sweep(tmp_path, n_levels=8) as sweep, small_disk(sweep.temporary, size) as resize:
        ending = sweep.run()
        sweep.check_ending(ending)
        sweep.check_store()
        sweep.wait_for_processes_to_end()
        resize("1g")
        ending = sweep.run()
        assert ending.status == 0, ending.text
        sweep.check_complete()
        sweep.end_processes()
