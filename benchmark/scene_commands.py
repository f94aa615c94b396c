"""The commands of ``hsicl scenes``: their options, and the text that each gives back."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def add_scene_commands(commands: Any) -> None:
    """Add ``scenes list|show|fetch|import`` to the subparsers of the front door."""
    scenes = commands.add_parser("scenes", help="list, show, fetch or import scenes").add_subparsers(
        required=True, metavar="ACTION"
    )
    scenes.add_parser("list", help="all scenes and whether their files are here").set_defaults(run=_list)
    for action, run, text in (
        ("show", _show, "what a scene holds"),
        ("fetch", _fetch, "download a scene's files"),
    ):
        command = scenes.add_parser(action, help=text)
        command.add_argument("name", metavar="NAME")
        command.set_defaults(run=run)
    _add_import(scenes)


def _add_import(scenes: Any) -> None:
    command = scenes.add_parser("import", help="check your own files once; then --scene NAME works")
    command.add_argument("name", metavar="NAME")
    command.add_argument("--cube", required=True, metavar="FILE[:KEY]")
    command.add_argument("--labels", metavar="FILE[:KEY]")
    command.add_argument("--shape", metavar="H,W,B", help="of a cube that is stored flat or bands first")
    command.add_argument("--order", choices=("C", "F"), default="C", help="C: flat pixels run along rows, F: columns")
    command.add_argument("--unlabelled", type=int, metavar="ID", help="the id of unlabelled pixels, if it is not 0")
    command.set_defaults(run=_import)


def _list(arguments: argparse.Namespace) -> str:
    from benchmark.scene_list import scene_table

    return scene_table()


def _show(arguments: argparse.Namespace) -> str:
    from benchmark.scene_files import load_scene
    from benchmark.scene_list import summary_text

    return summary_text(load_scene(arguments.name))


def _fetch(arguments: argparse.Namespace) -> str:
    from benchmark.scene_fetch import fetch_scene

    return "\n".join(map(str, fetch_scene(arguments.name, progress=sys.stderr.isatty())))


def _import(arguments: argparse.Namespace) -> str:
    from benchmark.raw_arrays import read_shape
    from benchmark.scene_files import load_scene
    from benchmark.scene_import import import_scene
    from benchmark.scene_list import summary_text

    card, _ = import_scene(
        arguments.name, arguments.cube, arguments.labels, read_shape(arguments.shape), arguments.order,
        unlabelled=arguments.unlabelled,
    )  # fmt: skip
    return f"{summary_text(load_scene(arguments.name))}\nwritten: {card}; now --scene {arguments.name} works"
