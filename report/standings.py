"""How entrants stand against each other on the blocks of one scene, or of several under the same kind of split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from report.errors import ReportError
from report.groups import Configuration, Group
from report.pairing import (
    corrected_interval,
    holm,
    mean_ranks,
    probability_of_improvement,
    scenes_mean_interval,
    wilcoxon_p,
)
from report.statistics import Interval, captured_gain

# Plain contrastive learning, all other samples are negatives, under the probe of frozen embeddings.
REFERENCE = "nt_xent"
REFERENCE_PROTOCOL = "linear"
# Kinds of entrants of which the share of the oracle's gain is told; rows of old schema versions do not say.
PRETRAINED = ("self_supervised", "ours", "other", None)

# Method, protocol, label access.
Entrant = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One entrant among the others, on the same blocks. Fractions; None where it does not apply.

    Attributes:
        mean_rank: over the blocks, among entrants that are not bounds.
        difference: test OA minus that of the reference, paired, mean over scenes, interval within the scenes.
        corrected: the same with the variance corrected for splits that overlap.
        improvement: probability to beat the reference on a block; no interval where splits are crossed with seeds.
        p: Wilcoxon's two-sided p-value against the reference over the blocks; None where splits are crossed with seeds.
        holm: the same adjusted for all entrants that are compared to the reference here.
        captured: share of the oracle's gain over the reference, of one scene only; NaN where it is undefined.
    """

    mean_rank: float | None = None
    difference: Interval | None = None
    corrected: Interval | None = None
    improvement: Interval | None = None
    p: float | None = None
    holm: float | None = None
    captured: Interval | None = None


def entrant_of(item: Configuration) -> Entrant:
    """Return what a line of a table stands for, whatever its parameters."""
    return item.method, item.protocol, item.sees_labels


def reference_among(entrants: Sequence[Entrant], name: str) -> Entrant | None:
    """Return the entrant called METHOD or METHOD:PROTOCOL; without a protocol the linear one, else the first by name.

    Test scores play no part.
    """
    method, _, protocol = name.partition(":")
    found = sorted(each for each in entrants if each[0] == method and protocol in ("", each[1]))
    return min(found, key=lambda each: (each[1] != REFERENCE_PROTOCOL, each), default=None)


def check_reference(groups: Sequence[Group], name: str) -> str:
    """Return "", or a line that says that the usual reference is not among what is shown.

    Args:
        groups: what is shown.
        name: METHOD or METHOD:PROTOCOL.

    Raises:
        ReportError: another reference than the usual one was asked for, and it is not there.
    """
    entrants = [entrant_of(item) for group in groups for item in group.configurations]
    if not entrants or reference_among(entrants, name) is not None:
        return ""
    known = ", ".join(sorted({f"{method}:{protocol}" for method, protocol, _ in entrants}))
    if name == REFERENCE:
        return f"Nothing is compared: the reference {name} is not shown. Name one with --reference, of {known}.\n\n"
    raise ReportError(f"no row of the reference {name!r} among what is shown: name one of {known}")


def standings(scenes: Sequence[Mapping[Entrant, Configuration]], reference: str = REFERENCE) -> dict[Entrant, Standing]:
    """Return how every entrant stands that has all its scores on every scene.

    Args:
        scenes: of every scene the one configuration that each entrant shows, all complete, on the same grid.
        reference: METHOD or METHOD:PROTOCOL that the others are compared to.
    """
    shared = [each for each in scenes[0] if all(each in scene for scene in scenes)] if scenes else []
    competitors = [each for each in shared if not scenes[0][each].is_bound]
    found = {each: Standing() for each in shared}
    if competitors:
        ranks = mean_ranks(np.stack([_blocks(scenes, each) for each in competitors], axis=1))
        found |= {each: Standing(mean_rank=float(rank)) for each, rank in zip(competitors, ranks, strict=True)}
    base = reference_among(competitors, reference)
    if base is None:
        return found
    others = [each for each in shared if each != base]
    # Cells that share a split or a seed would count, as independent blocks, for more than they are.
    is_independent = all(_is_independent(scene[base]) for scene in scenes)
    tested = others if is_independent else []
    p_values = {each: wilcoxon_p(_blocks(scenes, each), _blocks(scenes, base)) for each in tested}
    family = [each for each in tested if each in competitors]
    adjusted = dict(zip(family, holm([p_values[each] for each in family]), strict=True))
    for each in others:
        improvement = probability_of_improvement(_blocks(scenes, each), _blocks(scenes, base))
        differences = [scene[each].oa - scene[base].oa for scene in scenes]
        found[each] = Standing(
            mean_rank=found[each].mean_rank,
            difference=scenes_mean_interval(differences),
            corrected=corrected_interval(differences, [_test_over_train(scene[base]) for scene in scenes]),
            improvement=improvement if is_independent else Interval(improvement.mean, float("nan"), float("nan")),
            p=p_values.get(each),
            holm=adjusted.get(each),
            captured=_captured(scenes[0], each, base) if len(scenes) == 1 else None,
        )
    return found


def _is_independent(item: Configuration) -> bool:
    """Return whether every cell has a split and a seed of its own."""
    return len(set(item.rows["split_index"])) == len(set(item.rows["seed"])) == item.oa.size


def _blocks(scenes: Sequence[Mapping[Entrant, Configuration]], entrant: Entrant) -> NDArray[np.float64]:
    return np.concatenate([scene[entrant].oa.ravel() for scene in scenes])


def _test_over_train(item: Configuration) -> float:
    return item.rows.mean("n_test") / item.rows.mean("n_train")


def _captured(scene: Mapping[Entrant, Configuration], entrant: Entrant, base: Entrant) -> Interval | None:
    """Return the captured gain of a pretrained entrant that shares its protocol with reference and bound."""
    item = scene[entrant]
    bounds = [each for each in scene if scene[each].is_bound and each[1] == base[1]]
    if item.is_bound or entrant[1] != base[1] or item.kind not in PRETRAINED or len(bounds) != 1:
        return None
    return captured_gain(item.oa, scene[base].oa, scene[bounds[0]].oa)
