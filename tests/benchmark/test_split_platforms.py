"""The same splits in every process and on every platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def test_splits_are_the_golden_ones_in_a_fresh_process_with_another_hash_seed() -> None:
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    done = subprocess.run(
        [sys.executable, str(GOLDEN / "make_splits.py")], capture_output=True, text=True, timeout=300, check=True,
        env={**os.environ, "PYTHONHASHSEED": other},
    )  # fmt: skip
    found, expected = json.loads(done.stdout), json.loads((GOLDEN / "splits.json").read_text(encoding="utf-8"))
    assert len(expected) > 70
    assert {case: found.get(case) for case in expected} == expected
    assert set(found) == set(expected)
