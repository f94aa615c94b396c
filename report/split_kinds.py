"""What the way of splitting does to the scores: the same entrants under several rules or label budgets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from report.groups import Configuration, Group, value_key
from report.settings import Usual, settings_text
from report.statistics import paired_difference, score_interval
from report.text import markdown_table, number, with_interval

GUARDED = "block"
_NOTE = (
    "Test OA in points with 95% intervals of the mean over splits and seeds (crossed, both random). Differences are "
    f"taken between splits of equal index and equal seeds, from the rule {GUARDED!r} with the same budget; "
    "'random' and 'buffered_random' train on the same pixels at the same index. Every kind of split tests on other "
    "pixels, and rules that guard leave out classes that they cannot serve (see the last table): columns differ by "
    "more than what was trained on. Under 'block' a larger budget comes from as few blocks as a small one."
)


def split_kinds_markdown(groups: Sequence[Group], usual: Usual) -> list[str]:
    """Return the lines of three tables over all kinds of split: scores, differences to the guarded rule, the splits.

    None where every scene was split in one way only.

    Args:
        groups: of one store.
        usual: the settings that need not be named.
    """
    kinds = _kinds(groups)
    if len(kinds) < 2:
        return []
    by_kind = {(group.key["scene"], group.kind): group for group in groups}
    scores, differences = [], []
    for scene, item in _entrants(groups):
        start = (scene, item.method, settings_text(item, usual), item.protocol)
        found = [_same(by_kind.get((scene, kind)), item) for kind in kinds]
        scores.append((*start, *(_score(other) for other in found)))
        guarded = [_same(by_kind.get((scene, base)), item) for base in map(_guarded_kind, kinds)]
        differences.append((*start, *map(_difference, found, guarded)))
    words = ("scene", "method", "settings", "protocol")
    heads = [*words, *kinds]
    lines = ["### What the split does to test OA", "", *markdown_table(heads, scores, words), ""]
    others = [index for index, kind in enumerate(heads) if kind in words or kind != _guarded_kind(kind)]
    if any(cell not in ("-", "") for row in differences for cell in row[len(words) :]):
        rows = [tuple(row[index] for index in others) for row in differences]
        lines += [f"### Test OA minus that under the rule {GUARDED}", ""]
        lines += [*markdown_table([heads[index] for index in others], rows, words), ""]
    split_heads = ("scene", "split", "leakage %", "test pixels", "classes served")
    ordered = sorted(groups, key=lambda group: (str(group.key["scene"]), kinds.index(group.kind)))
    lines += ["### The splits", "", *markdown_table(split_heads, map(_of_splits, ordered), split_heads[:2]), ""]
    return [*lines, _NOTE, ""]


def _kinds(groups: Iterable[Group]) -> list[str]:
    """Return the kinds of split by rule, then by budget: per class first, then per cent."""
    order = {
        group.kind: (
            str(group.key["split_rule"]),
            group.key["labels_per_class"] or float("inf"),
            group.key["labels_percent"] or 0,
        )
        for group in groups
    }
    return sorted(order, key=lambda kind: (*order[kind], kind))


def _entrants(groups: Iterable[Group]) -> list[tuple[str, Configuration]]:
    """Return every scene's configurations once, whatever the split."""
    found: dict[tuple[str, str], Configuration] = {}
    for group in groups:
        for item in group.configurations:
            found.setdefault((str(group.key["scene"]), _identity(item)), item)
    return [(scene, item) for (scene, _), item in sorted(found.items(), key=lambda pair: _order(*pair))]


def _order(key: tuple[str, str], item: Configuration) -> tuple[str, bool, str, str]:
    return key[0], item.is_bound, item.method, key[1]


def _identity(item: Configuration) -> str:
    return value_key([item.method, item.protocol, item.params])


def _same(group: Group | None, item: Configuration) -> Configuration | None:
    """Return the configuration of another split, complete or not."""
    others = group.configurations if group is not None else ()
    return next((other for other in others if _identity(other) == _identity(item)), None)


def _guarded_kind(kind: str) -> str:
    """Return the guarded rule with the budget of ``kind``."""
    return GUARDED + kind[kind.index(" split, ") :]


def _score(item: Configuration | None) -> str:
    if item is None:
        return "-"
    return with_interval(score_interval(item.oa).in_points()) if item.is_complete else "withheld"


def _difference(item: Configuration | None, guarded: Configuration | None) -> str:
    if item is None or guarded is None or item is guarded:
        return "-"
    if not (item.is_complete and guarded.is_complete and item.oa.shape == guarded.oa.shape):
        return "withheld"
    return with_interval(paired_difference(item.oa, guarded.oa).in_points())


def _of_splits(group: Group) -> tuple[str, ...]:
    rows = next((item.rows for item in group.configurations if item.rows["is_usable"].any()), None)
    if rows is None:
        return (str(group.key["scene"]), group.kind, "-", "-", "-")
    is_usable = rows["is_usable"].astype(bool)
    classes = zip(rows["class_names"][is_usable], rows["unsupported_classes"][is_usable], strict=True)
    served = [len(names) - len(unsupported) for names, unsupported in classes]
    few, many = min(served), max(served)
    return (
        str(group.key["scene"]),
        group.kind,
        number(100 * rows.mean("leakage")),
        number(rows.mean("n_test"), 0),
        f"{few}" if few == many else f"{few} to {many}",
    )
