"""Which setting validation supports over all scenes: configurations that ran on every scene, ranked by validation OA.

Test scores are shown beside the rank and play no part in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from report.comparison import reference_of
from report.groups import Configuration, Group, value_key
from report.settings import Usual, settings_text, usual_settings
from report.standings import REFERENCE
from report.statistics import Interval, paired_difference, score_interval
from report.text import markdown_cell, markdown_table, number, with_interval

_COLUMNS = ("rank", "method", "settings", "protocol", "OA val", "OA test", "test OA minus NT-Xent")
_NOTE = (
    "Ranked by validation OA, averaged over the scenes; test OA had no part in the rank. Intervals are over splits and "
    "seeds of the averages over these scenes: they say nothing about other scenes."
)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One configuration on all scenes.

    Attributes:
        item: the configuration as it is on the first scene.
        val_oa: mean validation OA over scenes, splits and seeds, a fraction.
        oa: (splits, seeds) test OA averaged over the scenes, fractions.
    """

    item: Configuration
    val_oa: float
    oa: NDArray[np.float64]

    @property
    def test(self) -> Interval:
        """Mean test OA."""
        return score_interval(self.oa)


def rank_by_validation(groups: Sequence[Group]) -> list[Choice]:
    """Return the configurations that are complete in every group, the best on validation first.

    Configurations that saw all labels are left out: they are bounds and no choice.

    Args:
        groups: one per scene, of one grid of splits and seeds, alike in all else.
    """
    found: dict[str, list[Configuration]] = defaultdict(list)
    for group in groups:
        for item in group.configurations:
            if item.is_complete and not item.is_bound:
                found[value_key([item.method, item.protocol, item.params])].append(item)
    choices = [
        Choice(
            item=items[0],
            val_oa=float(np.mean([item.val_oa.mean() for item in items])),
            oa=np.mean([item.oa for item in items], axis=0),
        )
        for items in found.values()
        if len(items) == len(groups)
    ]
    # Rounded: means of equal scores summed in another order differ in the last bit.
    return sorted(choices, key=lambda choice: (-round(choice.val_oa, 12), choice.item.config_id))


def choices_markdown(groups: Sequence[Group]) -> list[str]:
    """Return the lines of one table per set of scenes with the same rules; none where there is one scene only."""
    alike: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        rules = {name: value for name, value in group.key.items() if name not in ("scene", "scene_hash")}
        alike[value_key([rules, group.splits, group.seeds])].append(group)
    usual = usual_settings(groups)
    lines: list[str] = []
    for members in alike.values():
        choices = rank_by_validation(members)
        if len(members) > 1 and choices:
            lines += _table(members, choices, usual)
    return [*lines, _NOTE, ""] if lines else []


def _table(groups: Sequence[Group], choices: Sequence[Choice], usual: Usual) -> list[str]:
    scenes = markdown_cell(", ".join(str(group.key["scene"]) for group in groups))
    rows = []
    for rank, choice in enumerate(choices, start=1):
        item = choice.item
        plain = _reference(choices, item)
        rows.append((
            str(rank), item.method, settings_text(item, usual), item.protocol, number(100 * choice.val_oa),
            with_interval(choice.test.in_points()),
            "-" if plain is None else with_interval(paired_difference(choice.oa, plain.oa).in_points()),
        ))  # fmt: skip
    heading = f"### All of {scenes}, {markdown_cell(groups[0].kind)}: what validation supports"
    return [heading, "", *markdown_table(_COLUMNS, rows, _COLUMNS[1:4]), ""]


def _reference(choices: Sequence[Choice], item: Configuration) -> Choice | None:
    """Return NT-Xent as ``item`` is to be compared with it, if there is one."""
    found = reference_of([choice.item for choice in choices], item, REFERENCE)
    return next((choice for choice in choices if choice.item is found), None)
