"""The committed table of leakage is what the rules give on the real label maps."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmark import leakage_table
from benchmark.leakage_table import DRAWN, NAMES, PATCH_SIZES, as_csv, as_page, measured, real_map
from benchmark.split import Split, covered_share, make_split
from hsicl_core.errors import UserError

FOLDER = Path(__file__).resolve().parents[2] / leakage_table.FOLDER
ROWS = list(csv.DictReader((FOLDER / "leakage.csv").read_text(encoding="utf-8").splitlines()))


def map_of(name: str) -> leakage_table.LabelMap:
    try:
        return real_map(name)
    except UserError as error:
        pytest.skip(f"{name} is not at hand: {error}")


def row_of(name: str, split: str, patch_size: int) -> dict[str, str]:
    (row,) = (r for r in ROWS if (r["scene"], r["split"], r["patch_size"]) == (name, split, str(patch_size)))
    return row


def test_page_and_csv_hold_the_same_table() -> None:
    assert as_csv(ROWS) == (FOLDER / "leakage.csv").read_text(encoding="utf-8")
    assert as_page(ROWS) == (FOLDER / "README.md").read_text(encoding="utf-8")
    assert {row["scene"] for row in ROWS} == set(NAMES)
    n_splits = len({(row["scene"], row["split"]) for row in ROWS})
    assert n_splits == 10 * 4 + 3
    assert len(ROWS) == n_splits * len(PATCH_SIZES)
    assert "LABELS ARE DERIVED" in as_page([row for row in ROWS if row["scene"] == "jasper_ridge"])


def test_guarding_rules_leak_nothing_and_others_do() -> None:
    for row in ROWS:
        if not int(row["splits_made"]):
            assert not row["leakage"]
            continue
        guards = row["split"].startswith(("block", "buffered_random"))
        assert (float(row["leakage"]) == 0) == guards
        assert float(row["covered_share"]) <= float(row["leakage"])


@pytest.mark.parametrize(
    ("name", "split", "patch_size"),
    [
        ("indian_pines", "given", 13),
        ("indian_pines", "random 10/class", 9),
        ("indian_pines", "random 10%", 5),
        ("indian_pines", "buffered_random 10/class", 7),
        ("jasper_ridge", "block 10/class", 9),
        ("salinas_a", "buffered_random 10/class", 25),
        ("pavia_university", "given", 9),
        ("trento", "buffered_random 10/class", 13),
        ("houston_2013", "given", 25),
    ],
)
def test_some_cells_are_what_the_rules_give_today(name: str, split: str, patch_size: int) -> None:
    assert measured(name, map_of(name), split, patch_size) == row_of(name, split, patch_size)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_all_cells_are_what_the_rules_give_today(name: str) -> None:
    labels = map_of(name)
    found = [measured(name, labels, split, patch_size) for split in labels.splits for patch_size in PATCH_SIZES]
    assert found == [row for row in ROWS if row["scene"] == name]


# Measured elsewhere, with other draws; the share of test pixels with a training pixel inside their patch.
@pytest.mark.parametrize(
    ("name", "split", "known"),
    [
        ("indian_pines", "random 10%", (0.876, 0.996, 1.000)),
        ("pavia_university", "random 10%", (0.841, 0.974, 0.992)),
        ("indian_pines", "random 10/class", (0.218, 0.510, 0.735)),
        ("pavia_university", "random 10/class", (0.034, 0.087, 0.147)),
    ],
)
def test_the_table_agrees_with_another_one(name: str, split: str, known: tuple[float, ...]) -> None:
    ours = [float(row_of(name, split, patch_size)["covered_share"]) for patch_size in (5, 9, 13)]
    assert ours == pytest.approx(known, abs=0.02)


@pytest.mark.parametrize(
    ("name", "known"), [("pavia_university", (0.067, 0.136, 0.210)), ("houston_2013", (0.030, 0.108, 0.192))]
)
def test_published_splits_leak_as_measured_elsewhere(name: str, known: tuple[float, ...]) -> None:
    labels = map_of(name)
    shape = labels.labels.shape
    for patch_size, share in zip((5, 9, 13), known, strict=True):
        split = make_split(labels.labels, patch_size=patch_size, **labels.splits["given"])
        # All pixels of the training mask, those that the label map leaves unlabelled too; none of them validates.
        whole = Split(np.flatnonzero(labels.masks["train_mask"]), split.val[:0], split.test, "given", patch_size)
        assert covered_share(whole, shape) == pytest.approx(share, abs=6e-4)
        assert covered_share(split, shape) < covered_share(whole, shape)


def test_command_writes_page_and_csv_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = map_of("jasper_ridge")
    monkeypatch.setattr(leakage_table, "NAMES", ("jasper_ridge",))
    monkeypatch.setattr(leakage_table, "PATCH_SIZES", (5,))
    monkeypatch.setattr(leakage_table, "DRAWN", {"random 10%": DRAWN["random 10%"]})
    assert leakage_table.main([str(tmp_path / "out")]) == 0
    rows = [measured("jasper_ridge", labels, "random 10%", 5)]
    assert (tmp_path / "out" / "leakage.csv").read_text(encoding="utf-8") == as_csv(rows)
    assert (tmp_path / "out" / "README.md").read_text(encoding="utf-8") == as_page(rows)

    monkeypatch.setenv("HSICL_DATA", str(tmp_path))
    assert leakage_table.main([str(tmp_path / "none")]) == 2
    assert "leakage_table: scene 'jasper_ridge' needs" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
