"""The front door: the command line, nothing else. Also the one file that ``ray submit`` runs.

Rooms are imported when a command needs them: ``hsicl --help`` does not wait for torch. argparse rather than a package:
the loop executor must run where only the numeric packages are installed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

STORES, REPORTS = Path("results/runs"), Path("report/build")
# What the leaderboard may be narrowed to.
_ONLY = ("scene", "rule", "method", "protocol", "kind")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 some trials failed, 2 a user's error, 130 Ctrl-C."""
    arguments = _parser().parse_args(argv)
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
    try:
        sys.stdout.write(f"{result}\n" if isinstance(result, str) else "")
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output (head, say) has gone; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return result if isinstance(result, int) else 0


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
    # Its own commands are many; it imports no more than argparse until one is run.
    from benchmark.scene_commands import add_scene_commands

    for add in (add_scene_commands, _add_sweep, _add_bench, _add_reading, _add_map):
        add(commands)
    command = commands.add_parser("doctor", help="say what is installed, which devices, whether Ray starts")
    command.add_argument("--store", default=str(STORES), metavar="URI")
    command.set_defaults(run=_doctor)
    return parser


def _add_sweep(commands: Any) -> None:
    command = commands.add_parser("sweep", help="run what is missing of a named sweep")
    command.add_argument("sweep", metavar="SWEEP")
    command.add_argument("--axis", action="append", default=[], metavar="NAME=V,V", help="e.g. temperature=0.05,0.1")
    command.add_argument("--search", default="grid", metavar="grid|random|optuna")
    command.add_argument("--scheduler", default="none", metavar="none|asha|sha")
    command.add_argument("--n-configs", type=int, default=16, metavar="N", help="suggestions of a search")
    command.add_argument("--search-seed", type=int, default=0, metavar="N")
    command.add_argument("--seeds", type=int, metavar="N")
    command.add_argument("--splits", type=int, metavar="N")
    _add_running(command)
    command.set_defaults(run=_sweep)


def _add_bench(commands: Any) -> None:
    from benchmark.prediction_commands import add_prediction_commands

    command = commands.add_parser("bench", help="tune and run the leaderboard's entrants")
    command.add_argument("--method", action="append", default=[], metavar="M", help="default: all")
    command.add_argument("--kind", action="append", default=[], metavar="K", help="methods of a kind, e.g. classical")
    command.add_argument("--protocol", action="append", default=[], metavar="P", help="default: the method's own")
    command.add_argument("--configs", type=int, default=1, metavar="N", help="tried per entrant before; default: 1")
    command.add_argument("--repeats", type=int, default=5, metavar="N", help="each its own split and seed; default: 5")
    command.add_argument("--rule", action="append", default=[], metavar="RULE", help="split rule; default: block")
    _add_trial(command)
    _add_running(command)
    command.set_defaults(run=_bench)
    add_prediction_commands(command)


def _add_running(command: argparse.ArgumentParser) -> None:
    command.add_argument("--scene", action="append", default=[], metavar="NAME")
    command.add_argument("--executor", default="ray", metavar="loop|ray")
    command.add_argument("--address", metavar="auto|HOST:PORT", help="of a Ray cluster; default: this machine")
    command.add_argument("--gpus-per-trial", type=float, default=0.0, metavar="X")
    command.add_argument("--device", default="auto", metavar="auto|cpu|cuda")
    command.add_argument("--store", metavar="URI", help=f"default: {STORES}/NAME")
    command.add_argument("--dry-run", action="store_true", help="print the plan and run nothing")


def _add_trial(command: argparse.ArgumentParser) -> None:
    from benchmark.split_options import add_split_options

    command.add_argument("--set", action="append", default=[], metavar="NAME=V", help="parameter of methods with it")
    add_split_options(command)


def _add_reading(commands: Any) -> None:
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
    command = commands.add_parser("map", help="classification map, ground truth, errors and confidence")
    command.add_argument("scene")
    command.add_argument("--method", required=True, metavar="M")
    command.add_argument("--protocol", default="linear", metavar="P")
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument("--rule", metavar="block|buffered_random|random|given", help="split rule; default: block")
    _add_trial(command)
    command.add_argument("--split-index", type=int, default=0, metavar="N")
    command.add_argument("--device", default="auto", metavar="auto|cpu|cuda")
    command.add_argument("--out", metavar="FILE.png", help="picture, or .svg or .pdf; default: SCENE_METHOD.png")
    command.add_argument(
        "--data", metavar="FILE", help="class ids as .tif, ENVI .hdr or .npy, the confidence beside them; default: "
        "beside the picture, as a georeferenced scene's own files are",
    )  # fmt: skip
    command.set_defaults(run=_map)


def _sweep(arguments: argparse.Namespace) -> int | str:
    from sweeps import SWEEPS, plan, read_axis_options, run_sweep

    sweep = SWEEPS.get(arguments.sweep)
    scenes = _load_scenes(arguments.scene or sweep.scenes)
    sweep = sweep.with_overrides(
        scenes=list(scenes), n_seeds=arguments.seeds, n_splits=arguments.splits, axes=read_axis_options(arguments.axis)
    )
    if arguments.dry_run:
        return _plan_text(arguments, sweep.name, plan(sweep, scenes), sweep.question)
    store = _store(arguments, sweep.name)
    outcome = run_sweep(
        sweep, store, scenes, _executor(arguments), search=arguments.search, scheduler=arguments.scheduler,
        n_configs=arguments.n_configs, seed=arguments.search_seed, device=arguments.device, stream=sys.stderr,
    )  # fmt: skip
    return _status(outcome, store.uri)


def _bench(arguments: argparse.Namespace) -> int | str:
    from benchmark.split_options import split_spec
    from sweeps import read_axis_options
    from sweeps.bench import Bench, chosen_methods, lines_of, run_bench

    scenes = _load_scenes(arguments.scene or ["indian_pines"])
    lines = lines_of(
        scenes, [split_spec(arguments, rule) for rule in arguments.rule or [None]], protocols=arguments.protocol,
        methods=chosen_methods(arguments.method, arguments.kind), settings=read_axis_options(arguments.set),
    )  # fmt: skip
    bench = Bench(lines=lines, scenes=scenes, n_configs=arguments.configs, n_repeats=arguments.repeats)
    store = _store(arguments, "bench")
    if arguments.dry_run:
        trials = [*bench.searches(), *bench.repeats(store)]
        return _plan_text(arguments, "bench", trials, "How do the entrants compare?")
    return _status(run_bench(bench, store, _executor(arguments), device=arguments.device, stream=sys.stderr), store.uri)


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


def _doctor(arguments: argparse.Namespace) -> int:
    from sweeps.doctor import examine

    findings = examine(arguments.store)
    print("\n".join(map(str, findings)))
    return 0 if all(finding.is_ok for finding in findings) else 1


def _load_scenes(names: Sequence[str]) -> dict[str, Any]:
    from benchmark import load_scene

    # By the scene's own name: what the user gave may be a path.
    return {scene.name: scene for scene in map(load_scene, dict.fromkeys(names))}


def _executor(arguments: argparse.Namespace) -> Any:
    from sweeps import EXECUTORS

    return EXECUTORS.get(arguments.executor)(address=arguments.address, gpus_per_trial=arguments.gpus_per_trial)


def _store(arguments: argparse.Namespace, name: str) -> Any:
    from results import open_store

    return open_store(arguments.store or STORES / name)


def _plan_text(arguments: argparse.Namespace, name: str, trials: Sequence[Any], question: str) -> str:
    from sweeps import describe_plan

    return describe_plan(trials, _store(arguments, name).finished_ids(), question=question)


def _status(outcome: Any, uri: str) -> int:
    if not outcome.interrupted:
        print(f"{outcome.describe()}; store: {uri}")
    return 130 if outcome.interrupted else int(outcome.n_failed > 0)


if __name__ == "__main__":
    sys.exit(main())
