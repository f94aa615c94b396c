"""The files of a scene card: where they may lie, which of them are known, what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.files.array_files import list_arrays
from benchmark.files.file_identity import digests
from benchmark.files.file_search import FileSearch
from benchmark.files.stored_array import reading
from benchmark.fixed_split import FixedSplit
from hsicl_core.errors import SceneError

# Reading a file takes longer than its digests up to this size; of larger ones, arrays are mapped and not read.
CHECKED_AT_LOADING_BYTES = 128 * 2**20


@dataclass(frozen=True, kw_only=True)
class SceneFile:
    """One array of a scene.

    Attributes:
        path: where it lies below the data root; a file of its name is looked for everywhere below it.
        key: name of the array in the file, in upper or lower case; None where the format has no names.
        sha256: of the file; None where no known file was at hand.
        is_verified: whether the project has seen a file with this sha256; if not, one public source claims it.
        git_blob: of the file, as public repositories hold it; None where none is known to.
        url: where it can be downloaded; None where nobody serves it. ``fetch`` takes only what has a known identity.
        member: name of the file in the zip archive that ``url`` serves; None where it serves the plain file.
        also: other files that hold the same array, for those who have it under another name.
    """

    path: str
    key: str | None = None
    sha256: str | None = None
    is_verified: bool = True
    git_blob: str | None = None
    url: str | None = None
    member: str | None = None
    also: tuple[SceneFile, ...] = ()

    @property
    def name(self) -> str:
        """The file's name without folders."""
        return Path(self.path).name

    @property
    def has_identity(self) -> bool:
        """Whether there is anything to compare a file with."""
        return self.sha256 is not None or self.git_blob is not None

    def is_known(self, path: Path) -> bool:
        """Whether the file at ``path`` has the SHA-256 or the git blob id of the card. Cost: a reading, once."""
        found = digests(path)
        return found.sha256 == self.sha256 or found.git_blob == self.git_blob

    def find(self, search: FileSearch, shipped: Path | None = None) -> FoundFile | None:
        """Return where the array lies, or None.

        Looked at in this order: the place that the card names, its file name right in the data root, the package that
        ships it, and a file of its name anywhere below the data root; then the same for each of ``also``.

        Args:
            search: of the data root.
            shipped: folder of a package that ships the file.

        Raises:
            SceneError: several different files of the name lie below the data root, none of them known.
        """
        places = [search.root / self.path, search.root / self.name]
        if shipped is not None:
            places.append(shipped / self.name)
        path = next((place for place in places if place.is_file()), None) or self._one_of(search.named(self.name))
        if path is not None:
            return FoundFile(path, self)
        others = (other.find(search) for other in self.also)
        return next((found for found in others if found is not None), None)

    def _one_of(self, paths: list[Path]) -> Path | None:
        if len(paths) < 2:
            return paths[0] if paths else None
        known = [path for path in paths if self.is_known(path)]
        if known:
            return known[0]
        different = [path for path in paths[1:] if digests(path) != digests(paths[0])]
        if different:
            raise SceneError(
                f"{paths[0]} and {different[0]} differ and neither is the known file of this name: "
                f"delete or rename one of them, or put the right one at {self.path} of the data root"
            )
        return paths[0]


@dataclass(frozen=True)
class FoundFile:
    """A file that is there.

    Attributes:
        path: where.
        file: what it should be.
    """

    path: Path
    file: SceneFile

    @property
    def remark(self) -> str:
        """What must be said about its identity where a scene was made from it; empty where it is the known file."""
        if not self.file.has_identity:
            return f"no identity of {self.path.name} is known"
        if self.path.stat().st_size > CHECKED_AT_LOADING_BYTES:
            return f"identity of {self.path.name} not checked at loading"
        if not self.file.is_known(self.path):
            return f"{self.path.name} IS NOT THE KNOWN FILE, its SHA-256 is {digests(self.path).sha256}"
        return ""

    def read(self) -> NDArray[np.generic]:
        """Return the array.

        Raises:
            SceneError: the file is damaged or holds no array of the name.
        """
        stored = list_arrays(self.path)
        for array in stored:
            if self.file.key is None or array.key.lower() == self.file.key.lower():
                with reading(self.path):
                    return array.read()
        held = ", ".join(array.key for array in stored) or "none"
        raise SceneError(f"{self.path}: holds no array {self.file.key!r} but {held}: get the file again")


@dataclass(frozen=True, kw_only=True)
class FixedSplitFiles:
    """The files of a published split.

    Attributes:
        files: ``"train"`` and ``"test"``, and ``"val"`` where the split has one, -> file.
        classes: mask id -> class index; None where mask ids are not to be compared with the scene's labels.
        source: who published it.
        known_defects: what a table's footnote must say about it.
    """

    files: Mapping[str, SceneFile]
    classes: Mapping[int, int] | None
    source: str
    known_defects: str = ""

    def find(self, search: FileSearch) -> dict[str, FoundFile] | None:
        """Return part -> file, or None where one is missing."""
        found = {part: file.find(search) for part, file in self.files.items()}
        there = {part: file for part, file in found.items() if file is not None}
        return there if len(there) == len(found) else None

    def read(self, found: Mapping[str, FoundFile], shape: tuple[int, int]) -> FixedSplit:
        """Return the split.

        Args:
            found: part -> file, all of them.
            shape: (height, width) of the scene.

        Raises:
            SceneError: a file is damaged or is no map of this shape.
        """
        masks: dict[str, NDArray[np.integer]] = {}
        for part, file in found.items():
            mask = file.read()
            if mask.shape != shape or mask.dtype.kind not in "biuf" or not (mask == np.floor(mask)).all():
                raise SceneError(
                    f"{file.path}: holds {mask.dtype} of shape {mask.shape}, a fixed split's mask must be whole "
                    f"numbers of shape {shape}: get it again or move it out of the data root"
                )
            masks[part] = mask.astype(np.int64)
        remarks = [file.remark for file in found.values() if file.remark]
        return FixedSplit(
            **masks, classes=self.classes, source="; ".join([self.source, *remarks]), known_defects=self.known_defects
        )
