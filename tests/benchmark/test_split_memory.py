"""What the rules hold in memory, in bytes a pixel: a map of 5000 x 5000 pixels must fit beside its scene."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from benchmark.split import make_split
from benchmark.splits import _windows

RULES = ("random", "buffered_random", "block")


def fields(side: int, field: int) -> np.ndarray:
    """Ten classes in square fields over the whole map, a sixteenth of it unlabelled."""
    rows, columns = np.mgrid[: side // field, : side // field]
    classes = (rows * 3 + columns * 7 + rows * columns) % 10
    classes[(rows + columns) % 16 == 0] = -1
    return np.kron(classes, np.ones((field, field), dtype=np.int64))


@pytest.mark.parametrize("rule", RULES)
def test_rules_need_less_than_28_bytes_a_pixel(rule: str) -> None:
    labels = fields(1000, 25)
    tracemalloc.start()
    try:
        make_split(labels, rule, patch_size=13)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 28 * labels.size, f"{peak / labels.size:.0f} bytes a pixel"


@pytest.mark.parametrize("labels_per_class", [1, 10])
def test_bands_change_nothing(labels_per_class: int, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = fields(200, 20)
    expected = make_split(labels, "block", labels_per_class, patch_size=9)
    monkeypatch.setattr(_windows, "BAND", 1000)
    found = make_split(labels, "block", labels_per_class, patch_size=9)
    for part in ("train", "val", "test"):
        assert np.array_equal(getattr(found, part), getattr(expected, part))


ON_A_LARGE_MAP = """
import resource, sys
from benchmark.split import leakage, make_split
from tests.benchmark.test_split_memory import fields
labels = fields(5000, 50)
split = make_split(labels, sys.argv[1], patch_size=13)
print(leakage(split, labels.shape), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
@pytest.mark.parametrize("rule", RULES)
def test_rules_split_25_million_pixels_below_2_gib_and_in_minutes(rule: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_A_LARGE_MAP, rule], capture_output=True, text=True, timeout=600, check=True,
        env={**os.environ, "PYTHONPATH": "."},
    )  # fmt: skip
    leaked, peak_gib = map(float, done.stdout.split())
    assert peak_gib < 2
    assert (leaked > 0) == (rule == "random")
