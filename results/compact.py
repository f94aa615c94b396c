"""Compact a store into one file, to release it: ``python -m results.compact SOURCE TARGET``.

The names of the machines stay behind: they are nobody's business but the owner's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pyarrow as pa

from results.errors import ResultsError
from results.store import open_store


def main(argv: Sequence[str]) -> int:
    """Copy all rows of the store SOURCE into one file of the store TARGET and return the exit status."""
    if len(argv) != 2:
        sys.stderr.write("compact: give two stores: python -m results.compact SOURCE TARGET\n")
        return 2
    try:
        rows = open_store(argv[0]).read()
        host = rows.schema.get_field_index("host")
        rows = rows.set_column(host, rows.field(host), pa.nulls(rows.num_rows, pa.string()))
        open_store(argv[1]).write_compacted(rows)
    except ResultsError as error:
        sys.stderr.write(f"compact: {error}\n")
        return 2
    sys.stdout.write(f"{rows.num_rows} rows written to {argv[1]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
