"""Doctor looks at this machine: a finding a line, a fault ends with what to do, and the exit status says which."""

from __future__ import annotations

from pathlib import Path

import pytest

import hsicl
from results import ResultStore
from sweeps.doctor import Finding, examine, machine
from sweeps.doctor.cluster_file import LAUNCHER_SETTING
from sweeps.registries import EXECUTORS


def examined(store: str) -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine(store, starts_ray=False)}


def test_this_machine_can_run_hsicl(tmp_path: Path) -> None:
    found = examined(str(tmp_path / "store"))
    assert [str(finding) for finding in found.values() if not finding.is_ok] == []
    assert found["package torch"].text[0].isdigit()
    assert found[f"store {tmp_path}/store"].text == "writable"
    assert list((tmp_path / "store").iterdir()) == []


def test_a_package_that_is_needed_is_a_fault_and_another_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_NEEDED", ("hsicl-no-such-package",))
    monkeypatch.setattr(machine, "_OPTIONAL", ("hsicl-no-other-package",))
    found = examined(str(tmp_path))
    assert str(found["package hsicl-no-such-package"]).startswith("FAIL")
    assert "pip install hsicl-no-such-package" in found["package hsicl-no-such-package"].text
    assert str(found["package hsicl-no-other-package"]).startswith("note")


def test_a_store_that_cannot_be_written_is_a_fault_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(machine, "_ray", lambda: "starts on this machine")
    assert hsicl.main(["doctor", "--store", str(tmp_path / "file" / "store")]) == 1
    wrong = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert len(wrong) == 1
    assert wrong[0].startswith(f"FAIL  store {tmp_path}/file/store: ")


def test_a_ray_that_does_not_start_is_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(name: str) -> None:
        raise OSError("no\nsockets")

    monkeypatch.setattr(EXECUTORS, "get", get)
    assert hsicl.main(["doctor", "--store", str(tmp_path)]) == 1
    assert capsys.readouterr().out.endswith("FAIL  Ray: no sockets\n")


@pytest.mark.parametrize(
    ("uri", "text"),
    [("s3://bucket/runs", "credentials and region"), ("memory://runs", "credentials"), ("runs", "'ray rsync-down'")],
)
def test_it_says_what_a_store_means_on_a_cluster(uri: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is sent to a bucket.
    monkeypatch.setattr(machine, "_writable", lambda uri: "writable")
    finding = examined(uri)["store on a cluster"]
    assert finding.is_note
    assert text in finding.text


@pytest.mark.parametrize("value", [None, "0", "1"])
def test_the_launchers_setting_is_told(value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LAUNCHER_SETTING, raising=False)
    if value is not None:
        monkeypatch.setenv(LAUNCHER_SETTING, value)
    finding = examined(str(tmp_path))[LAUNCHER_SETTING]
    assert finding.is_note
    assert finding.text.startswith(f"{value or 'not set'}; ")


def test_a_probe_leaves_the_store_as_it_was(store: ResultStore, tmp_path: Path) -> None:
    store.check_writable()
    before = sorted(tmp_path.rglob("*"))
    examined(store.uri)
    assert sorted(tmp_path.rglob("*")) == before
