"""The command line's options of a search. Imports no more than argparse until a search is asked for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeps.search import SearchSettings


def add_search_options(command: argparse.ArgumentParser) -> None:
    """Add the options that ``search_settings`` reads."""
    command.add_argument(
        "--search", default="grid", metavar="grid|random|optuna", help="choose on validation; default: grid, runs all"
    )
    command.add_argument(
        "--scheduler",
        default="none",
        metavar="none|asha|sha|median",
        help="stop early on rungs of a ninth, a third and all of the steps: successive halving, asynchronous or not, "
        "or below the median",
    )
    command.add_argument(
        "--objective",
        default="accuracy",
        metavar="accuracy|accuracy,seconds",
        help="accuracy,seconds runs the whole Pareto front of validation accuracy and seconds of the fit; seconds are "
        "measured, so that Optuna's suggestions can differ between two stores",
    )
    command.add_argument(
        "--sampler",
        metavar="PACKAGE.MODULE:FACTORY",
        help="own Optuna sampler, called with seed=, e.g. optuna.samplers:NSGAIISampler; default: multivariate TPE",
    )
    command.add_argument("--n-configs", type=int, default=16, metavar="N", help="suggestions of a search; default: 16")
    command.add_argument("--search-seed", type=int, default=0, metavar="N", help="of the suggestions; default: 0")


def search_settings(arguments: argparse.Namespace) -> SearchSettings:
    """Return what the options say."""
    from sweeps.search import SearchSettings

    return SearchSettings(
        search=arguments.search,
        scheduler=arguments.scheduler,
        objective=arguments.objective,
        sampler=arguments.sampler,
        n_configs=arguments.n_configs,
        seed=arguments.search_seed,
    )
