"""The commands of ``hsicl scenes``: their options, and the text that each gives back."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any


def add_scene_commands(commands: Any) -> None:
    """Add ``scenes list|show|fetch|import|synthesize`` to the subparsers of the front door."""
    scenes = commands.add_parser("scenes", help="list, show, fetch, import or synthesize scenes").add_subparsers(
        required=True, metavar="ACTION"
    )
    scenes.add_parser("list", help="all scenes and whether their files are here").set_defaults(run=_list)
    for action, run, text in (
        ("show", _show, "what a scene is, where its files come from and what they hold"),
        ("fetch", _fetch, "download a scene's files"),
    ):
        command = scenes.add_parser(action, help=text)
        command.add_argument("name", metavar="NAME")
        command.set_defaults(run=run)
    _add_import(scenes)
    _add_synthesize(scenes)


def _add_import(scenes: Any) -> None:
    command = scenes.add_parser("import", help="check your own files once; then --scene NAME works")
    command.add_argument("name", metavar="NAME")
    command.add_argument("--cube", required=True, metavar="FILE[:KEY]")
    command.add_argument("--labels", metavar="FILE[:KEY]")
    command.add_argument("--shape", metavar="H,W,B", help="of the cube, where the labels do not tell its axes")
    command.add_argument("--order", choices=("C", "F"), default="C", help="C: flat pixels run along rows, F: columns")
    command.add_argument("--labels-are", default="auto", metavar="auto|map|mask|one_hot|abundances")
    command.add_argument("--unlabelled", type=int, metavar="ID", help="the id of unlabelled pixels, if it is not 0")
    command.add_argument("--class-names", metavar="A,B,C|FILE", help="in the order of the ids; a file: one per line")
    command.add_argument("--in-place", action="store_true", help="do not copy the cube's .npy: it stays where it is")
    command.add_argument("--quick-look", metavar="FILE.png", help="picture to look at; default: NAME_quick_look.png")
    command.add_argument("--yes", action="store_true", help="do not ask before the scene is written")
    command.add_argument("--dry-run", action="store_true", help="show what was understood and write no scene")
    command.set_defaults(run=_import)


# Option, field of the recipe, type, metavar, help; what is not given is left to the recipe's own defaults.
_RECIPE_OPTIONS: tuple[tuple[str, str, Callable[[str], object], str, str], ...] = (
    ("--spectra", "spectra", str, "SCENE", "whose class spectra (default: indian_pines)"),
    ("--classes", "classes", int, "K", "the K most frequent classes of it (default: all)"),
    ("--bands", "bands", int, "B", "B of its bands, evenly chosen (default: all)"),
    ("--map", "label_map", str, "SCENE", "a real label map, tiled and cropped (default: a generated one)"),
    ("--region", "region", int, "PIXELS", "side of the generated regions (default: 16)"),
    ("--proportions", "proportions", str, "HOW", "of the classes: balanced or source (default: balanced)"),
    ("--labelled", "labelled", float, "SHARE", "share of the regions with labels (default: 1)"),
    ("--border-gap", "border_gap", int, "PIXELS", "no labels this near to another class (default: 0)"),
    ("--snr", "snr_db", float, "DB", "signal over noise (default: 30)"),
    ("--mixing", "mixing", float, "X", "largest share of another class in a pixel (default: 0)"),
    ("--border-mixing", "border_mixing", int, "PIXELS", "how far classes mix across borders (default: 0)"),
    ("--variability", "variability", float, "X", "within the classes; 1 = as in real pixels (default: 1)"),
    ("--illumination", "illumination", float, "X", "gain of each pixel within 1 +- X (default: 0)"),
    ("--seed", "seed", int, "N", "of everything random (default: 0)"),
    ("--dtype", "dtype", str, "TYPE", "float32 or uint16 (default: float32)"),
)


def _add_synthesize(scenes: Any) -> None:
    command = scenes.add_parser(
        "synthesize", help="make a scene of any size from real spectra; then --scene NAME works"
    )
    command.add_argument("name", metavar="NAME")
    command.add_argument("--height", required=True, type=int, metavar="H", help="rows")
    command.add_argument("--width", required=True, type=int, metavar="W", help="columns")
    for option, field, kind, metavar, text in _RECIPE_OPTIONS:
        command.add_argument(option, dest=field, type=kind, metavar=metavar, help=text, default=argparse.SUPPRESS)
    command.add_argument(
        "--files", metavar="FOLDER", help="write cube.npy and labels.npy there instead, to be imported"
    )
    command.set_defaults(run=_synthesize)


def _list(arguments: argparse.Namespace) -> str:
    from benchmark.scene_list import scene_table

    return scene_table()


def _show(arguments: argparse.Namespace) -> str:
    from benchmark.scene_list import show_scene

    return show_scene(arguments.name)


def _fetch(arguments: argparse.Namespace) -> str:
    from benchmark.scene_fetch import fetch_scene

    return "\n".join(map(str, fetch_scene(arguments.name, progress=sys.stderr.isatty())))


def _import(arguments: argparse.Namespace) -> str:
    from benchmark.files.raw_arrays import read_shape
    from benchmark.importing.quick_look import draw_quick_look
    from benchmark.importing.scene_import import examine, read_class_names
    from benchmark.importing.scene_reading import ReadOptions

    name = arguments.name
    options = ReadOptions(
        read_shape(arguments.shape), arguments.order, arguments.labels_are, arguments.unlabelled,
        read_class_names(arguments.class_names),
    )  # fmt: skip
    with _bar(name) as progress:
        examined = examine(
            name, arguments.cube, arguments.labels, options, in_place=arguments.in_place, progress=progress
        )
    picture = draw_quick_look(examined.found.scene, Path(arguments.quick_look or f"{name}_quick_look.png"))
    # Before anything is written; a reader of the output that has gone wants no more of it.
    asks = not (arguments.yes or arguments.dry_run) and sys.stdin.isatty()
    with suppress(BrokenPipeError):
        sys.stdout.write(f"{examined.text()}\nquick look: {picture}\n{'write? [Y/n] ' if asks else ''}")
        sys.stdout.flush()
    # Return means yes, the end of the input does not.
    if arguments.dry_run or (asks and sys.stdin.readline().lower() not in {"\n", "y\n", "yes\n"}):
        return "nothing is written"
    with _bar(name) as progress:
        card = examined.write(progress)
    return f"written: {card}; now --scene {name} works"


@contextmanager
def _bar(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """Give what shows progress and time left: on a terminal, and where it takes longer than a second."""
    from tqdm import tqdm

    with tqdm(desc=name, unit="B", unit_scale=True, delay=1, disable=None, leave=False) as bar:
        seen = ""

        def show(what: str, done: int, total: int) -> None:
            nonlocal seen
            if what != seen or done < bar.n:
                bar.reset(total)
                bar.set_description(f"{name}: {what}", refresh=False)
                seen = what
            bar.update(done - bar.n)

        yield show


def _synthesize(arguments: argparse.Namespace) -> str:
    from dataclasses import fields

    from benchmark.importing.scene_summary import describe
    from benchmark.scene_files import load_scene
    from benchmark.synthetic.recipe import SyntheticRecipe
    from benchmark.synthetic.writing import import_synthetic, write_synthetic

    name = arguments.name
    known = {field.name for field in fields(SyntheticRecipe)}
    recipe = SyntheticRecipe(**{key: value for key, value in vars(arguments).items() if key in known})
    with _bar(name) as bar:
        progress = partial(bar, "writing")
        if arguments.files is None:
            card = import_synthetic(name, recipe, progress=progress)
        else:
            cube, labels = write_synthetic(arguments.files, recipe, progress=progress)
    if arguments.files is None:
        lines = describe(load_scene(name)).lines()
        return "\n".join([*lines, f"written: {card}; now --scene {name} works"])
    return (
        f"written: {cube}, {labels}\nto import: hsicl scenes import {name} --cube {cube} --labels {labels} "
        f"--unlabelled -1 --class-names {labels.with_name('class_names.txt')}"
    )
