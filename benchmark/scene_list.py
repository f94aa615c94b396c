"""Scenes as text: which there are, which are at hand, what one holds."""

from __future__ import annotations

from benchmark.registries import SCENES
from benchmark.scene import Scene
from benchmark.scene_files import describe, scene_names
from benchmark.scenes.base import data_root
from hsicl_core.errors import UserError


def scene_table() -> str:
    """Return a line per scene: name, whether its files are at hand, what it is."""
    names = scene_names()
    width = max(len(name) for name in names)
    lines = [f"data root: {data_root()}"]
    for name in names:
        title = SCENES.get(name).title if name in SCENES.names() else "imported"
        lines.append(f"{name:{width}}  {'here   ' if _is_here(name) else 'missing'}  {title}")
    return "\n".join(lines)


def scenes_here() -> str:
    """Return the names of the scenes whose files are at hand, joined by commas."""
    return ", ".join(name for name in scene_names() if _is_here(name)) or "none"


def summary_text(scene: Scene) -> str:
    """Return what a scene holds, for a person to compare with what they meant."""
    summary = describe(scene)
    height, width, bands = summary.shape
    low, high = summary.value_range
    waves = summary.wavelengths_nm
    lines = [
        f"{summary.name}: {height} x {width} pixels, {bands} bands, {summary.dtype}, values {low:g} to {high:g}",
        f"wavelengths: {f'{waves[0]:g} to {waves[1]:g} nm' if waves else 'not known'}",
        f"hash: {scene.hash}",
        f"source: {summary.provenance}",
        f"labelled: {100 * summary.labelled_share:.1f}% of the pixels",
    ]
    lines += [f"{count:8d}  {name}" for name, count in summary.class_counts.items()]
    return "\n".join(lines)


def _is_here(name: str) -> bool:
    if name not in SCENES.names():
        return True
    card = SCENES.get(name)
    try:
        return all(card.find_file(role, data_root()) is not None for role in card.files)
    except UserError:
        return False
