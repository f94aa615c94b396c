"""The options of every command that splits scenes, and what they mean."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.trial import SplitSpec


def add_split_options(command: argparse.ArgumentParser) -> None:
    """Add the label budget and ``--patch-size``; the split is that of index 0 where a command has no other."""
    budget = command.add_mutually_exclusive_group()
    budget.add_argument("--labels-per-class", type=int, default=10, metavar="N")
    budget.add_argument("--labels-percent", type=float, metavar="P", help="of every class")
    budget.add_argument("--masks", metavar="NAME", help="a fixed split of the scene, under the rule given")
    command.add_argument("--patch-size", type=int, default=9, metavar="N", help="side of the patches the split guards")
    command.set_defaults(split_index=0)


def split_spec(arguments: argparse.Namespace, rule: str | None) -> SplitSpec:
    """Return the split that the options describe.

    Args:
        arguments: parsed by a command with ``add_split_options``.
        rule: registered name; None is ``"given"`` where masks are named, else ``"block"``.
    """
    from benchmark.trial import SplitSpec

    return SplitSpec(
        rule=rule or ("block" if arguments.masks is None else "given"), masks=arguments.masks,
        labels_per_class=arguments.labels_per_class, labels_percent=arguments.labels_percent,
        patch_size=arguments.patch_size, index=arguments.split_index,
    )  # fmt: skip
