"""The method in plain loops over Python floats (IEEE double), written from its formula and sharing no code with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

Matrix = Sequence[Sequence[float]]


@dataclass
class Negatives:
    """What one anchor is given.

    ``fixed`` are its negatives whatever is drawn, ``hard`` the part of them that was taken as hard; under the uniform
    rule ``n_drawn`` more come from ``pool``.
    """

    fixed: set[int]
    eliminated: set[int]
    hard: set[int] = field(default_factory=set)
    pool: set[int] = field(default_factory=set)
    n_drawn: int = 0


def cosine_similarities(z0: Matrix, z1: Matrix) -> list[list[float]]:
    rows = []
    for vector in [*z0, *z1]:
        length = math.sqrt(math.fsum(x * x for x in vector))
        rows.append([x / length if length > 0 else 0.0 for x in vector])
    return [[math.fsum(x * y for x, y in zip(u, v, strict=True)) for v in rows] for u in rows]


def negatives_of(
    anchor: int,
    similarity: Matrix,
    labels: Sequence[int],
    *,
    hard_fraction: float = 0.5,
    n_negatives: int | None = None,
    elimination: str = "hard",
    easy: str = "bottom",
    guard_quantile: float = 0.0,
) -> Negatives:
    batch = len(labels)
    positive = anchor + batch if anchor < batch else anchor - batch
    candidates, eliminated = [], set()
    for k in range(2 * batch):
        if k in (anchor, positive):
            continue
        mine, other = labels[anchor % batch], labels[k % batch]
        if elimination == "hard" and mine == other and mine != -1:
            eliminated.add(k)
        else:
            candidates.append(k)
    if n_negatives is None or len(candidates) <= n_negatives:
        return Negatives(set(candidates), eliminated)
    falling = sorted(candidates, key=lambda k: (-similarity[anchor][k], k))
    left = falling[math.floor(guard_quantile * len(falling)) :]
    if len(left) <= n_negatives:
        return Negatives(set(left), eliminated)
    n_hard = math.floor(hard_fraction * n_negatives + 0.5)
    hard, rest = left[:n_hard], left[n_hard:]
    n_easy = n_negatives - n_hard
    if easy == "uniform":
        return Negatives(set(hard), eliminated, hard=set(hard), pool=set(rest), n_drawn=n_easy)
    far_end = rest[len(rest) - n_easy :]
    return Negatives({*hard, *far_end}, eliminated, hard=set(hard))


def loss_over(
    negatives: Sequence[set[int]], similarity: Matrix, *, temperature: float, negative_scaling: float
) -> float:
    batch = len(similarity) // 2
    losses = []
    for anchor, chosen in enumerate(negatives):
        if not chosen:
            continue
        positive = anchor + batch if anchor < batch else anchor - batch
        scale = ((2 * batch - 2) / len(chosen)) ** negative_scaling
        ratio = scale * math.fsum(
            math.exp((similarity[anchor][k] - similarity[anchor][positive]) / temperature) for k in chosen
        )
        # -log(p / (p + n)) = log1p(n / p). Taken as written it would be -log(1 - tiny) where the positive wins:
        # 1 - tiny rounds to 1, and the reference itself would be wrong in its first digit.
        losses.append(math.log1p(ratio))
    return math.fsum(losses) / len(losses) if losses else 0.0


def mined_loss(
    z0: Matrix,
    z1: Matrix,
    labels: Sequence[int],
    *,
    temperature: float = 0.1,
    negative_scaling: float = 0.0,
    **mining: object,
) -> float:
    similarity = cosine_similarities(z0, z1)
    chosen = [negatives_of(anchor, similarity, labels, **mining).fixed for anchor in range(len(similarity))]
    return loss_over(chosen, similarity, temperature=temperature, negative_scaling=negative_scaling)
