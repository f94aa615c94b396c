"""SceneCard: all that is known about a scene before its files are opened, and how they become a Scene."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.files.file_search import FileSearch
from benchmark.files.georeference import find_georeference
from benchmark.fixed_split import FixedSplit
from benchmark.scene import Scene
from benchmark.scenes._files import FixedSplitFiles, FoundFile, SceneFile
from hsicl_core.errors import MissingPackageError, SceneError, SceneNotFoundError

__all__ = ["EHU_FILES", "EHU_PAGE", "NO_LICENCE", "FixedSplitFiles", "SceneCard", "SceneFile", "data_root"]

EHU_PAGE = "http://www.ehu.eus/ccwintco/index.php/Hyperspectral_Remote_Sensing_Scenes"
EHU_FILES = "http://www.ehu.eus/ccwintco/uploads/"
NO_LICENCE = "no explicit data licence; public benchmark data, to be credited to its makers"


def data_root() -> Path:
    """Return the folder of scene files: ``$HSICL_DATA``, else ``~/.local/share/hsicl``."""
    return Path(os.environ.get("HSICL_DATA") or "~/.local/share/hsicl").expanduser()


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
        fixed_splits: name -> files of a split that the scene was published or is widely used with.
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
    fixed_splits: Mapping[str, FixedSplitFiles] = field(default_factory=dict)
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

    def find(self, role: str, search: FileSearch) -> FoundFile | None:
        """Return where the file of ``role`` lies, or None; see ``SceneFile.find``."""
        shipped = None
        if self.package is not None:
            package, folder = self.package
            spec = importlib.util.find_spec(package)
            if spec is not None and spec.submodule_search_locations:
                shipped = Path(spec.submodule_search_locations[0]) / folder
        return self.files[role].find(search, shipped)

    def find_file(self, role: str, root: Path | None = None) -> Path | None:
        """Return the path of the file of ``role`` below ``root``, or None."""
        found = self.find(role, FileSearch(data_root() if root is None else root))
        return None if found is None else found.path

    def load(self, root: Path | None = None) -> Scene:
        """Read the scene's files and compare them with the card.

        A file that is not the known one is taken where shape and class counts fit, and the scene's provenance says so.

        Args:
            root: data root; None takes ``data_root()``.

        Raises:
            SceneNotFoundError: a file is missing; says where to get it and where to put it.
            MissingPackageError: the package that ships the files is missing.
            SceneError: a file is damaged or is another edition than the card describes.
        """
        search = FileSearch(data_root() if root is None else root)
        found = {role: self._present(role, search) for role in self.files}
        cube, raw = self.assemble({role: file.read() for role, file in found.items()})
        # Roles may share a file.
        remarks = list(dict.fromkeys(file.remark for file in found.values() if file.remark))
        known = f" ({'; '.join(remarks)})" if remarks else ""
        if cube.shape != self.shape or raw.shape != self.shape[:2]:
            raise SceneError(
                f"scene {self.name!r}: the files hold a cube of {cube.shape} and labels of {raw.shape}, the scene is "
                f"{self.shape}{known}: get the files named by 'hsicl scenes show {self.name}'"
            )
        labels = np.full(raw.shape, -1, dtype=np.int64)
        for label, label_id in enumerate(self.label_ids):
            labels[raw == label_id] = label
        counts = tuple(np.bincount(labels[labels >= 0], minlength=len(self.label_ids)).tolist())
        if counts != self.class_counts:
            raise SceneError(
                f"scene {self.name!r}: the label map has {counts} pixels per class, published are {self.class_counts}: "
                f"it is another edition{known}; get the one named by 'hsicl scenes show {self.name}'"
            )
        return Scene(
            name=self.name,
            cube=cube,
            labels=labels,
            class_names=self.class_names,
            wavelengths_nm=None if self.wavelengths_nm is None else np.array(self.wavelengths_nm, dtype=np.float64),
            provenance="; ".join([self.provenance, *remarks]),
            fixed_splits=self.load_fixed_splits(search),
            georeference=find_georeference([file.path for file in found.values()], self.shape[:2]),
        )

    def load_fixed_splits(self, search: FileSearch) -> dict[str, FixedSplit]:
        """Return name -> published split, of those whose files are at hand.

        Raises:
            SceneError: a file is damaged or is no map of the scene's shape.
        """
        found = {name: files.find(search) for name, files in self.fixed_splits.items()}
        return {
            name: self.fixed_splits[name].read(files, self.shape[:2])
            for name, files in found.items()
            if files is not None
        }

    def remedy(self, role: str, root: Path) -> str:
        """Return what a user must do to get the file of ``role``, as the end of a sentence."""
        file = self.files[role]
        if file.url is not None and file.has_identity:
            return f"run 'hsicl scenes fetch {self.name}'"
        what = file.name if file.member is None else f"{file.member} out of the archive"
        return f"get {what} by hand from {file.url or self.source} and put it at {root / file.path}"

    def _present(self, role: str, search: FileSearch) -> FoundFile:
        found = self.find(role, search)
        if found is None:
            if self.package is not None:
                raise MissingPackageError(self.package[0], f"scene {self.name!r}, which it ships,")
            raise SceneNotFoundError(
                f"scene {self.name!r} needs {search.root / self.files[role].path}, which is not there: "
                f"{self.remedy(role, search.root)}, or set HSICL_DATA to the folder that holds it"
            )
        return found


MEMBER: Any = SceneCard
