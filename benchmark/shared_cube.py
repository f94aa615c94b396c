"""One copy of a scene's cube for all processes of a machine: a file that each maps for itself, copy on write.

What several workers read is in memory once, and what one of them writes by mistake stays its own. The file is in the
folder of ``benchmark.node_cache``; without one, every process makes a copy of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from benchmark.node_cache import folder_in_use, write_whole
from benchmark.scene import Scene
from hsicl_core.rows import ArrayRows, Rows, in_memory, resident_limit, row_blocks


def cube_of(scene: Scene, device: torch.device) -> Rows:
    """Return the scene's cube as float32 on ``device``: a copy, except above ``hsicl_core.rows.resident_limit``.

    Args:
        scene: the scene.
        device: where to compute. Only on the CPU is anything shared.
    """
    rows = ArrayRows(scene.cube, device)
    n_bytes = 4 * scene.cube.size
    folder = folder_in_use()
    if folder is None or device.type != "cpu" or n_bytes > resident_limit():
        return in_memory(rows)
    try:
        path = _written(rows, folder / f"{scene.hash}.float32", n_bytes)
        # Private: what this process writes, no other one sees.
        mapped = torch.from_file(str(path), shared=False, size=scene.cube.size, dtype=torch.float32)
    except (OSError, RuntimeError):
        # No room, or no right to it: a copy of one's own serves as well.
        return in_memory(rows)
    return mapped.reshape(scene.cube.shape)


def _written(rows: ArrayRows, path: Path, n_bytes: int) -> Path:
    """Return ``path``, written if it is not there."""

    def write(stream: BinaryIO) -> None:
        for block in row_blocks(rows):
            np.asarray(rows[block]).tofile(stream)

    if not path.exists() or path.stat().st_size != n_bytes:
        write_whole(path, write)
    return path
