"""SceneCard: all that is known about a scene before its files are opened, and how they become a Scene."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.array_files import list_arrays, reading
from benchmark.scene import Scene
from hsicl_core.errors import MissingPackageError, SceneError, SceneNotFoundError

EHU_PAGE = "http://www.ehu.eus/ccwintco/index.php/Hyperspectral_Remote_Sensing_Scenes"
EHU_FILES = "http://www.ehu.eus/ccwintco/uploads/"
NO_LICENCE = "no explicit data licence; public benchmark data, to be credited to its makers"


def data_root() -> Path:
    """Return the folder of scene files: ``$HSICL_DATA``, else ``~/.local/share/hsicl``."""
    return Path(os.environ.get("HSICL_DATA") or "~/.local/share/hsicl").expanduser()


@dataclass(frozen=True, kw_only=True)
class SceneFile:
    """One array of a scene.

    Attributes:
        path: where it lies below the data root; the bare file name is looked for there too.
        key: name of the array in the file; None where the format has no names.
        sha256: of the file; None where no known file was at hand.
        is_verified: whether the project has seen a file with this sha256; if not, one public source claims it.
        url: where ``fetch`` gets it; None where nobody serves the plain file.
    """

    path: str
    key: str | None = None
    sha256: str | None = None
    is_verified: bool = True
    url: str | None = None


def cube_and_labels(arrays: Mapping[str, NDArray[np.generic]]) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Return the arrays ``cube`` and ``labels`` as they are: the way of most scenes."""
    return arrays["cube"], arrays["labels"]


@dataclass(frozen=True, kw_only=True)
class SceneCard:
    """One scene. A plug-in file holds one instance, whose ``name`` is the file's.

    Attributes:
        name: registered name.
        title: name in tables and figures.
        shape: (height, width, bands).
        class_names: K names.
        class_counts: labelled pixels per class, as published; compared at every load.
        label_ids: the K ids of the classes in the label file; everything else there is unlabelled.
        files: role -> file; ``assemble`` takes the arrays by these roles.
        source: where a user gets the files.
        credit: who made the scene.
        licence: what its makers allow.
        sensor: instrument.
        gsd_m: side of a pixel on the ground in metres, None where not known.
        range_nm: first and last wavelength of the instrument in nm, None where not known.
        wavelengths_nm: (bands,) centre wavelengths in nm, None where not known exactly.
        bands_removed: what was left out of the instrument's bands.
        derived_labels: whether the labels were computed from something else than field truth.
        note: one more sentence for its provenance.
        package: (Python package, folder in it) that ships the files, if one does.
        assemble: arrays by role -> cube (height, width, bands) and raw labels (height, width).
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    label_ids: tuple[int, ...]
    files: Mapping[str, SceneFile]
    source: str
    credit: str
    licence: str = NO_LICENCE
    sensor: str = "unknown"
    gsd_m: float | None = None
    range_nm: tuple[float, float] | None = None
    wavelengths_nm: tuple[float, ...] | None = None
    bands_removed: str = "none"
    derived_labels: bool = False
    note: str = ""
    package: tuple[str, str] | None = None
    assemble: Callable[[Mapping[str, NDArray[np.generic]]], tuple[NDArray[np.generic], NDArray[np.generic]]] = (
        cube_and_labels
    )

    @property
    def provenance(self) -> str:
        """What a table's footnote must say about the scene."""
        parts = [f"{self.title}: {self.credit} ({self.licence})"]
        if self.derived_labels:
            parts.append("LABELS ARE DERIVED, not field truth")
        return "; ".join([*parts, self.note] if self.note else parts)

    def find_file(self, role: str, root: Path | None = None) -> Path | None:
        """Return where the file of ``role`` lies, or None: the data root first, then the package that ships it."""
        root = data_root() if root is None else root
        path = Path(self.files[role].path)
        places = [root / path, root / path.name]
        if self.package is not None:
            package, folder = self.package
            spec = importlib.util.find_spec(package)
            if spec is not None and spec.submodule_search_locations:
                places.append(Path(spec.submodule_search_locations[0]) / folder / path.name)
        return next((place for place in places if place.is_file()), None)

    def load(self, root: Path | None = None) -> Scene:
        """Read the scene's files and compare them with the card.

        Args:
            root: data root; None takes ``data_root()``.

        Raises:
            SceneNotFoundError: a file is missing; says where to get it and where to put it.
            MissingPackageError: the package that ships the files is missing.
            SceneError: a file is damaged or is another edition than the card describes.
        """
        cube, raw = self.assemble({role: self._read(role, root) for role in self.files})
        if cube.shape != self.shape or raw.shape != self.shape[:2]:
            raise SceneError(
                f"scene {self.name!r}: the files hold a cube of {cube.shape} and labels of {raw.shape}, the scene is "
                f"{self.shape}: get the files named by 'hsicl scenes show {self.name}'"
            )
        labels = np.full(raw.shape, -1, dtype=np.int64)
        for label, label_id in enumerate(self.label_ids):
            labels[raw == label_id] = label
        counts = tuple(np.bincount(labels[labels >= 0], minlength=len(self.label_ids)).tolist())
        if counts != self.class_counts:
            raise SceneError(
                f"scene {self.name!r}: the label map has {counts} pixels per class, published are {self.class_counts}: "
                f"it is another edition; get the one named by 'hsicl scenes show {self.name}'"
            )
        wavelengths = None if self.wavelengths_nm is None else np.array(self.wavelengths_nm, dtype=np.float64)
        return Scene(self.name, cube, labels, self.class_names, wavelengths, self.provenance)

    def _read(self, role: str, root: Path | None) -> NDArray[np.generic]:
        file = self.files[role]
        path = self.find_file(role, root)
        if path is None:
            if self.package is not None:
                raise MissingPackageError(self.package[0], f"scene {self.name!r}, which it ships,")
            target = (data_root() if root is None else root) / file.path
            get = f"run 'hsicl scenes fetch {self.name}'" if file.url else f"get it from {self.source}"
            raise SceneNotFoundError(
                f"scene {self.name!r} needs {target}, which is not there: {get}, or set HSICL_DATA to the folder that "
                "holds it"
            )
        for stored in list_arrays(path):
            if file.key is None or stored.key == file.key:
                with reading(path):
                    return stored.read()
        raise SceneError(f"{path}: holds no array {file.key!r}: get the file from {self.source}")


MEMBER: Any = SceneCard
