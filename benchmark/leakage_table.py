"""How much the usual splits leak, on real label maps: ``python -m benchmark.leakage_table [FOLDER]``.

Writes the table as README.md and leakage.csv, of the label maps below the data root. It takes several minutes.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.files.array_files import list_arrays
from benchmark.registries import SCENES
from benchmark.scenes.base import data_root
from benchmark.split import Split, covered_share, leakage, make_split
from hsicl_core.errors import SplitError, UserError

FOLDER = Path("results/released/leakage")
PATCH_SIZES = tuple(range(5, 26, 2))
N_SPLITS = 5
DRAWN: dict[str, dict[str, Any]] = {
    "random 10/class": {"rule": "random", "labels_per_class": 10},
    "random 10%": {"rule": "random", "labels_percent": 10},
    "buffered_random 10/class": {"rule": "buffered_random", "labels_per_class": 10},
    "block 10/class": {"rule": "block", "labels_per_class": 10},
}
COLUMNS = (
    "scene", "height", "width", "classes", "labelled", "split", "patch_size", "splits_made", "leakage", "covered_share",
    "test_share", "classes_served", "classes_validated", "train_pixels", "val_pixels",
)  # fmt: skip
# Scenes whose cubes are at hand, and label maps without cubes: name -> files and their published splits.
AT_HAND = ("indian_pines", "salinas_a", "pavia_university_roi", "jasper_ridge")
MAPS = {
    "pavia_university": "labels_only/PaviaU_gt.mat",
    "salinas": "labels_only/Salinas_gt.mat",
    "ksc": "labels_only/KSC_gt.mat",
    "botswana": "labels_only/Botswana_gt.mat",
    "trento": "labels_only/Trento_allgrd.mat",
}
PUBLISHED = {
    "indian_pines": ("IndianPines_splits/IndianTR123_temp123.tif", "IndianPines_splits/IndianTE123_temp123.tif"),
    "pavia_university": ("labels_only/TRpaviaU_3921.mat", "labels_only/TSpaviaU.mat"),
    "houston_2013": ("Houston2013_labels/TRLabel_map.mat", "Houston2013_labels/TSLabel_map.mat"),
}
# All label maps of the table.
NAMES = (*AT_HAND, *MAPS, "houston_2013")


@dataclass(frozen=True)
class LabelMap:
    """A real label map.

    Attributes:
        labels: (height, width), -1 = unlabelled.
        masks: train and test mask of its published split; none where there is none.
    """

    labels: NDArray[np.int64]
    masks: Mapping[str, NDArray[np.int64]]

    @property
    def splits(self) -> dict[str, dict[str, Any]]:
        """Arguments of ``make_split`` by the name of the split."""
        return {"given": {"rule": "given", **self.masks}, **DRAWN} if self.masks else DRAWN


def real_map(name: str) -> LabelMap:
    """Return a label map of the table.

    Raises:
        UserError: its files are not at hand.
    """
    masks = dict(zip(("train_mask", "test_mask"), map(_ids, PUBLISHED.get(name, ())), strict=False))
    if name in AT_HAND:
        return LabelMap(SCENES.get(name).load().labels, masks)
    # Houston's ground truth is published in two parts, which do not overlap.
    ids = _ids(MAPS[name]) if name in MAPS else np.maximum(masks["train_mask"], masks["test_mask"])
    return LabelMap(ids - 1, masks)


def measured(name: str, labels: LabelMap, split: str, patch_size: int) -> dict[str, str]:
    """Return one row of the table: means over the splits 0 to 4, of those that the rule can make.

    Args:
        name: the label map's.
        labels: the label map.
        split: one of its ``splits``.
        patch_size: side in pixels, odd.

    Returns:
        Column -> text; empty where no split could be made.
    """
    made = []
    for index in range(N_SPLITS):
        try:
            made.append(make_split(labels.labels, patch_size=patch_size, index=index, **labels.splits[split]))
        except SplitError:
            continue
    n_labelled = int((labels.labels >= 0).sum())
    row = {
        "scene": name,
        "height": str(labels.labels.shape[0]),
        "width": str(labels.labels.shape[1]),
        "classes": str(len(np.unique(labels.labels)) - int(labels.labels.min() < 0)),
        "labelled": str(n_labelled),
        "split": split,
        "patch_size": str(patch_size),
        "splits_made": str(len(made)),
    }
    if made:
        each = np.mean([_shares(one, labels.labels, n_labelled) for one in made], axis=0)
        row |= dict(zip(COLUMNS[len(row) :], (f"{value:.6g}" for value in each), strict=True))
    return {column: row.get(column, "") for column in COLUMNS}


def _shares(split: Split, labels: NDArray[np.int64], n_labelled: int) -> list[float]:
    shape = (labels.shape[0], labels.shape[1])
    served = len(np.unique(labels.ravel()[split.train]))
    return [
        leakage(split, shape), covered_share(split, shape), split.test.size / n_labelled,
        served, served - len(split.unvalidated), split.train.size, split.val.size,
    ]  # fmt: skip


def _ids(path: str) -> NDArray[np.int64]:
    return list_arrays(data_root() / path)[0].read().astype(np.int64)


def as_csv(rows: Iterable[Mapping[str, str]]) -> str:
    """Return the rows as the text of the CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


HEAD = f"""<!-- generated by: python -m benchmark.leakage_table -->

# Leakage of splits on real label maps

A patch classifier sees a window around every pixel. A test pixel leaks where its window and the window of a training
pixel have a pixel in common. Figures are per cent by side of the patch in pixels, means over the splits
0 to {N_SPLITS - 1} with up to 10 validation pixels per class; `leakage.csv` holds them as shares, and more.

- **meets**: test pixels whose patch shares a pixel with a training patch (`benchmark.leakage`).
- **covers**: test pixels with a training pixel inside their own patch (`benchmark.split.covered_share`), the milder
  number.
- **kept**: test pixels of all labelled pixels and, in brackets, the classes that the split serves. A dash: the rule can
  make no split; a star: not at every index, and the mean is over the others.

The rules `random` and `given` guard nothing; `given` is a published pair of masks, of whose labelled training pixels up
to 10 per class validate. `buffered_random` draws as `random` and leaves out what leaks, `block` takes few small blocks
per class: these two leak nothing, as measured, and what that costs is under *kept*.
"""
UNGUARDED = (("meets", "leakage"), ("covers", "covered_share"))


def as_page(rows: Sequence[Mapping[str, str]]) -> str:
    """Return the rows as the text of the page, one table per label map."""
    parts = [HEAD]
    for name in dict.fromkeys(row["scene"] for row in rows):
        of_map = [row for row in rows if row["scene"] == name]
        first = of_map[0]
        parts.append(
            f"\n## {name}\n\n{first['height']} x {first['width']} pixels, {first['labelled']} labelled, "
            f"{first['classes']} classes{_caveat(name)}\n\n"
            f"| split | | {' | '.join(map(str, PATCH_SIZES))} |\n|:---|:---|{'---:|' * len(PATCH_SIZES)}\n"
        )
        for split in dict.fromkeys(row["split"] for row in of_map):
            cells = [row for row in of_map if row["split"] == split]
            leaks = any(float(row["leakage"] or 0) for row in cells)
            for title, column in UNGUARDED if leaks else ():
                parts.append(_line(f"{split} | {title}", [_percent(row, column) for row in cells]))
            if not leaks:
                kept = [f"{_percent(row, 'test_share')} {_classes(row)}".strip() for row in cells]
                parts.append(_line(f"{split} | kept", kept))
    return "".join(parts)


def _caveat(name: str) -> str:
    return "; LABELS ARE DERIVED, not field truth" if name in AT_HAND and SCENES.get(name).derived_labels else ""


def _line(title: str, cells: Iterable[str]) -> str:
    return f"| {title} | {' | '.join(cells)} |\n"


def _percent(row: Mapping[str, str], column: str) -> str:
    return f"{100 * float(row[column]):.1f}" if row[column] else "-"


def _classes(row: Mapping[str, str]) -> str:
    star = "" if int(row["splits_made"]) == N_SPLITS else "*"
    return f"({float(row['classes_served']):.3g}){star}" if row["classes_served"] else ""


def main(argv: Sequence[str]) -> int:
    """Write the table below the folder that is named, or where the released one lies; return the exit status."""
    folder = Path(argv[0]) if argv else FOLDER
    rows = []
    try:
        for name in NAMES:
            labels = real_map(name)
            for split in labels.splits:
                sys.stderr.write(f"{name}: {split}\n")
                rows += [measured(name, labels, split, patch_size) for patch_size in PATCH_SIZES]
    except UserError as error:
        sys.stderr.write(f"leakage_table: {error}\n")
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "leakage.csv").write_text(as_csv(rows), encoding="utf-8")
    (folder / "README.md").write_text(as_page(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
