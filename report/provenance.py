"""Where the numbers come from: scenes, code, machines, dates, and the command that builds the report again."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pandas as pd

from report.text import one_line


def shown_uri(store_uri: str) -> str:
    """Return the store's address without what is private or differs between machines.

    A local path is given relative to the working folder, or by its last part if it lies elsewhere; a URI loses user,
    password and query.

    Args:
        store_uri: as the user gave it.
    """
    if "://" in store_uri:
        parts = urlsplit(store_uri)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    path = Path(os.path.normpath(Path(store_uri).expanduser().absolute()))
    if path.is_relative_to(Path.cwd()):
        return path.relative_to(Path.cwd()).as_posix()
    return path.name


def rebuild_command(store_uri: str) -> str:
    """Return the command line that builds the report again.

    Args:
        store_uri: as the user gave it.
    """
    return f"hsicl report --store {shlex.quote(shown_uri(store_uri))} --out DIR"


def describe_rows(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (what, text) pairs on all rows of the store, in the order shown.

    Args:
        rows: frame of ``report.rows.tidy``.
    """
    statuses = rows["status"][rows["purpose"] == "trial"]
    counts = ", ".join(f"{count} {one_line(status)}" for status, count in statuses.value_counts().items())
    pairs = [
        ("Rows", f"{len(rows)}: {len(statuses)} trials ({counts or 'none'}), {len(rows) - len(statuses)} of searches"),
        ("Rules", _listed(rows, "benchmark_version", "benchmark version ")),
        ("Scenes", "; ".join(_scenes(rows)) or "none"),
        ("Code", "; ".join(_commits(rows)) or "unknown"),
        ("Devices", _listed(rows, "device_name") or _listed(rows, "device") or "unknown"),
        ("Machines", str(rows["host"].dropna().nunique() or "unknown")),
        ("Run", _dates(rows)),
        ("Versions", _versions(rows) or "unknown"),
    ]
    return [(what, text) for what, text in pairs if text]


def _listed(rows: pd.DataFrame, column: str, prefix: str = "") -> str:
    return ", ".join(f"{prefix}{one_line(value)}" for value in sorted(rows[column].dropna().unique()))


def _scenes(rows: pd.DataFrame) -> list[str]:
    pairs = rows[["scene", "scene_hash"]].drop_duplicates().sort_values(["scene", "scene_hash"])
    return [f"{one_line(scene)} {one_line(digest)}" for scene, digest in pairs.itertuples(index=False)]


def _commits(rows: pd.DataFrame) -> list[str]:
    is_known = rows["commit"].notna()
    known = rows.loc[is_known, ["commit", "dirty"]].drop_duplicates()
    pairs = sorted({(str(row.commit), row.dirty is not None and bool(row.dirty)) for row in known.itertuples()})
    texts = [f"commit {one_line(commit)}" + (" with uncommitted changes" if dirty else "") for commit, dirty in pairs]
    unknown = int((~is_known).sum())
    return texts + ([f"commit unknown for {unknown} rows"] if unknown and texts else [])


def _dates(rows: pd.DataFrame) -> str:
    started = rows["started_utc"].dropna()
    if started.empty:
        return "unknown"
    first, last = (f"{moment:%Y-%m-%d}" for moment in (min(started), max(started)))
    return first if first == last else f"{first} to {last}"


def _versions(rows: pd.DataFrame) -> str:
    found: dict[str, set[str]] = {}
    # Rows of the same versions share one list.
    for pairs in {id(pairs): pairs for pairs in rows["versions"]}.values():
        for name, version in pairs or ():
            found.setdefault(one_line(name), set()).add(one_line(version))
    return ", ".join(f"{name} {'/'.join(sorted(versions))}" for name, versions in sorted(found.items()))
