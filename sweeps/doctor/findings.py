"""Finding: one thing that a doctor looked at, told in one line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what was looked at.
        is_ok: whether hsicl can work with it.
        text: what was found; where it is not ok, what to do.
        is_note: it is told, not judged.
    """

    subject: str
    is_ok: bool
    text: str
    is_note: bool = False

    def __str__(self) -> str:
        verdict = "FAIL" if not self.is_ok else "note" if self.is_note else "ok  "
        return f"{verdict}  {self.subject}: {self.text}"


def fine(subject: str, text: str) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(subject, True, text)


def note(subject: str, text: str) -> Finding:
    """Return a finding that is worth knowing and stops nothing."""
    return Finding(subject, True, text, is_note=True)


def fault(subject: str, text: str) -> Finding:
    """Return a finding that stops the work; its text ends with what to do."""
    return Finding(subject, False, text)
