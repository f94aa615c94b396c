"""What doctor makes of a node's answer, by answers that differ in one thing."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from results.errors import one_line
from sweeps.doctor import probe
from sweeps.doctor.comparison import (
    ALL_AGREE,
    LAPTOP_AGREES,
    clock_finding,
    machine_findings,
    token_finding,
    version_findings,
)

ANSWER: dict[str, Any] = {
    "began": 1000.0, "ended": 1003.0, "host": "n", "python": "3.11.7", "executable": "/venv/bin/python",
    "packages": {"ray": "2.60.0", "torch": "2.13.0+cu128", "numpy": "2.4.6", "hsicl": "0.1.0"},
    "benchmark_version": "2", "code": "abcd1234", "commit": None, "data_root": "/data", "has_data_root": True,
    "hsicl_error": None, "torch_error": None, "cpus": 8, "threads": 1, "gpus": ["A100"], "memory_gib": 64.0,
    "shared_memory_gib": 32.0, "free_gib": {"/root": 50.0, "/tmp": 60.0}, "seen": [], "reached": [],
    "auth_mode": "token", "token": {"digest": "1", "mode": "600"},
}  # fmt: skip


def changed(**changes: Any) -> dict[str, Any]:
    answer = copy.deepcopy(ANSWER)
    answer["packages"] |= changes.pop("packages", {})
    return answer | changes


def test_doctored_answers_have_all_that_a_real_one_has() -> None:
    assert ANSWER.keys() == probe.answer([], []).keys()


@pytest.mark.parametrize(
    ("change", "verdict", "text"),
    [
        ({}, "ok  ", "ray 2.60.0"),
        ({"python": "3.11.9"}, "ok  ", "python 3.11.9"),
        ({"python": "3.12.7"}, "FAIL", "python 3.12 where the head has 3.11"),
        ({"packages": {"ray": "2.59.0"}}, "FAIL", "ray 2.59.0 where the head has 2.60.0"),
        ({"packages": {"ray": None}}, "FAIL", "ray missing where the head has 2.60.0"),
        ({"packages": {"torch": "2.13.0+cpu"}}, "note", "torch build cpu where the head has cu128"),
        ({"packages": {"torch": "2.12.0+cu128"}}, "FAIL", "torch 2.12.0 where the head has 2.13.0"),
        ({"packages": {"numpy": "2.4.5"}}, "note", "numpy 2.4.5 where the head has 2.4.6"),
        ({"packages": {"hsicl": "0.2.0"}}, "FAIL", "hsicl 0.2.0 where the head has 0.1.0"),
        # A checkout on the path is not installed.
        ({"packages": {"hsicl": None}}, "ok  ", "hsicl missing"),
        ({"benchmark_version": "1"}, "FAIL", "benchmark version 1 where the head has 2"),
        ({"code": "ffff0000"}, "FAIL", "code ffff0000 where the head has abcd1234"),
        # Shipped files have no commit.
        ({"commit": "0123456789"}, "ok  ", "commit 01234567"),
    ],
)
def test_what_must_agree_among_nodes(change: dict[str, Any], verdict: str, text: str) -> None:
    (finding,) = version_findings("node", changed(**change), "the head", ANSWER, must_agree=ALL_AGREE)
    assert str(finding).startswith(f"{verdict}  node versions: ")
    assert text in finding.text


def test_the_machine_that_types_ray_up_may_differ_in_what_no_trial_runs_there() -> None:
    (finding,) = version_findings(
        "node", changed(python="3.12.1", code="0"), "this machine", ANSWER, must_agree=LAPTOP_AGREES
    )
    assert finding.is_note
    (finding,) = version_findings(
        "node", changed(packages={"ray": "2.59.0"}), "this machine", ANSWER, must_agree=LAPTOP_AGREES
    )
    assert not finding.is_ok


def test_a_node_that_lacks_hsicl_or_torch_says_so_and_is_compared_in_the_rest() -> None:
    answer = changed(hsicl_error="ModuleNotFoundError: No module named 'benchmark'", packages={"ray": "2.59.0"})
    for key in ("benchmark_version", "code", "commit", "data_root", "has_data_root"):
        del answer[key]
    hsicl, versions = version_findings("node", answer, "the head", ANSWER, must_agree=ALL_AGREE)
    assert not hsicl.is_ok
    assert "/venv/bin/python cannot import it (ModuleNotFoundError" in hsicl.text
    assert "ray 2.59.0" in versions.text
    assert [finding.subject for finding in machine_findings("node", answer)] == ["node devices", "node disk"]
    broken = changed(torch_error="OSError: libcudart.so.12", threads=None)
    torch, _ = version_findings("node", broken, "the head", None, must_agree=ALL_AGREE)
    assert (torch.is_ok, torch.subject) == (False, "node torch")


@pytest.mark.parametrize(
    ("free_gib", "verdict"),
    [(50.0, "ok  "), (9.9, "note"), (0.9, "FAIL"), (None, "ok  ")],
)
def test_room_on_the_fuller_disk_decides(free_gib: float | None, verdict: str) -> None:
    answer = changed(free_gib={"/root": 50.0, "/tmp": free_gib})
    (finding,) = [finding for finding in machine_findings("node", answer) if finding.subject == "node disk"]
    assert str(finding).startswith(verdict)


def test_a_missing_data_root_is_told_and_no_fault() -> None:
    found = list(machine_findings("node", changed(has_data_root=False)))
    assert found[-1].is_note
    assert "only that machine needs it" in found[-1].text


@pytest.mark.parametrize(
    ("asked", "received", "text"),
    [
        (1000.0, 1003.0, "at most 0.0 s off"),
        # A slow way either side proves nothing.
        (990.0, 1003.5, "at most 10.0 s off"),
        (1000.0, 1090.0, "at most 87.0 s off"),
        # Ended 60 s after its answer had come; began 40 s before it was asked.
        (939.0, 943.0, "at least 60 s ahead of this one"),
        (1040.0, 1043.5, "at least 40 s behind this one"),
    ],
)
def test_a_clock_is_off_by_what_cannot_be_the_way(asked: float, received: float, text: str) -> None:
    finding = clock_finding("node", ANSWER, asked, received)
    assert finding.text.startswith(text)
    assert finding.is_note == ("least" in text)


@pytest.mark.parametrize(
    ("token", "verdict"),
    [
        ({"digest": "1", "mode": "600"}, "ok  "),
        ({"digest": "1", "mode": None}, "ok  "),
        ({"digest": "1", "mode": "644"}, "note"),
        ({"digest": "2", "mode": "600"}, "FAIL"),
        (None, "FAIL"),
    ],
)
def test_one_token_for_all(token: dict[str, Any] | None, verdict: str) -> None:
    assert str(token_finding("node", changed(token=token), "the head", ANSWER)).startswith(verdict)


def test_an_answer_is_found_in_whatever_a_shell_prints() -> None:
    noise = f'welcome {probe.MARK}shell\n\x1b[?2004h{probe.MARK}{{"a": 1}}\r\n{probe.MARK}{{broken\nbye\n'
    assert probe.read_answer(noise) == {"a": 1}
    assert probe.read_answer(f"{probe.MARK}shell\n") is None


def test_a_long_text_is_one_short_line() -> None:
    assert one_line("a\n b") == "a b"
    assert len(one_line("x" * 1000)) == 300
