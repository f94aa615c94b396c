"""The README's tables are those of the released rows."""

import pytest

from report import readme


def test_the_tables_are_current(monkeypatch, pytestconfig):
    monkeypatch.chdir(pytestconfig.rootpath)
    assert readme.main(["--check"]) == 0


def test_an_edited_table_is_noticed_and_written_anew(tmp_path, monkeypatch, pytestconfig):
    text = (pytestconfig.rootpath / "README.md").read_text(encoding="utf-8")
    edited = tmp_path / "README.md"
    edited.write_text(text.replace("| nt_xent |", "| nt_xent_edited |", 1), encoding="utf-8")
    monkeypatch.setattr(readme, "README", edited)
    monkeypatch.chdir(pytestconfig.rootpath)
    assert readme.main(["--check"]) == 1
    assert readme.main([]) == 0
    assert edited.read_text(encoding="utf-8") == text


def test_a_readme_without_markers_is_refused():
    with pytest.raises(ValueError, match="once each"):
        readme.with_tables("no markers here", "table")
