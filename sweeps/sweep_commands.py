"""``hsicl sweep`` and ``hsicl bench`` on the command line. Imports argparse alone until one is run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Where studies lie unless --store says otherwise.
STORES = Path("results/runs")


def add_sweep_commands(commands: Any) -> None:
    """Add ``sweep`` and ``bench`` to the subparsers ``commands``."""
    _add_sweep(commands)
    _add_bench(commands)


def _add_sweep(commands: Any) -> None:
    from sweeps.search_options import add_search_options

    command = commands.add_parser("sweep", help="run what is missing of a named sweep")
    command.add_argument("sweep", metavar="SWEEP")
    command.add_argument("--axis", action="append", default=[], metavar="NAME=V,V", help="e.g. temperature=0.05,0.1")
    add_search_options(command)
    command.add_argument("--seeds", type=int, metavar="N", help="per configuration; default: the sweep's own")
    command.add_argument("--splits", type=int, metavar="N", help="per seed; default: the sweep's own")
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
    add_trial_options(command)
    _add_running(command)
    command.set_defaults(run=_bench)
    add_prediction_commands(command)


def _add_running(command: argparse.ArgumentParser) -> None:
    command.add_argument("--scene", action="append", default=[], metavar="NAME", help="may be given several times")
    command.add_argument("--executor", default="ray", metavar="loop|ray", help="loop: here, without Ray; default: ray")
    command.add_argument("--address", metavar="auto|HOST:PORT", help="of a Ray cluster; default: this machine")
    command.add_argument("--gpus-per-trial", type=_share, default=0.0, metavar="X|auto", help="auto: as memory allows")
    command.add_argument(
        "--fuse",
        type=_pack,
        default="auto",
        metavar="N|auto",
        help="fits trained as one; auto: 16 on a GPU, 1 on a CPU",
    )
    command.add_argument(
        "--track", action="append", default=[], metavar="tensorboard|mlflow|wandb", help="show there too"
    )
    command.add_argument("--device", default="auto", metavar="auto|cpu|cuda")
    command.add_argument("--store", metavar="URI", help=f"default: {STORES}/NAME")
    command.add_argument("--dry-run", action="store_true", help="print the plan and run nothing")


def add_trial_options(command: argparse.ArgumentParser) -> None:
    """Add what describes a single trial: parameters of the method, and the split."""
    from benchmark.split_options import add_split_options

    command.add_argument("--set", action="append", default=[], metavar="NAME=V", help="parameter of methods with it")
    add_split_options(command)


def _sweep(arguments: argparse.Namespace) -> int | str:
    from sweeps import SWEEPS, describe_search, read_axis_options, run_sweep
    from sweeps.search_options import search_settings

    sweep = SWEEPS.get(arguments.sweep)
    scenes = _load_scenes(arguments.scene or sweep.scenes)
    sweep = sweep.with_overrides(
        scenes=list(scenes), n_seeds=arguments.seeds, n_splits=arguments.splits, axes=read_axis_options(arguments.axis)
    )
    settings = search_settings(arguments)
    store = _store(arguments, sweep.name)
    executor = _executor(arguments, sweep.name)
    if arguments.dry_run:
        return describe_search(sweep, scenes, store.finished_ids(), settings)
    outcome = run_sweep(
        sweep, store, scenes, executor, settings=settings, device=arguments.device, stream=sys.stderr,
        resume=_this_command(arguments),
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
    executor = _executor(arguments, "bench")
    if arguments.dry_run:
        trials = [*bench.searches(), *bench.repeats(store)]
        return _plan_text(arguments, "bench", trials, "How do the entrants compare?")
    outcome = run_bench(
        bench, store, executor, device=arguments.device, stream=sys.stderr, resume=_this_command(arguments)
    )
    return _status(outcome, store.uri)


def _load_scenes(names: Sequence[str]) -> dict[str, Any]:
    from benchmark import load_scene

    # By the scene's own name: what the user gave may be a path.
    return {scene.name: scene for scene in map(load_scene, dict.fromkeys(names))}


def _share(text: str) -> float | str:
    try:
        return text if text == "auto" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 'auto' nor a number >= 0") from None


def _pack(text: str) -> int | str:
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 'auto' nor a whole number >= 1") from None


def _executor(arguments: argparse.Namespace, experiment: str) -> Any:
    from benchmark.computing import check_device_name
    from sweeps import EXECUTORS

    check_device_name(arguments.device)
    return EXECUTORS.get(arguments.executor)(
        address=arguments.address, gpus_per_trial=arguments.gpus_per_trial, trackers=tuple(arguments.track),
        experiment=experiment, fuse=arguments.fuse,
    )  # fmt: skip


def _store(arguments: argparse.Namespace, name: str) -> Any:
    from results import open_store

    return open_store(arguments.store or STORES / name)


def _plan_text(arguments: argparse.Namespace, name: str, trials: Sequence[Any], question: str) -> str:
    from sweeps import describe_plan

    return describe_plan(trials, _store(arguments, name).finished_ids(), question=question)


def _this_command(arguments: argparse.Namespace) -> str:
    """Return the command as it was typed, for who wants to go on with it."""
    import shlex

    return shlex.join(["hsicl", *arguments.given])


def _status(outcome: Any, uri: str) -> int:
    from results.console import say

    if not outcome.interrupted:
        say(f"{outcome.describe()}; store: {uri}")
    return 130 if outcome.interrupted else int(outcome.n_failed > 0)
