"""``python -m benchmark.speed [--only NAME] [--json FILE] [--device D] [--readme]``: measure the claims of speed.

Give the machine to it alone: both sides of a ratio run in turn, but what comes and goes beside them widens the spread.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.computing import resolve_device
from benchmark.registries import CLAIMS
from benchmark.speed import table
from benchmark.speed.growth_plots import curves_of, write_figure
from hsicl_core.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the claims and return the exit status: 0, 1 where a bound is missed, 2 for a user's error."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.speed", description="Measure the claims of speed.")
    parser.add_argument("--only", action="append", metavar="NAME", help="this claim; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured; other claims in it stay")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda")
    parser.add_argument("--readme", action="store_true", help="measure nothing, make the README's tables and figures")
    parser.add_argument("--list", action="store_true", help="name the claims")
    arguments = parser.parse_args(argv)
    try:
        if arguments.list:
            print(*CLAIMS.names(), sep="\n")
            return 0
        if arguments.readme:
            make_readme()
            return 0
        return measure(arguments.only or CLAIMS.names(), arguments.device, arguments.json)
    except (OSError, UserError) as error:
        print(f"benchmark.speed: {error}", file=sys.stderr)
        return 2


def make_readme() -> None:
    """Make the README's tables, and the figures that it shows, from what was measured last."""
    measured = table.MEASURED.read_text("utf-8")
    text = table.with_tables(table.README.read_text("utf-8"), table.as_markdown(measured))
    table.README.write_text(text, encoding="utf-8")
    for name, (_, rows) in table.from_json(measured).items():
        if curves := curves_of(rows):
            write_figure(table.FOLDER / table.figure_name(name), curves)


def measure(names: Sequence[str], device_name: str, path: Path | None) -> int:
    """Measure the claims called ``names``, print each row as it comes, and write them to ``path`` if there is one."""
    device = resolve_device(device_name)
    claims = {name: CLAIMS.get(name) for name in names}
    where = table.machine(device)
    all_hold = True
    for name, claim in claims.items():
        print(f"\n{claim.title}", flush=True)
        rows = []
        for row in claim().measure(device):
            print(table.as_line(row), end="", flush=True)
            rows.append(row)
            all_hold &= row.bound is None or row.figure is None or row.bound.holds(row.figure.median)
        if path is not None:
            now = table.as_json({name: rows}, where)
            path.write_text(table.merged(path.read_text("utf-8") if path.exists() else "{}", now), encoding="utf-8")
    return 0 if all_hold else 1


if __name__ == "__main__":
    sys.exit(main())
