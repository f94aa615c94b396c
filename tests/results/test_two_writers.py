"""Two processes write overlapping trials into one store while a third reads: no row lost, none torn, none twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from results import RunRecord, open_store
from results.compact import compact
from results.verify import verify

ROOT = Path(__file__).resolve().parents[2]
N_TRIALS = 20
# Each writer marks its rows in two columns: a row mixed of both would show it.
WRITER = f"""
import sys
from results import open_store
from tests.record_factory import make_record
store, mark = open_store(sys.argv[1]), int(sys.argv[2])
for _ in range(2):
    for seed in range({N_TRIALS})[::mark]:
        store.write(make_record(seed=seed, host=str(mark), diagnostics={{"purity": float(mark)}}))
"""


def test_overlapping_writers_and_a_reader(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), mark], cwd=ROOT, stderr=subprocess.PIPE)
        for mark in ("1", "-1")
    ]
    store, n_before, n_looks = open_store(tmp_path), 0, 0
    try:
        while any(writer.poll() is None for writer in writers):
            rows = store.read().to_pylist()
            assert len(rows) >= n_before
            assert len({row["trial_id"] for row in rows}) == len(rows)
            assert all(dict(row["diagnostics"]) == {"purity": float(row["host"])} for row in rows)
            n_before, n_looks = len(rows), n_looks + 1
            if n_looks % 3 == 0:
                compact(store)
    finally:
        for writer in writers:
            writer.kill()
    ends = [(writer.wait(), writer.stderr.read()) for writer in writers]
    for writer in writers:
        writer.stderr.close()
    assert ends == [(0, b""), (0, b"")]
    records = [RunRecord.from_row(row) for row in store.read().to_pylist()]
    assert sorted(record.seed for record in records) == list(range(N_TRIALS))
    # What was compacted in between may be the other writer's row, which verify tells.
    compact(store)
    assert verify(store).n_wrong == N_TRIALS  # The factory's validation matrix counts 200 pixels, not n_val.
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
