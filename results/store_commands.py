"""The commands of ``hsicl store``: their options, and what each prints."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results.console import say

if TYPE_CHECKING:
    from results.store import ResultStore
    from results.verify import Verified

# Of findings that begin alike, no more than these are printed.
_SHOWN = 10


def add_store_commands(commands: Any, *, identity: Callable[[Mapping[str, Any]], Mapping[str, str] | None]) -> None:
    """Add ``store merge|compact|verify|export`` to the subparsers of the front door.

    Args:
        commands: the subparsers.
        identity: gives a row's trial_id and config_id from its other columns, for ``verify``.
    """
    stores = commands.add_parser("store", help="merge, compact, verify or export stores of results").add_subparsers(
        required=True, metavar="ACTION"
    )
    _add_merge(stores)
    _add_compact(stores)
    command = stores.add_parser("verify", help="look for damage, impossible rows and trials with two results")
    command.add_argument("store", nargs="+", metavar="STORE", help="or a folder of stores")
    command.set_defaults(run=lambda arguments: _verify(arguments, identity))
    command = stores.add_parser("export", help="write all rows as one flat table, with OA, AA and kappa")
    command.add_argument("store", metavar="STORE")
    command.add_argument("file", metavar="FILE", help=".csv, .parquet or .json")
    command.set_defaults(run=_export)


def _add_merge(stores: Any) -> None:
    command = stores.add_parser(
        "merge",
        help="bring stores from several clusters together",
        description="Write into TARGET what the SOURCEs hold beyond it. Trials with the same trial_id are one: an ok "
        "row stands above a failed one, equal rows are written once, and rows that differ in anything measured are "
        "listed and left as they are (exit status 1).",
    )
    command.add_argument("target", metavar="TARGET")
    command.add_argument("source", nargs="+", metavar="SOURCE")
    command.add_argument("--dry-run", action="store_true", help="say what would be written and write nothing")
    command.set_defaults(run=_merge)


def _add_compact(stores: Any) -> None:
    command = stores.add_parser(
        "compact",
        help="put the many files of a store into one",
        description="Put all rows of STORE into one file. In place, the files that are in it are deleted then. With "
        "TARGET, STORE stays as it is, and the copy, made to be released, does not name the machines (column host).",
    )
    command.add_argument("store", metavar="STORE")
    command.add_argument("target", nargs="?", metavar="TARGET", help="default: in place")
    command.set_defaults(run=_compact)


def _merge(arguments: argparse.Namespace) -> int:
    from results.merge import merge
    from results.store import open_store

    target = open_store(arguments.target)
    merged = merge(target, [open_store(source) for source in arguments.source], dry_run=arguments.dry_run)
    for conflict in merged.conflicts:
        sys.stderr.write(f"hsicl: conflict: {conflict}\n")
    if merged.conflicts:
        sys.stderr.write(
            f"hsicl: {len(merged.conflicts)} trials with different results, nothing written of them: find out which is "
            "right, delete the other's file, and merge again\n"
        )
    would = "would be " if arguments.dry_run else ""
    say(
        f"{merged.n_new} trials {would}added, {merged.n_replaced} failed ones {would}replaced, {merged.n_there} there "
        f"already, {len(merged.conflicts)} in conflict; store: {target.uri}"
    )
    return int(bool(merged.conflicts))


def _compact(arguments: argparse.Namespace) -> str:
    from results.compact import compact, release
    from results.store import open_store

    store = open_store(arguments.store)
    if arguments.target is not None:
        return f"{release(store, open_store(arguments.target)).n_rows} rows written to {arguments.target}"
    done = compact(store)
    kept = f", {done.n_replaced} kept: replaced meanwhile" if done.n_replaced else ""
    return f"{done.n_rows} rows in one file, {done.n_deleted} files deleted{kept}; store: {store.uri}"


def _verify(arguments: argparse.Namespace, identity: Callable[[Mapping[str, Any]], Mapping[str, str] | None]) -> int:
    from results.store import open_store
    from results.verify import verify

    is_wrong = False
    for uri in (each for given in arguments.store for each in _stores_in(given)):
        store = open_store(uri)
        verified = verify(store, identity)
        is_wrong |= verified.n_wrong > 0
        say("\n".join([*_told(verified), _summary(verified, store)]))
    return int(is_wrong)


def _stores_in(uri: str) -> list[str]:
    """Return the stores in a local folder of stores, as results/released is one; else the store itself."""
    folder = Path(uri)
    if not folder.is_dir() or any(folder.glob("*.parquet")):
        return [uri]
    return sorted({str(path.parent) for path in folder.glob("*/*.parquet")}) or [uri]


def _told(verified: Verified) -> Iterator[str]:
    told: Counter[str] = Counter()
    for finding in sorted(verified.findings, key=lambda finding: not finding.is_wrong):
        told[finding.remedy] += 1
        if told[finding.remedy] <= _SHOWN:
            yield str(finding)
    for remedy, count in told.items():
        if count > _SHOWN:
            yield f"... and {count - _SHOWN} more: {remedy}"


def _summary(verified: Verified, store: ResultStore) -> str:
    wrong = f"{verified.n_wrong} wrong" if verified.n_wrong else "nothing wrong"
    return f"{wrong} in {verified.n_rows} rows of {verified.n_files} files; store: {store.uri}"


def _export(arguments: argparse.Namespace) -> str:
    from results.export import export
    from results.store import open_store

    done = export(open_store(arguments.store), Path(arguments.file))
    told = f"{done.n_rows} rows written to {arguments.file}"
    if not done.n_search:
        return told
    return f"{told}, {done.n_search} of them of searches: purpose 'search', validation only, no part of a mean"
