"""Doctor: can hsicl work here, and on a cluster. Every finding is a line; what is wrong comes with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmark import InvalidValueError
from sweeps.doctor.findings import Finding
from sweeps.doctor.machine import examine

__all__ = ["Finding", "examine", "examine_cluster"]


def examine_cluster(target: str, store_uri: str) -> Iterator[Finding]:
    """Give what is to be said of a cluster: of its file before or after ``ray up``, or of its nodes while it runs.

    Takes two minutes at most; nothing is left on a node.

    Args:
        target: a cluster file (``.yaml``, ``.yml``), ``"auto"`` or ``"HOST:PORT"``.
        store_uri: the store that a sweep would write, looked for from the nodes.

    Raises:
        InvalidValueError: the target is neither, or the file cannot be read.
    """
    if target.endswith((".yaml", ".yml")):
        from sweeps.doctor.cluster_file import examine_file
        from sweeps.on_ray.cluster_file import read_cluster_file

        return examine_file(Path(target), read_cluster_file(Path(target)))
    host, _, port = target.rpartition(":")
    if target != "auto" and not (host and port.isdigit()):
        raise InvalidValueError(
            f"--cluster {target}: give a cluster file (.yaml), 'auto' on one of the cluster's nodes, or HOST:PORT"
        )
    from sweeps.doctor.cluster_nodes import examine_cluster as examine_nodes

    return examine_nodes(target, store_uri)
