"""Verify a store: every file whole, every row possible and of the trial that it says, no trial with two results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from results.comparing import differences, short
from results.errors import ResultsError
from results.row_checks import faults_of
from results.store import ResultStore
from results.store_files import COMPACTED

# A row's trial_id and config_id as its other columns give them; None where they do not say.
Identity = Callable[[Mapping[str, Any]], Mapping[str, str] | None]
_RERUN = "delete the row's file and rerun the sweep"


@dataclass(frozen=True)
class Finding:
    """What was found, where, and what to do. ``is_wrong`` is False for a remark."""

    where: str
    what: str
    remedy: str
    is_wrong: bool = True

    def __str__(self) -> str:
        return f"{'wrong' if self.is_wrong else 'note '}  {self.where}: {self.what}: {self.remedy}"


@dataclass
class Verified:
    """What a store holds, and what is wrong or remarkable with it."""

    n_files: int = 0
    n_rows: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def n_wrong(self) -> int:
        """Findings that are more than a remark."""
        return sum(finding.is_wrong for finding in self.findings)


def verify(store: ResultStore, identity: Identity | None = None) -> Verified:
    """Return what is wrong in ``store``; nothing is changed. Costs about 5 ms for every row.

    Args:
        store: where to look; files that are being written meanwhile are taken as they are.
        identity: gives a row's identity from its columns; None to take the ids for granted.

    Raises:
        StoreError: the store does not exist, or nobody answers.
    """
    verified = Verified()
    seen: dict[str, tuple[str, dict[str, Any]]] = {}
    unknown = 0
    for name in store.files.data_names():
        try:
            table = store.read_file(name)
        except FileNotFoundError:
            continue
        except ResultsError as error:
            verified.findings.append(_unreadable(name, error))
            continue
        verified.n_files += 1
        verified.n_rows += table.num_rows
        verified.findings += _misnamed(name, table)
        for row in table.to_pylist():
            where = f"{name}, trial {row['trial_id']}"
            verified.findings += [Finding(where, fault, _RERUN) for fault in faults_of(row)]
            if identity is not None:
                rebuilt = identity(row)
                unknown += rebuilt is None
                verified.findings += _misidentified(where, row, rebuilt or {})
            verified.findings += _told_twice(name, row, seen)
    if unknown:
        what = f"{unknown} rows do not tell all that their trial_id is made of"
        verified.findings.append(Finding(store.uri, what, "their ids are taken for granted", is_wrong=False))
    verified.findings += _leftovers(store.files.names())
    return verified


def _unreadable(name: str, error: ResultsError) -> Finding:
    # The message is one of a store's own: what is wrong, a colon and the remedy.
    what, _, remedy = str(error).rpartition(": ")
    return Finding(name, what, remedy)


def _misnamed(name: str, table: pa.Table) -> Iterator[Finding]:
    stem = name.partition(".")[0]
    is_single = len(stem) == 16 and all(digit in "0123456789abcdef" for digit in stem)
    ids = table.column("trial_id").to_pylist()
    if is_single and ids != [stem]:
        what = f"the name of one trial, but {len(ids)} rows" if len(ids) != 1 else f"holds the row of trial {ids[0]}"
        yield Finding(name, what, "a rerun would not replace it: rename it after its row, or delete it")


def _misidentified(where: str, row: Mapping[str, Any], rebuilt: Mapping[str, str]) -> Iterator[Finding]:
    for column, value in rebuilt.items():
        if row[column] != value:
            what = f"{column} is {row[column]}, its columns give {value}"
            yield Finding(where, what, f"a column was changed after it was written; {_RERUN}")


def _told_twice(name: str, row: dict[str, Any], seen: dict[str, tuple[str, dict[str, Any]]]) -> Iterator[Finding]:
    trial_id = row["trial_id"]
    other, earlier = seen.get(trial_id, (name, row))
    seen[trial_id] = (name, row)
    if row is earlier:
        return
    where = f"trial {trial_id}"
    differing = differences(earlier, row)
    if differing and earlier["status"] == row["status"] == "ok":
        column = differing[0]
        what = f"{other} and {name} differ in {', '.join(differing)} ({column}: {short(column, earlier[column])} | "
        what += f"{short(column, row[column])})"
        yield Finding(where, what, "find out which is right, delete the other")
    elif name.partition(".")[0] == trial_id and other == COMPACTED:
        yield Finding(where, f"{name} stands above {other}", "hsicl store compact puts it in", is_wrong=False)
    else:
        yield Finding(where, f"in {other} and in {name}", "delete one of them", is_wrong=bool(differing))


def _leftovers(names: list[str]) -> Iterator[Finding]:
    for name in names:
        if name.startswith(".probe-") or (name.startswith(".") and name.endswith(".tmp")):
            yield Finding(name, "left by a write that was killed", "delete it unless a run is writing", is_wrong=False)
