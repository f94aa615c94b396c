"""The settings of many configurations in few words: each entrant's usual values once, then what differs from them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from report.groups import Configuration, Group, swept_names, value_key
from report.text import markdown_cell, params_text

# (method, protocol) -> swept parameter -> its usual value
Usual = Mapping[tuple[str, str], Mapping[str, Any]]


def usual_settings(groups: Iterable[Group]) -> Usual:
    """Return, for every method under every protocol, the most frequent value of each parameter that takes several.

    Each configuration counts once, on however many scenes it ran; of equally frequent values the first as JSON is
    taken.
    """
    members: dict[tuple[str, str], dict[str, Configuration]] = defaultdict(dict)
    for group in groups:
        for item in group.configurations:
            members[item.method, item.protocol].setdefault(value_key(item.params), item)
    return {entrant: _usual(list(items.values())) for entrant, items in members.items()}


def _usual(configurations: Sequence[Configuration]) -> dict[str, Any]:
    usual = {}
    for name in swept_names(configurations):
        values = {value_key(item.params.get(name)): item.params.get(name) for item in configurations}
        counts = Counter(value_key(item.params.get(name)) for item in configurations)
        usual[name] = values[min(counts, key=lambda key: (-counts[key], key))]
    return usual


def settings_text(item: Configuration, usual: Usual) -> str:
    """Return what of the item's settings is not usual: "usual" for nothing, "-" where there is one setting."""
    own = usual[item.method, item.protocol]
    if not own:
        return "-"
    unusual = {name: item.params.get(name) for name in own if value_key(item.params.get(name)) != value_key(own[name])}
    return params_text(unusual) or "usual"


def usual_markdown(usual: Usual) -> str:
    """Return a sentence that names the usual settings of every entrant with more than one; "" where none has."""
    several = {method for method, count in Counter(method for method, _ in usual).items() if count > 1}
    told = [
        f"{method}{f' ({protocol})' if method in several else ''}: {params_text(dict(own))}"
        for (method, protocol), own in sorted(usual.items())
        if own
    ]
    return f"Usual settings. {markdown_cell('; '.join(told))}." if told else ""
