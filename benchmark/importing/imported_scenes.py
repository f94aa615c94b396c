"""Imported scenes as they lie in the data root: a card, a cube and labels, checked again only where they changed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.files.cube_blocks import Tell, write_npy
from benchmark.files.stored_array import MAPPED_ABOVE_BYTES
from benchmark.scene import Scene
from hsicl_core.errors import SceneError

CARD = "scene.json"
CARD_VERSION = 2
# Cards of version 1 keep no state of the files: their SHA-256 is computed at every load.
_READABLE = (1, 2)
_CHUNK_BYTES = 2**22
# Told of long work: what is being done, bytes done so far and in all.
Progress = Callable[[str, int, int], object]


def imported_names(root: Path) -> list[str]:
    """Return the names of the scenes imported into a data root, sorted."""
    folder = root / "imported"
    if not folder.is_dir():
        return []
    return sorted(entry.parent.name for entry in folder.glob(f"[a-z]*/{CARD}"))


def write_imported(
    scene: Scene,
    root: Path,
    *,
    in_place: Path | None = None,
    moved: Path | None = None,
    label_form: str = "map",
    sources: Sequence[Mapping[str, Any]] = (),
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a checked scene below ``root / "imported"`` and return the path of its card.

    It is written beside its place and renamed, so that it is there whole or not at all. The cube is written in blocks,
    in the order in which it is stored.

    Args:
        scene: the scene; its name must be free.
        root: data root.
        in_place: the ``.npy`` that holds the cube and stays where it is; None copies the cube.
        moved: the ``.npy`` that holds the cube and is moved here, from the same disk, rather than copied.
        label_form: what the labels were before.
        sources: name, bytes and SHA-256 of the files that the scene came from.
        options: how they were asked to be understood.
        progress: called now and then with what is being done, and the bytes done so far and in all.

    Raises:
        SceneError: there is no room, or the data root cannot be written.

    Cost: one pass over the scene's cube and two over what was written, for its SHA-256 and the scene's hash.
    """
    final = root / "imported" / scene.name
    draft = final.with_name(f".{scene.name}.{os.getpid()}.tmp")
    try:
        draft.mkdir(parents=True)
        if moved is not None:
            moved.replace(draft / "cube.npy")
        elif in_place is None:
            free = shutil.disk_usage(draft).free
            if scene.cube.nbytes > free:
                raise OSError(errno.ENOSPC, f"the cube needs {scene.cube.nbytes} bytes, {free} are free")
            write_npy(draft / "cube.npy", scene.cube, telling(progress, "writing"))
        np.save(draft / "labels.npy", scene.labels.astype(np.int16))
        files = {"cube.npy": in_place or draft / "cube.npy", "labels.npy": draft / "labels.npy"}
        written = Scene(scene.name, _mapped(files["cube.npy"]), scene.labels, scene.class_names, _checked=True)
        card = {
            "version": CARD_VERSION,
            "name": scene.name,
            "shape": scene.cube.shape,
            "class_names": scene.class_names,
            "class_counts": scene.class_counts.tolist(),
            "wavelengths_nm": None if scene.wavelengths_nm is None else scene.wavelengths_nm.tolist(),
            "provenance": scene.provenance,
            "georeference": scene.georeference,
            "colours": scene.colours,
            "label_form": label_form,
            "sources": list(sources),
            "options": dict(options or {}),
            "hash": written.hash,
            "cube_path": None if in_place is None else str(in_place),
            "sha256": {name: sha256_of(file, telling(progress, "checking")) for name, file in files.items()},
            "state": {name: _state(file) for name, file in files.items()},
        }
        (draft / CARD).write_text(json.dumps(card, indent=1, default=int) + "\n", encoding="utf-8")
        draft.rename(final)
    except OSError as error:
        raise SceneError(
            f"cannot write the scene to {final} ({error.strerror or error}): set HSICL_DATA to a folder with room that "
            "you may write to"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return final / CARD


def load_imported(name: str, root: Path) -> Scene:
    """Load an imported scene. Its files are read through only where size or time of change are not the card's.

    Raises:
        SceneError: the card is damaged, or a file is missing or another than the one that was imported.
    """
    folder = root / "imported" / name
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        if card["version"] not in _READABLE:
            raise ValueError(f"version {card['version']}, this reads {_READABLE}")
        files = {"cube.npy": Path(card.get("cube_path") or folder / "cube.npy"), "labels.npy": folder / "labels.npy"}
        changed = [
            file
            for key, file in files.items()
            if card.get("state", {}).get(key) != _state(file) and card["sha256"][key] != sha256_of(file)
        ]
        # Loaded only if they are what was checked when they were imported.
        scene = None if changed else _of_card(name, card, files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SceneError(f"scene card {path} cannot be used ({error}): delete its folder and import again") from error
    if scene is None:
        raise SceneError(
            f"scene {name!r}: {changed[0]} is another file than the one that was imported: put that one back, or "
            f"delete {folder} and import again"
        )
    return scene


def _of_card(name: str, card: Mapping[str, Any], files: Mapping[str, Path]) -> Scene:
    waves, colours = card["wavelengths_nm"], card.get("colours")
    scene = Scene(
        name=name,
        cube=_mapped(files["cube.npy"]),
        labels=np.load(files["labels.npy"]).astype(np.int64),
        class_names=tuple(card["class_names"]),
        wavelengths_nm=None if waves is None else np.array(waves, dtype=np.float64),
        provenance=f"{name}: {card['provenance']} (your own data)",
        georeference=card.get("georeference"),
        # Cards written before colours were kept have none.
        colours=tuple(colours) if colours else None,
        _checked=True,
    )
    if "hash" in card:
        # Where the cached property would keep it.
        scene.__dict__["hash"] = str(card["hash"])
    return scene


def _mapped(path: Path) -> NDArray[np.generic]:
    mode = "r" if path.stat().st_size > MAPPED_ABOVE_BYTES else None
    cube: NDArray[np.generic] = np.load(path, mmap_mode=mode)  # type: ignore[arg-type]
    return cube


def _state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def sha256_of(path: Path, tell: Tell | None = None) -> str:
    """Return the SHA-256 of a file, 64 hex digits."""
    sha, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha.update(chunk)
            done += len(chunk)
            if tell is not None:
                tell(done, total)
    return sha.hexdigest()


def telling(progress: Progress | None, what: str) -> Tell | None:
    """Return what tells ``progress`` of one piece of work."""
    return None if progress is None else lambda done, total: progress(what, done, total)
