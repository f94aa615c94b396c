"""What ``hsicl scenes list`` and ``show`` print, with and without the files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

import hsicl
from benchmark import scenes_readme
from benchmark.importing.scene_import import import_scene
from benchmark.registries import SCENES
from benchmark.scene_list import scenes_here, show_scene
from benchmark.scenes.base import data_root
from tests.scene_factory import tiny_scene


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HSICL_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    assert hsicl.main(["scenes", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    return {line.split()[0]: line.split() for line in lines[2:]}


def test_the_list_says_what_is_here(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = listed(capsys)
    assert set(rows) == set(SCENES.names())
    assert rows["pavia_centre"][1:10] == ["missing", "1096", "x", "715", "x", "102", "9", "148152", "ROSIS"]
    assert rows["pavia_centre"][10:] == ["Pavia", "Centre"]
    assert rows["salinas_a"][1] == "missing"
    for name in ("SalinasA_corrected.mat", "SalinasA_gt.mat"):
        (root / "any" / "where").mkdir(parents=True, exist_ok=True)
        (root / "any" / "where" / name.upper()).write_bytes(b"x")
    assert listed(capsys)["salinas_a"][1] == "here"
    assert "salinas_a" in scenes_here()
    (root / "other").mkdir()
    (root / "other" / "SalinasA_gt.mat").write_bytes(b"another")
    assert listed(capsys)["salinas_a"][1] == "unclear"
    assert "UNCLEAR" in show_scene("salinas_a")
    assert "salinas_a" not in scenes_here()


def test_imported_scenes_are_listed_even_where_their_card_is_damaged(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(root / "c.npy", tiny_scene().cube)
    np.save(root / "l.npy", tiny_scene().labels + 1)
    import_scene("mine", root / "c.npy", root / "l.npy")
    assert listed(capsys)["mine"] == ["mine", "here", "40", "x", "48", "x", "12", "4", "1440", "imported"]
    assert "40 x 48 pixels" in show_scene("mine")
    (root / "imported" / "mine" / "scene.json").write_text("{}")
    assert listed(capsys)["mine"][1] == "damaged"
    assert "mine" not in scenes_here()


@pytest.mark.parametrize("name", SCENES.names())
def test_a_scene_is_shown_without_its_files(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    card = SCENES.get(name)
    text = show_scene(name)
    assert text.startswith(f"{name}: {card.title}\n")
    for fact in (*card.class_names, card.credit, card.licence, card.source, card.sensor, card.bands_removed):
        assert fact in text
    for count in card.class_counts:
        assert f"{count:8d}  " in text
    assert text.count(": missing, ") >= len(card.files) + len(card.fixed_splits)
    for file in card.files.values():
        assert (file.sha256 or "no identity known" if file.git_blob is None else file.git_blob) in text
    for split in card.fixed_splits.values():
        assert split.source in text
        assert split.known_defects in text
    assert ("DERIVED" in text) == card.derived_labels
    assert "measured:" not in text


def test_a_scene_is_shown_with_its_files(capsys: pytest.CaptureFixture[str]) -> None:
    card = SCENES.get("pavia_university_roi")
    path = card.find_file("cube")
    if path is None:
        pytest.skip("the region is not in HSICL_DATA")
    assert hsicl.main(["scenes", "show", "pavia_university_roi"]) == 0
    text = capsys.readouterr().out
    assert f"cube: here, {path}\n    the known file, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}" in text
    assert "measured:" in text
    assert text.count("    1234  Bitumen") == 1
    assert "hash: 52c92fea5dff233c" in text


def test_files_that_cannot_be_used_are_shown_with_the_reason(root: Path) -> None:
    region = Path(root / "UPavia_Subset.mat")
    region.write_bytes(b"x")
    text = show_scene("pavia_university_roi")
    assert f"NOT THE KNOWN FILE, SHA-256 {hashlib.sha256(b'x').hexdigest()}" in text
    assert f"CANNOT BE LOADED: {region}" in text
    assert SCENES.get("pavia_university_roi").files["cube"].sha256 not in text


def test_the_readme_of_the_scenes_is_up_to_date() -> None:
    assert scenes_readme.PATH.read_text(encoding="utf-8") == scenes_readme.text(), (
        "run python -m benchmark.scenes_readme"
    )
    assert str(data_root()) not in scenes_readme.text()
