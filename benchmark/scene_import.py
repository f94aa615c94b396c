"""import_scene: check a user's own files once and keep them as a named scene in the data root."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark.registries import SCENES
from benchmark.scene import Scene
from benchmark.scenes.base import SceneCard, SceneFile, data_root
from hsicl_core.errors import InvalidValueError, SceneError

if TYPE_CHECKING:
    from benchmark.scene_files import SceneSummary

CARD_VERSION = 1
_CARD = "scene.json"


def imported_names(root: Path) -> list[str]:
    """Return the names of the scenes imported into a data root, sorted."""
    folder = root / "imported"
    if not folder.is_dir():
        return []
    return sorted(entry.parent.name for entry in folder.glob(f"[a-z]*/{_CARD}"))


def import_scene(
    name: str,
    cube: str | Path,
    labels: str | Path | NDArray[np.generic] | None = None,
    shape: tuple[int, int, int] | None = None,
    order: str = "C",
    data_root: Path | None = None,
    *,
    unlabelled: int | None = None,
    class_names: Sequence[str] | None = None,
) -> tuple[Path, SceneSummary]:
    """Read a scene from files as ``load_scene`` does, and keep a checked copy under a name of its own.

    The copy is written beside its place and renamed, so that a scene is there whole or not at all.

    Args:
        name: the new name, lower_snake.
        cube: ``FILE`` or ``FILE:KEY``.
        labels: ``FILE``, ``FILE:KEY`` or an array; see ``load_scene``.
        shape: (height, width, bands) of a flat cube.
        order: ``"C"`` or ``"F"``, the order of flat pixels.
        data_root: where to keep it; None takes ``$HSICL_DATA`` or ``~/.local/share/hsicl``.
        unlabelled: the id of unlabelled pixels, where it is not NaN, negative or 0.
        class_names: K names in the order of the ids.

    Returns:
        The path of the scene card and what was understood.

    Raises:
        InvalidValueError: the name is taken or not lower_snake.
        SceneError: the files cannot be used, or the data root cannot be written.
    """
    # Imported here because load_scene itself looks for imported scenes.
    from benchmark.scene_files import describe, load_scene

    root = _root(data_root)
    check_new_name(name, root)
    scene = load_scene(
        str(cube) if Path(cube).suffix else f"./{cube}",
        labels,
        shape=shape,
        order=order,
        unlabelled=unlabelled,
        class_names=class_names,
        root=root,
    )
    scene = Scene(
        name, scene.cube, scene.labels, scene.class_names, scene.wavelengths_nm, scene.provenance, _checked=True
    )
    return write_imported(scene, root), describe(scene)


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


def write_imported(scene: Scene, root: Path) -> Path:
    """Write a scene below ``root / "imported"`` and return the path of its card."""
    final = root / "imported" / scene.name
    draft = final.with_name(f".{scene.name}.{os.getpid()}.tmp")
    try:
        draft.mkdir(parents=True)
        free = shutil.disk_usage(draft).free
        if scene.cube.nbytes > free:
            raise SceneError(
                f"the cube needs {scene.cube.nbytes} bytes, {root} has {free} free: make room or set HSICL_DATA"
            )
        np.save(draft / "cube.npy", scene.cube)
        np.save(draft / "labels.npy", scene.labels.astype(np.int16))
        card = {
            "version": CARD_VERSION,
            "name": scene.name,
            "shape": scene.cube.shape,
            "class_names": scene.class_names,
            "class_counts": scene.class_counts.tolist(),
            "wavelengths_nm": None if scene.wavelengths_nm is None else scene.wavelengths_nm.tolist(),
            "provenance": scene.provenance,
            "sha256": {file.name: _sha256(file) for file in sorted(draft.glob("*.npy"))},
        }
        (draft / _CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        draft.rename(final)
    except OSError as error:
        raise SceneError(
            f"cannot write the scene to {final} ({error.strerror or error}): "
            "set HSICL_DATA to a folder you may write to"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return final / _CARD


def load_imported(name: str, root: Path) -> Scene:
    """Load an imported scene, whose card is compared with its files as for any other scene.

    Raises:
        SceneError: the card or a file is damaged.
    """
    path = root / "imported" / name / _CARD
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        if described["version"] != CARD_VERSION:
            raise ValueError(f"version {described['version']}, this is {CARD_VERSION}")
        waves = described["wavelengths_nm"]
        height, width, bands = described["shape"]
        card = SceneCard(
            name=name,
            title=name,
            shape=(height, width, bands),
            class_names=tuple(described["class_names"]),
            class_counts=tuple(described["class_counts"]),
            label_ids=tuple(range(len(described["class_names"]))),
            files={
                role: SceneFile(path=f"imported/{name}/{role}.npy", sha256=described["sha256"][f"{role}.npy"])
                for role in ("cube", "labels")
            },
            source="your own files: import them again",
            credit=str(described["provenance"]),
            licence="your own data",
            wavelengths_nm=None if waves is None else tuple(waves),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SceneError(f"scene card {path} cannot be used ({error}): delete its folder and import again") from error
    return card.load(root)


def _root(given: Path | None) -> Path:
    return data_root() if given is None else Path(given)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
