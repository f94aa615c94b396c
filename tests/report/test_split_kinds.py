"""The same entrants under several kinds of split: scores side by side, differences paired by index and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from report.configurations import configurations_markdown
from results import open_store
from results.store import ResultStore
from tests.record_factory import make_record


def write(store: ResultStore, method: str, level: float, rule: str, *, cells: int = 4, **changes: Any) -> None:
    for index in range(cells):
        split, seed = divmod(index, 2)
        # Splits of equal index differ by the same everywhere: paired differences have no spread.
        oa = level + 0.04 * split + 0.02 * seed
        store.write(
            make_record(test_oa=oa, method=method, split_rule=rule, split_index=split, seed=seed, **changes)
        )  # fmt: skip


def table(text: str, heading: str) -> dict[tuple[str, ...], list[str]]:
    """Return scene and method -> the cells of the columns that hold numbers."""
    lines = text[text.index(heading) :].split("\n\n")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {("head", "head"): rows[0][4:], **{(row[0], row[1]): row[4:] for row in rows[2:]}}


def test_scores_and_differences_stand_side_by_side(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for rule, plain, mined in (("random", 0.80, 0.85), ("block", 0.50, 0.60)):
        leaks = {"leakage": {"random": 1.0, "block": 0.0}[rule]}
        write(store, "nt_xent", plain, rule, **leaks)
        write(store, "mined", mined, rule, **leaks)
    write(store, "nt_xent", 0.90, "random", labels_per_class=None, labels_percent=10.0)
    text = configurations_markdown(str(tmp_path))
    scores = table(text, "### What the split does")
    assert scores["head", "head"] == [
        "block split, 10 labels per class", "random split, 10 labels per class",
        "random split, 10% of every class labelled",
    ]  # fmt: skip
    # Means: level + 0.02 (half the splits) + 0.01 (half the seeds).
    assert [cell.split()[0] for cell in scores["toy_scene", "nt_xent"]] == ["53.0", "83.0", "93.0"]
    assert [cell.split()[0] for cell in scores["toy_scene", "mined"]] == ["63.0", "88.0", "-"]
    differences = table(text, "### Test OA minus that under the rule block")
    assert differences["head", "head"] == scores["head", "head"][1:]
    assert [cell.split()[0] for cell in differences["toy_scene", "nt_xent"]] == ["30.0", "-"]
    assert differences["toy_scene", "mined"][0].split()[0] == "25.0"
    # No spread is left.
    assert r"\[30.0, 30.0\]" in differences["toy_scene", "nt_xent"][0]
    assert "| toy_scene | random split, 10 labels per class | 100.0 | 200 | 2 |" in text
    assert "| toy_scene | block split, 10 labels per class | 0.0 | 200 | 2 |" in text


def test_what_has_holes_is_withheld(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for rule in ("random", "block"):
        write(store, "nt_xent", 0.5, rule)
        write(store, "mined", 0.6, rule, cells=3 if rule == "block" else 4)
    text = configurations_markdown(str(tmp_path))
    assert table(text, "### What the split does")["toy_scene", "mined"][0] == "withheld"
    assert table(text, "### Test OA minus")["toy_scene", "mined"] == ["withheld"]


def test_one_way_of_splitting_needs_no_such_table(tmp_path: Path) -> None:
    write(open_store(tmp_path), "nt_xent", 0.5, "block")
    write(open_store(tmp_path), "nt_xent", 0.5, "block", scene="other")
    assert "What the split does" not in configurations_markdown(str(tmp_path))


def test_names_from_files_stay_text(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for rule in ("random", "<b>|block"):
        write(store, "nt_xent", 0.5, rule, scene="a|b<script>")
    text = configurations_markdown(str(tmp_path))
    assert "<script>" not in text
    assert "<b>" not in text
    assert r"a\|b&lt;script&gt;" in text
