"""``hsicl doctor`` on the command line. Imports argparse alone until it is run."""

from __future__ import annotations

import argparse
import itertools
from typing import Any


def add_doctor_command(commands: Any, *, store: str) -> None:
    """Add ``doctor`` to the subparsers ``commands``; ``store`` is the default of its option."""
    command = commands.add_parser("doctor", help="say what is installed, which devices, whether Ray starts")
    command.add_argument("--store", default=store, metavar="URI")
    command.add_argument(
        "--cluster", nargs="?", const="auto", metavar="CLUSTER.yaml|auto|HOST:PORT",
        help="also look at a cluster: by its file before or after 'ray up', or while it runs; alone: auto",
    )  # fmt: skip
    command.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    """Write each finding as soon as it is known; return 1 if there is a fault."""
    from results.console import say
    from sweeps.doctor import examine, examine_cluster

    cluster = arguments.cluster
    findings = [examine(arguments.store, starts_ray=cluster is None)]
    findings += [] if cluster is None else [examine_cluster(cluster, arguments.store)]
    is_ok = True
    for finding in itertools.chain(*findings):
        say(str(finding))
        is_ok = is_ok and finding.is_ok
    return 0 if is_ok else 1
