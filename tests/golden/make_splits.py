"""Prints digests of splits, one a line, as JSON: the expected ones are in splits.json.

    python tests/golden/make_splits.py > tests/golden/splits.json

A split that changes changes every published number on it: the file is made anew only together with BENCHMARK_VERSION,
or for new cases. The maps are made here or come with a Python package, so that every platform compares all of them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from benchmark.registries import SCENES  # noqa: E402
from benchmark.split import Split, make_split  # noqa: E402
from tests.scene_factory import tiny_labels  # noqa: E402


def speckled() -> NDArray[np.int64]:
    """Fields with holes and strays by arithmetic alone, one class a rare one."""
    rows, columns = np.mgrid[:90, :110]
    labels = (rows // 23 + columns // 19) % 5
    noise = (rows * 7919 + columns * 104729 + rows * columns * 31) % 97
    labels[noise < 12] = -1
    labels[(noise >= 12) & (noise < 15)] = 2
    labels[(labels == 4) & (rows > 40)] = -1
    return labels


def digest(split: Split) -> str:
    """Return 16 hex digits over the pixels of the parts and the classes left out."""
    sha = hashlib.sha256()
    for part in (split.train, split.val, split.test):
        sha.update(np.ascontiguousarray(part, dtype="<i8").tobytes() + b"|")
    sha.update(json.dumps([sorted(split.unsupported), sorted(split.unvalidated), split.dropped]).encode())
    return sha.hexdigest()[:16]


def digests() -> dict[str, str]:
    """Return the digest of every case by its description."""
    found = {}
    maps = {
        "tiny": tiny_labels(80, 96),
        "speckled": speckled(),
        "indian_pines": SCENES.get("indian_pines").load().labels,
    }
    budgets: tuple[dict[str, Any], ...] = ({"labels_per_class": 5}, {"labels_percent": 2.5})
    for (name, labels), rule, budget, patch_size, index in itertools.product(
        maps.items(), ("random", "buffered_random", "block"), budgets, (5, 9), (0, 1)
    ):
        case = {"rule": rule, **budget, "patch_size": patch_size, "index": index}
        found[f"{name} {json.dumps(case)}"] = digest(make_split(labels, **case))
    masks = {"train_mask": speckled() % 3 == 1, "test_mask": speckled() % 3 == 0}
    for index in (0, 1):
        split = make_split(np.roll(speckled(), 5, axis=1), "given", patch_size=5, index=index, **masks)
        found[f"speckled given {index}"] = digest(split)
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(digests(), indent=0) + "\n")
