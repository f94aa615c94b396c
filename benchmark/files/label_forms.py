"""Labels of any form, a map, a mask, one-hot or abundances, as -1, 0..K-1 and K names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsicl_core.errors import InvalidValueError, SceneError

# More ids than this in one map are measurements, not classes.
MOST_CLASSES = 1000
# How far abundances may be from fractions that sum to 1.
_NEARLY = 0.05
# Names under which a file says that an id is no class.
_NO_CLASS = {"unclassified", "unlabelled", "unlabeled", "background", "undefined", "nodata", "no data", "none"}
_BLOCK_VALUES = 2**22


@dataclass(frozen=True)
class ReadLabels:
    """Labels, and how they were understood.

    Attributes:
        labels: (height, width) int64, -1 = unlabelled, else 0..K-1.
        class_names: K names.
        form: a name of ``FORMS`` but ``"auto"``.
        notes: what a person should know about them.
        is_derived: whether they were computed rather than given.
    """

    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    form: str
    notes: tuple[str, ...] = ()
    is_derived: bool = False


@dataclass(frozen=True)
class _Wishes:
    """What the user, or the file, says about the labels."""

    where: str
    unlabelled: int | None
    class_names: tuple[str, ...] | None
    id_names: tuple[str, ...] | None

    def named(self, ids: Sequence[int], default: Callable[[int], str] = "class {}".format) -> tuple[str, ...]:
        """Return the names of the classes with these ids.

        Raises:
            SceneError: not as many names as classes, or one of them twice.
        """
        names = self.class_names
        if names is None:
            known = self.id_names or ()
            names = tuple(known[i] if i < len(known) and known[i] else default(i) for i in ids)
        if len(names) != len(ids):
            raise SceneError(
                f"{self.where}: {len(names)} class names for {len(ids)} classes (ids {', '.join(map(str, ids[:20]))}): "
                "give one name per class, in the order of the ids"
            )
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise SceneError(f"{self.where}: two classes are called {twice!r}: give each its own, --class-names A,B,C")
        return names


def read_labels(
    raw: NDArray[np.generic],
    where: str,
    *,
    form: str = "auto",
    unlabelled: int | None = None,
    class_names: Sequence[str] | None = None,
    id_names: Sequence[str] | None = None,
) -> ReadLabels:
    """Return labels -1, 0..K-1 and the K class names of an array in any form.

    Args:
        raw: (height, width) for a map or mask, (height, width, K) for one-hot labels or abundances. NaN and negative
            ids are unlabelled; in a map without any, 0 is. A pixel whose K values are all 0 or NaN is unlabelled.
        where: the file, for messages.
        form: ``"map"``: whole-number ids; ``"mask"``: outside 0, inside anything else; ``"one_hot"``: 0 and 1, at
            most one 1 per pixel; ``"abundances"``: the largest counts, the first of equal ones; ``"auto"``: what the
            values can only be.
        unlabelled: the id of a map or mask that means unlabelled, if it is another.
        class_names: names of the classes: of a map in the order of its ids, of K values all K.
        id_names: names of the ids 0, 1, ... as the file gives them, used where ``class_names`` is None.

    Raises:
        InvalidValueError: an unknown form, or ``unlabelled`` where no ids are.
        SceneError: the values are not of the form, or make no two classes.

    Cost: two passes over ``raw``, in blocks of rows.
    """
    if form not in FORMS:
        raise InvalidValueError(f"labels_are={form!r} is no form of labels: choose one of {', '.join(FORMS)}")
    if raw.dtype.kind not in "biuf":
        raise SceneError(f"{where}: labels have dtype {raw.dtype}, they must be numbers: name the array of class ids")
    if raw.size == 0:
        raise SceneError(f"{where}: labels of shape {raw.shape} hold nothing: name the array of class ids")
    if raw.ndim == 3 and raw.shape[2] == 1:
        raw = raw[..., 0]
    wishes = _Wishes(
        where,
        unlabelled,
        None if class_names is None else tuple(class_names),
        None if id_names is None else tuple(id_names),
    )
    expected = {"auto": raw.ndim, "map": 2, "mask": 2, "one_hot": 3, "abundances": 3}[form]
    if raw.ndim != expected:
        seen = "one value per pixel" if raw.ndim == 2 else f"{raw.shape[2]} values per pixel"
        raise SceneError(f"{where}: labels hold {seen}, which cannot be {form}: choose another --labels-are")
    return FORMS[form](raw, wishes)


def _auto(raw: NDArray[np.generic], wishes: _Wishes) -> ReadLabels:
    if raw.ndim == 2:
        return (_mask if raw.dtype.kind == "b" else _map)(raw, wishes)
    seen = _survey(raw, wishes)
    if not seen.is_one_hot and not seen.is_fractions:
        raise SceneError(
            f"{wishes.where}: labels hold {raw.shape[2]} values per pixel, {seen}: neither one-hot (0 and 1, at most "
            "one 1) nor abundances (0 to 1, sum 1): name the right array, or say --labels-are abundances"
        )
    return (_one_hot if seen.is_one_hot else _abundances)(raw, wishes)


def _map(raw: NDArray[np.generic], wishes: _Wishes) -> ReadLabels:
    found: NDArray[np.generic] = np.unique(raw[:0])
    for rows in _blocks(raw):
        found = np.union1d(found, np.unique(raw[rows]))
        if found.size > MOST_CLASSES + 2:
            break
    values = found.astype(np.float64)
    out = np.isnan(values) | (values < 0)
    has_zero_class = bool(wishes.id_names) and str((wishes.id_names or ("",))[0]).strip().lower() not in _NO_CLASS
    if wishes.unlabelled is not None:
        out |= values == wishes.unlabelled
    elif not out.any() and not has_zero_class:
        out = values == 0
    ids = values[~out]
    if ids.size == 0:
        raise SceneError(
            f"{wishes.where}: no pixel is labelled: name the array of class ids, or say what means unlabelled"
        )
    if not np.isfinite(ids).all() or (ids != np.floor(ids)).any() or ids.size > MOST_CLASSES:
        raise SceneError(
            f"{wishes.where}: {ids.size} different labels from {ids[0]:g} to {ids[-1]:g}, they must be whole numbers, "
            f"at most {MOST_CLASSES} of them: name the array of class ids"
        )
    if ids.size == 1 and wishes.class_names is None:
        raise SceneError(
            f"{wishes.where}: one class only, id {ids[0]:g}; at least two classes are needed: name another array, or "
            "say --labels-are mask if the rest is the other class"
        )
    table = np.where(out, -1, np.cumsum(~out) - 1)
    labels = np.empty(raw.shape, dtype=np.int64)
    for rows in _blocks(raw):
        labels[rows] = table[np.searchsorted(found, raw[rows])]
    return ReadLabels(labels, wishes.named([int(i) for i in ids]), "map")


def _mask(raw: NDArray[np.generic], wishes: _Wishes) -> ReadLabels:
    labels = np.empty(raw.shape, dtype=np.int64)
    for rows in _blocks(raw):
        block = raw[rows].astype(np.float64)
        out = np.isnan(block) | (block < 0)
        if wishes.unlabelled is not None:
            out |= block == wishes.unlabelled
        labels[rows] = np.where(out, -1, block != 0)
    for label, name in enumerate(("outside", "inside")):
        if not (labels == label).any():
            raise SceneError(f"{wishes.where}: a mask without any pixel {name}: at least two classes are needed")
    return ReadLabels(labels, wishes.named([0, 1], ("outside", "inside").__getitem__), "mask")


def _one_hot(raw: NDArray[np.generic], wishes: _Wishes) -> ReadLabels:
    seen = _survey(raw, wishes)
    if not seen.is_one_hot:
        raise SceneError(f"{wishes.where}: {seen}, one-hot labels are 0 and 1 with at most one 1 per pixel")
    return _largest(raw, wishes, "one_hot")


def _abundances(raw: NDArray[np.generic], wishes: _Wishes) -> ReadLabels:
    seen = _survey(raw, wishes)
    if not np.isfinite([seen.low, seen.high]).all():
        raise SceneError(f"{wishes.where}: {seen}, abundances must be finite, or NaN where there are none")
    return _largest(raw, wishes, "abundances")


FORMS: dict[str, Callable[[NDArray[np.generic], _Wishes], ReadLabels]] = {
    "auto": _auto,
    "map": _map,
    "mask": _mask,
    "one_hot": _one_hot,
    "abundances": _abundances,
}


def _largest(raw: NDArray[np.generic], wishes: _Wishes, form: str) -> ReadLabels:
    """Label every pixel by its largest value; classes that are nowhere the largest are left out."""
    n = raw.shape[2]
    labels = np.empty(raw.shape[:2], dtype=np.int64)
    for rows in _blocks(raw):
        block = raw[rows].astype(np.float64)
        block[np.isnan(block)] = -np.inf
        labels[rows] = np.where(block.max(axis=2) > 0, block.argmax(axis=2), -1)
    # Columns count from 0, the ids of a map from 1.
    names = wishes.named([i + 1 for i in range(n)])
    is_used = np.bincount(labels[labels >= 0], minlength=n) > 0
    if not is_used.any():
        raise SceneError(f"{wishes.where}: no pixel is labelled, no value is above 0: name the array of labels")
    notes = []
    if not is_used.all():
        lost = ", ".join(name for name, used in zip(names, is_used, strict=True) if not used)
        notes.append(f"left out, as no pixel is theirs: {lost}")
        labels = np.append(np.where(is_used, np.cumsum(is_used) - 1, -1), -1)[labels]
        names = tuple(name for name, used in zip(names, is_used, strict=True) if used)
    return ReadLabels(labels, names, form, tuple(notes), is_derived=form == "abundances")


@dataclass(frozen=True)
class _Survey:
    low: float
    high: float
    is_binary: bool
    most_ones: int
    sums: tuple[float, float]

    @property
    def is_one_hot(self) -> bool:
        return self.is_binary and self.most_ones == 1

    @property
    def is_fractions(self) -> bool:
        return (
            self.low >= -(_NEARLY**2)
            and self.high <= 1 + _NEARLY
            and not self.is_binary
            and abs(self.sums[0] - 1) <= _NEARLY
            and abs(self.sums[1] - 1) <= _NEARLY
        )

    def __str__(self) -> str:
        return (
            f"values from {self.low:g} to {self.high:g}, {'only 0 and 1' if self.is_binary else 'not only 0 and 1'}, "
            f"sums of a pixel from {self.sums[0]:g} to {self.sums[1]:g}"
        )


def _survey(raw: NDArray[np.generic], wishes: _Wishes) -> _Survey:
    if wishes.unlabelled is not None:
        raise InvalidValueError(
            f"unlabelled={wishes.unlabelled} given with {raw.shape[2]} values per pixel, where pixels whose values are "
            "all 0 or NaN are unlabelled: leave it out"
        )
    if raw.shape[2] > MOST_CLASSES:
        raise SceneError(
            f"{wishes.where}: {raw.shape[2]} values per pixel, at most {MOST_CLASSES} classes are understood: "
            "name the array of labels"
        )
    low, high, is_binary, most_ones = np.inf, -np.inf, True, 0
    smallest, largest = np.inf, -np.inf
    for rows in _blocks(raw):
        block = raw[rows].astype(np.float64)
        block = block[~np.isnan(block).all(axis=2)]
        if block.size == 0:
            continue
        low, high = min(low, float(np.nanmin(block))), max(high, float(np.nanmax(block)))
        is_binary &= bool(((block == 0) | (block == 1) | np.isnan(block)).all())
        most_ones = max(most_ones, int((block == 1).sum(axis=1).max()))
        with np.errstate(invalid="ignore"):
            sums = np.nansum(block, axis=1)[(block > 0).any(axis=1)]
        if sums.size:
            smallest, largest = min(smallest, float(sums.min())), max(largest, float(sums.max()))
    if low > high:
        raise SceneError(f"{wishes.where}: no pixel is labelled, all values are NaN: name the array of labels")
    return _Survey(low, high, is_binary, most_ones, (smallest, largest))


def _blocks(raw: NDArray[np.generic]) -> Iterator[slice]:
    n_rows = max(1, _BLOCK_VALUES // max(1, raw[0].size))
    return (slice(top, top + n_rows) for top in range(0, raw.shape[0], n_rows))
