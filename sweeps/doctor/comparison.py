"""What the answers of a cluster's machines mean, each by itself and beside the machine it is to agree with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from results.errors import one_line
from sweeps.doctor.findings import Finding, fault, fine, note

Answer = dict[str, Any]

# What gives other numbers, or no connection at all, where two nodes of a cluster differ in it.
ALL_AGREE = frozenset({"python", "ray", "torch", "hsicl", "benchmark version", "code"})
# The same of the machine that starts the cluster: no trial runs there.
LAPTOP_AGREES = frozenset({"ray", "benchmark version"})
_LEAST_DISK_GIB, _LOW_DISK_GIB = 1.0, 10.0
_MOST_SKEW_S = 2.0


def machine_findings(name: str, answer: Answer) -> Iterator[Finding]:
    """Give what a node has: processors, memory, GPUs, room on its disks, the data root."""
    gpus = ", ".join(answer["gpus"]) or "none"
    memory = "unknown" if answer["memory_gib"] is None else f"{answer['memory_gib']:.1f} GiB"
    threads = "" if answer["threads"] is None else f", torch uses {answer['threads']} threads"
    yield fine(f"{name} devices", f"{answer['cpus']} CPUs{threads}, memory {memory}, CUDA: {gpus}")
    yield from _disk_findings(name, answer["free_gib"])
    if answer["hsicl_error"] is None:
        yield _data_root_finding(name, answer)


def _disk_findings(name: str, free_gib: dict[str, float | None]) -> Iterator[Finding]:
    known = {folder: free for folder, free in free_gib.items() if free is not None}
    text = ", ".join(f"{free:.1f} GiB free in {folder}" for folder, free in known.items())
    least = min(known.values(), default=_LOW_DISK_GIB)
    if least < _LEAST_DISK_GIB:
        yield fault(f"{name} disk", f"{text}: make room, Ray keeps logs and spilled objects in /tmp")
    elif least < _LOW_DISK_GIB:
        yield note(f"{name} disk", text)
    else:
        yield fine(f"{name} disk", text)


def _data_root_finding(name: str, answer: Answer) -> Finding:
    subject, root = f"{name} data root", answer["data_root"]
    if answer["has_data_root"]:
        return fine(subject, root)
    return note(
        subject,
        f"{root} is not there: scenes are read where the sweep is started and sent to the nodes, so only that machine "
        "needs it; Indian Pines comes with a package; set HSICL_DATA where it lies elsewhere",
    )


def versions_text(answer: Answer) -> str:
    """Return the versions that make the numbers, in one line."""
    packages = ", ".join(f"{name} {version or 'missing'}" for name, version in answer["packages"].items())
    if answer["hsicl_error"] is not None:
        return f"python {answer['python']}, {packages}"
    commit = f", commit {answer['commit'][:8]}" if answer["commit"] else ""
    benchmark = f"benchmark {answer['benchmark_version']}, code {answer['code']}{commit}"
    return f"python {answer['python']}, {packages} ({benchmark})"


def version_findings(
    name: str, answer: Answer, other_name: str, other: Answer | None, *, must_agree: frozenset[str]
) -> Iterator[Finding]:
    """Give what a node runs, and how it differs from what ``other`` runs.

    Args:
        name: what the node is called.
        answer: what it said.
        other_name: the machine it is compared with.
        other: what that one said; None where it said nothing.
        must_agree: of ``ALL_AGREE``, what is a fault where it differs; other differences are notes.
    """
    subject = f"{name} versions"
    if answer["hsicl_error"] is not None:
        yield fault(
            f"{name} hsicl", f"{answer['executable']} cannot import it ({one_line(answer['hsicl_error'])}): install it "
            "there, 'pip install .' in the shipped checkout; the cluster file's setup_commands are the place",
        )  # fmt: skip
    if answer["torch_error"] is not None:
        yield fault(f"{name} torch", f"{one_line(answer['torch_error'])}: install torch there as here")
    differing = _differences(answer, other) if other is not None else {}
    text = ", ".join(f"{key} {mine} where {other_name} has {theirs}" for key, (mine, theirs) in differing.items())
    if must_agree & differing.keys():
        yield fault(subject, f"{text}: install the same on both, or neither the numbers nor the connection are sure")
    elif differing:
        yield note(subject, text)
    else:
        yield fine(subject, versions_text(answer))


def _differences(answer: Answer, other: Answer) -> dict[str, tuple[str, str]]:
    mine, theirs = _comparable(answer), _comparable(other)
    return {key: (mine[key], theirs[key]) for key in mine if key in theirs and mine[key] != theirs[key]}


def _comparable(answer: Answer) -> dict[str, str]:
    packages = answer["packages"]
    torch, _, build = (packages["torch"] or "missing").partition("+")
    found = {
        # Ray and the pickled code need the same minor version; patches may differ.
        "python": ".".join(answer["python"].split(".")[:2]),
        "ray": packages["ray"] or "missing",
        "torch": torch,
        "torch build": build or "plain",
        "numpy": packages["numpy"] or "missing",
    }
    if answer["hsicl_error"] is not None:
        return found
    # The code says more than the commit, which shipped files may not have.
    found |= {"benchmark version": answer["benchmark_version"], "code": answer["code"]}
    return found | ({"hsicl": packages["hsicl"]} if packages["hsicl"] else {})


def clock_finding(name: str, answer: Answer, asked: float, received: float) -> Finding:
    """Return how far a node's clock is off this one's, as far as the way of question and answer lets it be known.

    Args:
        name: what the node is called.
        answer: what it said; ``began`` and ``ended`` are by its own clock.
        asked: when it was asked, by this machine's clock, in s since the epoch.
        received: when its answer came.
    """
    # It began after it was asked, and ended before its answer came.
    least, most = answer["ended"] - received, answer["began"] - asked
    if least <= _MOST_SKEW_S and most >= -_MOST_SKEW_S:
        return fine(f"{name} clock", f"at most {max(abs(least), abs(most)):.1f} s off this one")
    way = f"{least:.0f} s ahead of" if least > 0 else f"{-most:.0f} s behind"
    return note(
        f"{name} clock",
        f"at least {way} this one: 'timedatectl set-ntp true' on both; records hold the node's time, and object "
        "storage refuses clocks that are minutes off",
    )


def token_finding(name: str, answer: Answer, other_name: str, other: Answer) -> Finding:
    """Return whether a node has the token of ``other``."""
    subject, token, other_token = f"{name} token", answer["token"], other["token"]
    if token is None:
        return fault(subject, "none: ship ~/.ray/auth_token by file_mounts, or copy it there with mode 600")
    if other_token is not None and token["digest"] != other_token["digest"]:
        return fault(subject, f"not the one that {other_name} has: ship one ~/.ray/auth_token to all nodes")
    if token["mode"] not in (None, "600", "400"):
        return note(subject, f"the same as {other_name}'s; its mode is {token['mode']}: 'chmod 600 ~/.ray/auth_token'")
    return fine(subject, f"the same as {other_name}'s" if other_token else "there")
