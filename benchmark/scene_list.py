"""Scenes as text: which there are, which are at hand, what one is, what one holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmark.files.file_identity import digests
from benchmark.files.file_search import FileSearch
from benchmark.importing.imported_scenes import CARD
from benchmark.importing.scene_summary import describe
from benchmark.registries import SCENES
from benchmark.scene import Scene
from benchmark.scene_files import load_scene, scene_names
from benchmark.scenes.base import FixedSplitFiles, SceneCard, data_root
from hsicl_core.errors import UserError

_HEAD = ("name", "files", "height x width x bands", "classes", "labelled", "sensor", "title")


def scene_table() -> str:
    """Return a line per scene: name, whether its files are at hand, what it is."""
    search = FileSearch(data_root())
    rows = [_HEAD, *(_row(name, search) for name in scene_names())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([f"data root: {search.root}", *lines])


def scenes_here() -> str:
    """Return the names of the scenes whose files are at hand, joined by commas."""
    search = FileSearch(data_root())
    return ", ".join(name for name in scene_names() if _row(name, search)[1] == "here") or "none"


def show_scene(name_or_path: str) -> str:
    """Return what is known of a scene, and where its files are here, what they hold.

    Args:
        name_or_path: a name of ``scene_names()``, or a file as for ``load_scene``.

    Raises:
        UserError: an unknown name, or a file that cannot be read.
    """
    if name_or_path not in SCENES.names():
        return summary_text(load_scene(name_or_path))
    card = SCENES.get(name_or_path)
    search = FileSearch(data_root())
    counts = [f"{count:8d}  {name}" for count, name in zip(card.class_counts, card.class_names, strict=True)]
    lines = [*_card_lines(card), *counts, f"files below {search.root}:"]
    for role in card.files:
        lines += _file_lines(card, role, search)
    for name, files in card.fixed_splits.items():
        lines += _split_lines(name, files, search)
    if _standing(card, search) == "here":
        try:
            # Its classes are counted above: loading has compared them.
            measured = [line for line in summary_text(load_scene(card.name)).splitlines() if line not in counts]
            lines += ["measured:", *measured]
        except UserError as error:
            lines.append(f"CANNOT BE LOADED: {error}")
    return "\n".join(lines)


def summary_text(scene: Scene) -> str:
    """Return what a scene holds, for a person to compare with what they meant."""
    return "\n".join([*describe(scene).lines(), f"hash: {scene.hash}"])


def instrument_text(card: SceneCard) -> str:
    """Return sensor, pixel size and wavelengths, as far as they are known."""
    size = "" if card.gsd_m is None else f", {card.gsd_m:g} m pixels"
    waves = "" if card.range_nm is None else f", {card.range_nm[0]:g} to {card.range_nm[1]:g} nm"
    return f"{card.sensor}{size}{waves}"


def _card_lines(card: SceneCard) -> list[str]:
    height, width, bands = card.shape
    n_labelled = sum(card.class_counts)
    return [
        f"{card.name}: {card.title}",
        f"{height} x {width} pixels, {bands} bands, {len(card.class_names)} classes, {n_labelled} labelled pixels "
        f"({100 * n_labelled / (height * width):.1f}%)",
        f"sensor: {instrument_text(card)}; bands removed: {card.bands_removed}",
        f"credit: {card.credit}",
        f"licence: {card.licence}",
        f"source: {card.source}",
        *(["labels: DERIVED, not field truth"] if card.derived_labels else []),
        *([f"note: {card.note}"] if card.note else []),
    ]


def _file_lines(card: SceneCard, role: str, search: FileSearch) -> list[str]:
    file = card.files[role]
    try:
        found = card.find(role, search)
    except UserError as error:
        return [f"  {role}: UNCLEAR, {error}"]
    if found is None:
        pins = {"SHA-256": file.sha256, "git blob": file.git_blob}
        known = ", ".join(f"{kind} {digest}" for kind, digest in pins.items() if digest) or "no identity known"
        claimed = "" if file.is_verified else " (the SHA-256 as one public source claims it)"
        remedy = f"run 'pip install {card.package[0]}'" if card.package else card.remedy(role, search.root)
        return [f"  {role}: missing, {remedy}", f"    {file.name}: {known}{claimed}"]
    standing = "no identity known to compare it with"
    if found.file.has_identity:
        standing = "the known file" if found.file.is_known(found.path) else "NOT THE KNOWN FILE"
    return [f"  {role}: here, {found.path}", f"    {standing}, SHA-256 {digests(found.path).sha256}"]


def _split_lines(name: str, files: FixedSplitFiles, search: FileSearch) -> list[str]:
    defects = f"; known defects: {files.known_defects}" if files.known_defects else ""
    try:
        missing = [file.name for file in files.files.values() if file.find(search) is None]
        standing = f"missing, needs {' and '.join(missing)}" if missing else "here"
    except UserError as error:
        standing = f"UNCLEAR, {error}"
    return [f"fixed split {name}: {standing}", f"    {files.source}{defects}"]


def _row(name: str, search: FileSearch) -> tuple[str, ...]:
    if name not in SCENES.names():
        return _imported_row(name, search.root)
    card = SCENES.get(name)
    return (name, _standing(card, search), *_extent(card.shape, card.class_counts), card.sensor, card.title)


def _imported_row(name: str, root: Path) -> tuple[str, ...]:
    try:
        card = json.loads((root / "imported" / name / CARD).read_text(encoding="utf-8"))
        return (name, "here", *_extent(card["shape"], card["class_counts"]), "", "imported")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return (name, "damaged", "", "", "", "", f"imported; its card cannot be read ({error})")


def _extent(shape: Sequence[int], class_counts: Sequence[int]) -> tuple[str, str, str]:
    return " x ".join(map(str, shape)), str(len(class_counts)), str(sum(class_counts))


def _standing(card: SceneCard, search: FileSearch) -> str:
    try:
        return "here" if all(card.find(role, search) is not None for role in card.files) else "missing"
    except UserError:
        return "unclear"
