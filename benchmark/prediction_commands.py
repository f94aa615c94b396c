"""The commands ``hsicl bench export-splits`` and ``hsicl bench score``: predicted elsewhere, scored here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.split_options import add_split_options, split_spec

# Where ``hsicl bench`` writes.
STORE = "results/runs/bench"


class _Action(argparse._SubParsersAction):
    """Refuses options that stand before the action, where argparse would drop them without a word."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        before = [name for name, value in vars(namespace).items() if value != parser.get_default(name)]
        if before:
            parser.error(f"options of {values[0]} come after it, got some before it")
        super().__call__(parser, namespace, values, option_string)


def add_prediction_commands(bench: argparse.ArgumentParser) -> None:
    """Add ``export-splits`` and ``score`` to ``bench``, which does without either as well."""
    actions = bench.add_subparsers(
        title="methods that are not here", description="Their predictions are scored instead; docs/own_method.md.",
        metavar="ACTION", action=_Action,
    )  # fmt: skip
    _add_export(actions)
    _add_score(actions)


def _add_export(actions: Any) -> None:
    command = actions.add_parser("export-splits", help="write the splits as a table, for a method of your own")
    command.add_argument("--scene", action="append", default=[], metavar="NAME", help="default: indian_pines")
    command.add_argument("--rule", action="append", default=[], metavar="RULE", help="split rule; default: block")
    add_split_options(command)
    command.add_argument("--repeats", type=int, default=5, metavar="N", help="splits of every kind; default: 5")
    command.add_argument("--out", default="splits.parquet", metavar="FILE", help=".parquet or .csv")
    command.set_defaults(run=_export)


def _add_score(actions: Any) -> None:
    command = actions.add_parser("score", help="score a table of predictions beside the entrants")
    command.add_argument("file", metavar="FILE", help=".parquet or .csv: split_id, pixel, prediction")
    command.add_argument("--name", required=True, metavar="MY_METHOD", help="on the leaderboard; no entrant's")
    command.add_argument("--splits", metavar="FILE", help="exported table, if FILE lacks its columns")
    command.add_argument("--scene", action="append", default=[], metavar="FILE", help="of a scene not imported")
    command.add_argument(
        "--sees-labels", default="train", metavar="none|train", help="that its features come from; default: train"
    )
    command.add_argument("--inductive", action="store_true", help="it was not fitted to spectra of test pixels")
    command.add_argument(
        "--params", action="append", default=[], metavar="KEY=V|JSON", help="what tells its versions apart"
    )
    command.add_argument("--store", default=STORE, metavar="URI", help=f"default: {STORE}")
    command.set_defaults(run=_score)


def _export(arguments: argparse.Namespace) -> str:
    from benchmark.scene_files import load_scene
    from benchmark.split_export import export_splits

    scenes = {scene.name: scene for scene in map(load_scene, dict.fromkeys(arguments.scene or ["indian_pines"]))}
    specs = [split_spec(arguments, rule) for rule in dict.fromkeys(arguments.rule or [None])]
    lines: list[str] = []
    written = export_splits(Path(arguments.out), scenes, specs, arguments.repeats, lines.append)
    lines += [f"written: {', '.join(map(str, written))}"]
    return "\n".join([*lines, f"to score: hsicl bench score PREDICTIONS --splits {written[0]} --name MY_METHOD"])


def _score(arguments: argparse.Namespace) -> str:
    from benchmark.predictions import ExternalMethod, score_predictions, splits_in
    from benchmark.scene_files import load_scene
    from benchmark.score_writing import write_scores
    from results.store import open_store

    method = ExternalMethod(
        name=arguments.name, sees_labels=arguments.sees_labels, transductive=not arguments.inductive,
        params=read_params(arguments.params),
    )  # fmt: skip
    scenes = {scene.name: scene for scene in map(load_scene, dict.fromkeys(arguments.scene))}
    splits = splits_in(Path(arguments.splits)) if arguments.splits else None
    scored = score_predictions(
        Path(arguments.file), method, splits=splits, load=lambda name: scenes.get(name) or load_scene(name)
    )
    lines = write_scores(list(scored.values()), open_store(arguments.store))
    left = sorted((splits or {}).keys() - {split_id for split_id, _ in scored})
    if left:
        lines.append(f"exported splits without predictions: {len(left)} of {len(splits or {})} (first: {left[0]})")
    return "\n".join(lines)


def read_params(options: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of options such as ``"depth=3"`` or ``'{"depth": 3}'``.

    Args:
        options: each NAME=VALUE, whose value is read as JSON where it is some and is text elsewhere, or a JSON object.

    Raises:
        InvalidValueError: an option of another form, or a parameter that is given twice.
    """
    import json

    from hsicl_core.errors import InvalidValueError

    params: dict[str, Any] = {}
    for option in options:
        name, equals, text = option.partition("=")
        is_json = option.lstrip().startswith("{")
        try:
            value = json.loads(option if is_json else text)
        except (ValueError, RecursionError):
            value = text
        found = value if is_json else {name.strip(): value}
        if not isinstance(found, dict) or not (is_json or (equals and name.strip() and text.strip())):
            raise InvalidValueError(f"--params {option!r} is neither NAME=VALUE nor a JSON object: write e.g. depth=3")
        twice = [key for key in found if key in params]
        if twice:
            raise InvalidValueError(f"--params {twice[0]!r} is given twice: give it once")
        params |= found
    return params
