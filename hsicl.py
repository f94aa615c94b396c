"""The front door: the command line, nothing else. Also the one file that ``ray submit`` runs.

Rooms are imported when a command needs them: ``hsicl --help`` does not wait for torch. argparse rather than a package:
the loop executor must run where only the numeric packages are installed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

REPORTS = Path("report/build")
# What the leaderboard may be narrowed to.
_ONLY = ("scene", "rule", "method", "protocol", "kind")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 done, 1 some trials failed or a store is wrong, 2 a user's error, 130 Ctrl-C; 143 after SIGTERM, which leaves by
    SystemExit.
    """
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser().parse_args(given, argparse.Namespace(given=given))
    try:
        # A command gives its exit status, or the text it is asked for.
        result: int | str = arguments.run(arguments)
    except KeyboardInterrupt:
        print("hsicl: stopped", file=sys.stderr)
        return 130
    except Exception as error:
        if not _is_users(error):
            raise
        print(f"hsicl: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    if isinstance(result, int):
        return result
    from results.console import say

    say(result)
    return 0


def _is_users(error: Exception) -> bool:
    import hsicl_core.errors
    import report
    import results

    return isinstance(error, hsicl_core.errors.UserError | report.ReportError | results.ResultsError)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"hsicl: {message}: see '{self.prog} --help'\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="hsicl", description="Which negatives should a contrastive learner see?")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    # The rooms' own commands import no more than argparse until one is run.
    from benchmark.identity import rebuilt_identity
    from benchmark.scene_commands import add_scene_commands
    from results.store_commands import add_store_commands
    from sweeps.doctor_commands import add_doctor_command
    from sweeps.sweep_commands import STORES, add_sweep_commands

    for add in (add_scene_commands, add_sweep_commands, _add_reading, _add_map):
        add(commands)
    add_store_commands(commands, identity=rebuilt_identity)
    add_doctor_command(commands, store=str(STORES))
    return parser


def _add_reading(commands: Any) -> None:
    from sweeps.sweep_commands import STORES

    for name, run, text in (
        ("leaderboard", _leaderboard, "print the table"),
        ("report", _report, "render everything as HTML, SVG, PNG, CSV and LaTeX"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--store", default=str(STORES / "demo"), metavar="URI")
        if name == "leaderboard":
            command.add_argument("--reference", default="nt_xent", metavar="M[:P]", help="what others are compared to")
            for word in _ONLY:
                command.add_argument(
                    f"--{word}", action="append", default=[], metavar=word[0].upper(), help="only these"
                )
        command.set_defaults(run=run)
    command.add_argument("--out", metavar="DIR", help=f"default: {REPORTS}/NAME OF THE STORE")


def _add_map(commands: Any) -> None:
    from sweeps.sweep_commands import add_trial_options

    command = commands.add_parser("map", help="classification map, ground truth, errors and confidence")
    command.add_argument("scene")
    command.add_argument("--method", required=True, metavar="M")
    command.add_argument("--protocol", default="linear", metavar="P")
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument("--rule", metavar="block|buffered_random|random|given", help="split rule; default: block")
    add_trial_options(command)
    command.add_argument("--split-index", type=int, default=0, metavar="N")
    command.add_argument("--device", default="auto", metavar="auto|cpu|cuda")
    command.add_argument("--out", metavar="FILE.png", help="picture, or .svg or .pdf; default: SCENE_METHOD.png")
    command.add_argument(
        "--data", metavar="FILE", help="class ids as .tif, ENVI .hdr or .npy, the confidence beside them; default: "
        "beside the picture, as a georeferenced scene's own files are",
    )  # fmt: skip
    command.set_defaults(run=_map)


def _leaderboard(arguments: argparse.Namespace) -> str:
    from report import leaderboard_text

    only = {word: getattr(arguments, word) for word in _ONLY}
    return leaderboard_text(arguments.store, reference=arguments.reference, only=only)


def _report(arguments: argparse.Namespace) -> str:
    from report import build_report

    out = arguments.out or REPORTS / arguments.store.rstrip("/").rsplit("/", 1)[-1]
    return str(build_report(arguments.store, out))


def _map(arguments: argparse.Namespace) -> str:
    from benchmark import load_scene, plan_trial
    from benchmark.files.map_files import check_map_file, map_file_beside, write_map_files
    from benchmark.mapping import classification_map
    from benchmark.split_options import split_spec
    from report.maps import check_picture, draw_classification_map
    from report.palette import class_colours
    from sweeps import read_axis_options
    from sweeps.overrides import read_settings

    scene = load_scene(arguments.scene)
    trial = plan_trial(
        scene, method=arguments.method, protocol=arguments.protocol, seed=arguments.seed,
        split=split_spec(arguments, arguments.rule),
        params=read_settings(arguments.method, read_axis_options(arguments.set)),
    )  # fmt: skip
    out = Path(arguments.out or f"{scene.name}_{arguments.method}.png")
    data = Path(arguments.data) if arguments.data else map_file_beside(out, scene.georeference)
    check_picture(out)
    if data is not None:
        check_map_file(data, scene.georeference)
    drawn = classification_map(trial, scene, device=arguments.device)
    colours = scene.colours or class_colours(scene.n_classes)
    split = trial.split
    title = f"{scene.name}: {trial.method}, {trial.protocol}, split {split.rule} {split.index}, {split.budget}"
    written = [
        draw_classification_map(
            scene.labels, drawn.classes, scene.class_names, out, title=title, confidence=drawn.confidence,
            colours=colours,
        )
    ]  # fmt: skip
    if data is not None:
        written += write_map_files(
            data, drawn.classes, drawn.confidence, class_names=scene.class_names, colours=colours,
            georeference=scene.georeference,
        )  # fmt: skip
    return "\n".join(map(str, written))


if __name__ == "__main__":
    if not (Path(__file__).resolve().parent / "hsicl_core").is_dir():
        # `ray submit` copies this file alone into the home, where a folder named `results` would hide the package.
        sys.path.pop(0)
    sys.exit(main())
