"""Makes the golden store and the leaderboard expected of it.

    python tests/golden/make_store.py

Run it after a deliberate change of the schema or the leaderboard's form, and read the difference before committing it.
All numbers are invented. The rows hold a failed trial, a diverged one, a withheld entrant, a tie, a bound, a search
row, a group with one seed, and two scenes of one kind of split with paired repeats, tuned by a search.

The folders schema_vN hold files of earlier schema versions as they were written; no script makes them again.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from results import RunRecord  # noqa: E402
from tests.record_factory import make_record  # noqa: E402


def golden_records() -> list[RunRecord]:
    """Return the records of the golden store."""
    records = []
    for split, seed in itertools.product(range(3), range(2)):
        # Split 2 is hard, seed 1 is good; the same for all methods.
        shift = {"split_index": split, "seed": seed}
        level = -0.04 * (split == 2) + 0.02 * (seed == 1)
        for fraction, temperature in itertools.product((0.0, 0.5), (0.1, 0.5)):
            gain = 0.05 * (fraction == 0.5) - 0.02 * (temperature == 0.5) + 0.01 * (split == seed)
            failed = {}
            if (fraction, temperature, split, seed) == (0.5, 0.5, 1, 1):
                failed = {"status": "diverged", "error_type": "NonFiniteLoss", "error": "loss is nan at step 7"}
            params = {"hard_fraction": fraction, "temperature": temperature}
            scores = {"test_oa": 0.60 + level + gain, "val_oa": 0.62 + gain}
            records.append(make_record(method="mined_negatives", params=params, **scores, **shift, **failed))
        for temperature in (0.1, 0.5):
            plain = 0.57 + level - 0.01 * (temperature == 0.5)
            params = {"temperature": temperature}
            records.append(make_record(method="nt_xent", params=params, test_oa=plain, val_oa=0.58, **shift))
            oracle = {"method": "oracle_negatives", "kind": "bound", "sees_labels": "all", "params": params}
            records.append(make_record(test_oa=plain + 0.12 + 0.01 * (split == 1), val_oa=0.7, **oracle, **shift))
        for method in ("tied_one", "tied_two"):
            records.append(make_record(method=method, test_oa=0.5 + level, val_oa=0.5, **shift))
        broken = {"status": "failed", "error_type": "MemoryError", "error": "out of memory"} if seed == split else {}
        records.append(make_record(method="withheld_one", test_oa=0.9, val_oa=0.9, **shift, **broken))
    for split in range(3):
        one_seed = {"scene": "other_scene", "scene_hash": "fedcba9876543210", "split_index": split}
        spectra = {
            "method": "raw_spectra",
            "protocol": "svm",
            "kind": None,
            "transductive": False,
            "n_parameters": None,
        }
        records.append(make_record(test_oa=0.40 + 0.1 * split, val_oa=0.5, **spectra, **one_seed))
    for scene, repeat in itertools.product(("scene_a", "scene_b"), range(3)):
        # As hsicl bench runs them: every repeat has a split and a seed of its own.
        paired = {"scene": scene, "scene_hash": scene[-1] * 16, "split_rule": "random", "split_index": repeat}
        paired |= {"seed": repeat}
        level = 0.7 + 0.1 * (scene == "scene_b") + 0.02 * repeat
        records.append(make_record(method="nt_xent", test_oa=level, val_oa=0.7, **paired))
        records.append(make_record(method="mined_negatives", kind="ours", test_oa=level + 0.05, val_oa=0.8, **paired))
        spectra = {"method": "raw_spectra", "protocol": "svm", "kind": "classical", "n_parameters": 0}
        records.append(make_record(test_oa=level - 0.04 + 0.05 * (repeat == 1), val_oa=0.6, **spectra, **paired))
        if scene == "scene_a":
            records.append(make_record(method="on_one_scene", test_oa=0.9, val_oa=0.9, **paired))
    tuned = {**paired, "scene": "scene_a", "scene_hash": "a" * 16, "split_index": 999, "seed": 999, "purpose": "search"}
    records.append(make_record(method="nt_xent", params={"temperature": 0.2}, confusion_test=None, **tuned))
    records.append(make_record(purpose="search", method="mined_negatives", val_oa=0.99, confusion_test=None))
    return records


def golden_table() -> pa.Table:
    """Return the rows of the golden store."""
    return pa.concat_tables([record.to_table() for record in golden_records()]).sort_by("trial_id")


def expected_leaderboard(store: Path) -> str:
    """Return the Markdown leaderboard of a store."""
    from report.groups import build_groups
    from report.leaderboard import build_leaderboard
    from report.overall import build_overall
    from report.rows import read_rows
    from report.tables import render_markdown

    rows = read_rows(str(store))
    boards = [build_leaderboard(group) for group in build_groups(rows)]
    return render_markdown(boards, rows, build_overall(boards))


if __name__ == "__main__":
    (HERE / "store").mkdir(exist_ok=True)
    pq.write_table(golden_table(), HERE / "store" / "trials.parquet", compression="zstd")
    (HERE / "LEADERBOARD.md").write_text(expected_leaderboard(HERE / "store"))
