"""import_scene: check a user's own files once and keep them as a named scene in the data root."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.importing.imported_scenes import (
    Progress,
    imported_names,
    load_imported,
    sha256_of,
    telling,
    write_imported,
)
from benchmark.importing.scene_reading import ReadOptions, SceneOfFiles, read_scene
from benchmark.importing.scene_summary import SceneSummary, describe
from benchmark.registries import SCENES
from benchmark.scenes.base import data_root as default_root
from hsicl_core.errors import InvalidValueError, SceneError, SceneNotFoundError

__all__ = [
    "Import",
    "check_new_name",
    "examine",
    "import_scene",
    "imported_names",
    "load_imported",
    "write_imported",
]


@dataclass(frozen=True)
class Import:
    """A scene read from files and checked, not yet written.

    Attributes:
        found: the scene and how its files were understood.
        summary: what a person should compare with what they meant.
        sources: name, bytes and SHA-256 of every file it was read from.
        options: how the files were asked to be understood.
        root: the data root that it goes to.
        in_place: the cube's own file, where it stays; None copies it.
    """

    found: SceneOfFiles
    summary: SceneSummary
    sources: tuple[dict[str, Any], ...]
    options: ReadOptions
    root: Path
    in_place: Path | None

    def text(self) -> str:
        """Return what was understood, as lines."""
        identities = (f"file: {file['name']}, {file['bytes']} bytes, SHA-256 {file['sha256']}" for file in self.sources)
        stays = [] if self.in_place is None else [f"the cube stays where it is: {self.in_place}"]
        return "\n".join([*self.summary.lines(), *self.found.understood, *identities, *stays])

    def write(self, progress: Progress | None = None) -> Path:
        """Write the scene below the data root and return the path of its card; see ``write_imported``."""
        return write_imported(
            self.found.scene, self.root, in_place=self.in_place, label_form=self.found.label_form,
            sources=self.sources, options=dataclasses.asdict(self.options), progress=progress,
        )  # fmt: skip


def examine(
    name: str,
    cube: str | Path,
    labels: str | Path | NDArray[np.generic] | None = None,
    options: ReadOptions | None = None,
    *,
    data_root: Path | None = None,
    in_place: bool = False,
    progress: Progress | None = None,
) -> Import:
    """Read a scene from files and check it, to be written under a name of its own.

    Args:
        name: the new name, lower_snake.
        cube: ``FILE`` or ``FILE:KEY``.
        labels: ``FILE``, ``FILE:KEY`` or an array; see ``load_scene``.
        options: how to understand the files.
        data_root: where the scene goes; None takes ``$HSICL_DATA`` or ``~/.local/share/hsicl``.
        in_place: leave the cube's own ``.npy`` where it is, rather than to copy it.
        progress: called now and then with what is being done, and the bytes done so far and in all.

    Raises:
        InvalidValueError: the name is taken or not lower_snake, or ``in_place`` is not possible.
        SceneError: the files cannot be used.

    Cost: two passes over the cube's file, and one more for its SHA-256.
    """
    options = options or ReadOptions()
    root = default_root() if data_root is None else Path(data_root)
    check_new_name(name, root)
    found = read_scene(cube, labels, options, name)
    own = _own_file(found) if in_place else None
    summary = describe(found.scene, telling(progress, "reading"))
    if len(summary.values.constant_bands) == found.scene.cube.shape[2]:
        raise SceneError(
            f"{cube}: every band of the cube has one value everywhere, there is nothing to learn: name another array"
        )
    tell = telling(progress, "checking")
    sources = tuple(
        {"name": file.name, "bytes": file.stat().st_size, "sha256": sha256_of(file, tell)} for file in found.files
    )
    return Import(found, summary, sources, options, root, own)


def import_scene(
    name: str,
    cube: str | Path,
    labels: str | Path | NDArray[np.generic] | None = None,
    shape: tuple[int, int, int] | None = None,
    order: str = "C",
    data_root: Path | None = None,
    *,
    labels_are: str = "auto",
    unlabelled: int | None = None,
    class_names: Sequence[str] | None = None,
    in_place: bool = False,
) -> tuple[Path, SceneSummary]:
    """Read a scene from files as ``load_scene`` does, and keep a checked copy under a name of its own.

    Args:
        name: the new name, lower_snake.
        cube: ``FILE`` or ``FILE:KEY``.
        labels: ``FILE``, ``FILE:KEY`` or an array; see ``load_scene``.
        shape: (height, width, bands) of a cube that the labels do not tell apart.
        order: ``"C"`` or ``"F"``, the order of flat pixels.
        data_root: where to keep it; None takes ``$HSICL_DATA`` or ``~/.local/share/hsicl``.
        labels_are: form of the labels; see ``load_scene``.
        unlabelled: the id of unlabelled pixels, where it is not NaN, negative or 0.
        class_names: K names in the order of the ids.
        in_place: leave the cube's own ``.npy`` where it is, rather than to copy it.

    Returns:
        The path of the scene card and what was understood.

    Raises:
        InvalidValueError: the name is taken or not lower_snake.
        SceneError: the files cannot be used, or the data root cannot be written.
    """
    options = ReadOptions(shape, order, labels_are, unlabelled, class_names)
    examined = examine(name, cube, labels, options, data_root=data_root, in_place=in_place)
    return examined.write(), examined.summary


def check_new_name(name: str, root: Path) -> None:
    """Raise InvalidValueError unless an imported scene may be called ``name``."""
    if re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) is None:
        raise InvalidValueError(f"scene name must be lower_snake, e.g. 'my_field', got {name!r}")
    if name in SCENES.names():
        raise InvalidValueError(f"scene name {name!r} belongs to a registered scene: choose another")
    if name in imported_names(root):
        raise InvalidValueError(
            f"scene name {name!r} is taken by {root / 'imported' / name}: choose another, or delete that folder"
        )


def read_class_names(text: str | None) -> tuple[str, ...] | None:
    """Return class names from ``"A,B,C"`` or from a text file with one per line, None from None.

    Raises:
        SceneNotFoundError: the text is no list, and there is no such file.
        InvalidValueError: a name is empty, or the file is no text.
    """
    if text is None:
        return None
    if "," in text and not os.path.isfile(text):
        names = text.split(",")
    elif not os.path.isfile(text):
        raise SceneNotFoundError(f"no file {text}: give --class-names A,B,C or a text file with one name per line")
    else:
        try:
            names = Path(text).read_text(encoding="utf-8-sig").rstrip().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidValueError(f"class names {text}: no text in UTF-8 ({error}): save it as such") from error
    names = [name.strip() for name in names]
    if not names or not all(names):
        raise InvalidValueError(f"class names {text!r}: one is empty: give one name per class")
    return tuple(names)


def _own_file(found: SceneOfFiles) -> Path:
    """Return the cube's file where it can serve as it is."""
    file = found.files[0].resolve()
    cube = np.load(file, mmap_mode="r") if file.suffix.lower() == ".npy" else None
    if cube is None or not found.is_as_stored or not cube.flags.c_contiguous or not cube.dtype.isnative:
        raise InvalidValueError(
            f"in_place: {file} is no .npy of (height, width, bands) in order C and this machine's byte order: "
            "leave --in-place out, and it is copied"
        )
    return file
