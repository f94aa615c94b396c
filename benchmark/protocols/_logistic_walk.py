"""Problems of logistic regression on their way to the solutions, one after another along the penalties."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.protocols._logistic_rows import Array, Reduced

# Steps that the Hessian is learnt from.
_MEMORY = 5
# Slope along a step, over that at its start, that is still taken.
_OVERSHOT = 0.9


def walked(
    members: Sequence[Reduced],
    inverse_penalties: Sequence[float],
    tolerance: float,
    dtype: type[np.floating[Any]],
    most: int,
) -> list[list[Array] | None]:
    """Return each member's solutions in the order of the penalties, None where one was not reached.

    Args:
        members: of one shape but for the number of their rows.
        inverse_penalties: values of C, > 0, in any order.
        tolerance: see ``solve_together``.
        dtype: that is computed in.
        most: evaluations per penalty before a problem counts as not solved.
    """
    # From the strongest penalty, whose solution is nearest to 0, to the weakest.
    order = np.argsort(inverse_penalties, kind="stable")
    solutions: list[list[Array] | None] = [None] * len(members)
    reached: list[list[Array]] = [[] for _ in members]
    walk = _Walk(members, np.asarray(inverse_penalties, dtype=np.float64)[order], dtype)
    # What overflows is not finite, and so not reached.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        while len(walk.places):
            walk.step()
            length = walk.evaluate()
            arrived = length <= tolerance
            for row in np.flatnonzero(arrived).tolist():
                reached[walk.places[row]].append(walk.solution(row))
            walk.advance(arrived)
            done = walk.is_at_end() | ~np.isfinite(length) | (walk.n_evaluations >= most)
            if done.any():
                walk.leave(done)
    for place, found in enumerate(reached):
        if len(found) == len(order):
            solutions[place] = [found[step] for step in np.argsort(order, kind="stable")]
    return solutions


@dataclass(frozen=True, kw_only=True)
class _Size:
    """The rows of problems that have as many: (b, n_padded, dim + 1), turned, and what is true of them."""

    rows: Array
    columns: Array
    truth: Array

    @classmethod
    def of(cls, members: Sequence[Reduced], dtype: type[np.floating[Any]]) -> _Size:
        rows: Array = np.stack([each.rows for each in members]).astype(dtype)
        truth: Array = np.stack([each.truth for each in members]).astype(dtype)
        return cls(rows=rows, columns=np.ascontiguousarray(rows.swapaxes(1, 2)), truth=truth)

    def only(self, kept: NDArray[np.bool_]) -> _Size:
        return _Size(rows=self.rows[kept], columns=self.columns[kept], truth=self.truth[kept])

    def gradient(self, weights: Array) -> Array:
        """Return the gradient of the summed loss at weights, both (b, n_classes, dim + 1)."""
        shares = weights @ self.columns
        shares -= shares.max(axis=1, keepdims=True)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=1, keepdims=True)
        shares -= self.truth
        gradient: Array = shares @ self.rows
        return gradient


class _Walk:
    """Problems of as many classes, each at its own place of its own path of penalties; the fewest rows come first.

    Positions are held in units in which the bound of the Hessian is the identity: ``scale`` times them are weights.
    All arrays have the problems in front.
    """

    def __init__(self, members: Sequence[Reduced], path: NDArray[np.float64], dtype: type[np.floating[Any]]) -> None:
        self.places = np.arange(len(members))
        self._path = path
        self._dtype, self._n_classes = dtype, len(members[0].classes)
        # Products are made of those of one size at a time, so that their shapes, and bits, are those of each alone.
        self._sizes = [_Size.of(list(same), dtype) for _, same in itertools.groupby(members, key=lambda m: len(m.rows))]
        self._squares = np.stack([each.squares for each in members])
        self._counts = np.array([float(each.n) for each in members])
        shape = (len(members), self._n_classes, self._squares.shape[1])
        self._stage = np.zeros(len(members), dtype=np.int64)
        self.n_evaluations = np.zeros(len(members), dtype=np.int64)
        # Where the problem stands; how it looks for the next position; what it sees at the one it tries.
        self._position: Array = np.zeros(shape, dtype=dtype)
        self._gradient: Array = np.zeros(shape, dtype=dtype)
        self._direction: Array = np.zeros(shape, dtype=dtype)
        self._share: Array = np.ones(len(members), dtype=dtype)
        self._slope: NDArray[np.float64] = np.zeros(len(members))
        self._tried: Array = self._position
        self._seen: Array = self._gradient
        self._is_new = np.ones(len(members), dtype=bool)
        self._accepted = np.ones(len(members), dtype=bool)
        # Moves, then the changes of the gradient along them; the products of all with all; one over those of pairs.
        self._memory: Array = np.zeros((len(members), 2 * _MEMORY, shape[1] * shape[2]), dtype=dtype)
        self._products = np.zeros((len(members), 2 * _MEMORY, 2 * _MEMORY))
        self._curvatures = np.zeros((len(members), _MEMORY))
        self._gain = np.ones(len(members))
        self._slot = 0
        self._enter_stage()

    def evaluate(self) -> Array:
        """Look at the next positions; return how long the longest gradient of a class is there."""
        self._tried = self._position + _over(self._share) * self._direction
        weights = self._tried * self._scale
        gradient = np.empty_like(weights)
        start = 0
        for size in self._sizes:
            of_size = slice(start, start + len(size.rows))
            gradient[of_size] = size.gradient(weights[of_size])
            start = of_size.stop
        gradient *= self._per_row
        gradient += self._penalty * weights
        self._seen = gradient * self._scale
        self.n_evaluations += 1
        length: Array = np.sqrt(np.square(gradient).sum(axis=2).max(axis=1))
        return length

    def solution(self, row: int) -> Array:
        """Return the weights (n_classes, dim + 1) of the position that the problem in this row has just looked at."""
        found: Array = self._tried[row] * self._scale[row]
        return found

    def is_at_end(self) -> NDArray[np.bool_]:
        """Return which problems have all their solutions."""
        return self._stage == len(self._path)

    def advance(self, arrived: NDArray[np.bool_]) -> None:
        """Remember what the look has told; those that arrived start for the next penalty from where they are."""
        slope = _dot(self._seen, self._direction)
        accepted = self._is_new | arrived | (slope <= _OVERSHOT * np.abs(self._slope))
        shorter = np.clip(self._slope / (self._slope - slope), 0.1, 0.7)
        self._share = np.where(accepted, 1, self._share * shorter).astype(self._share.dtype)
        move, change = self._tried - self._position, self._seen - self._gradient
        curvature = _dot(move, change)
        is_kept = accepted & ~self._is_new & (curvature > 0)
        self._gain = np.where(is_kept, curvature / _dot(change, change), self._gain)
        self._remember(move, change, np.where(is_kept, 1 / curvature, 0), is_kept)
        self._position = _where(accepted, self._tried, self._position)
        self._gradient = _where(accepted, self._seen, self._gradient)
        self._is_new &= ~accepted
        self._accepted = accepted
        if arrived.any():
            self._next_stage(arrived)

    def _remember(self, move: Array, change: Array, inverse_curvature: Array, is_kept: NDArray[np.bool_]) -> None:
        # One slot per look, used or not: so the memory of one problem does not depend on the looks of others.
        self._slot = (self._slot + 1) % _MEMORY
        self._curvatures[:, self._slot] = inverse_curvature
        for place, new in ((self._slot, move), (_MEMORY + self._slot, change)):
            self._memory[:, place] = _where(is_kept, new, np.zeros_like(new)).reshape(len(new), -1)
            products = (self._memory @ self._memory[:, place, :, None])[:, :, 0]
            self._products[:, place] = products
            self._products[:, :, place] = products

    def leave(self, done: NDArray[np.bool_]) -> None:
        """Let those that are done go."""
        left = ~done
        places = np.split(left, np.cumsum([len(size.rows) for size in self._sizes])[:-1])
        sizes = [size if kept.all() else size.only(kept) for size, kept in zip(self._sizes, places, strict=True)]
        self._sizes = [size for size in sizes if len(size.rows)]
        for name in _IN_FRONT:
            setattr(self, name, getattr(self, name)[left])

    def step(self) -> None:
        """Choose where those whose last step was taken go next.

        The two loops of L-BFGS run on the products of what they would add up, which is added up once at the end.
        """
        of_moves, of_changes = self._products[:, :_MEMORY], self._products[:, _MEMORY:]
        along = (self._memory @ self._gradient.reshape(len(self._gradient), -1, 1))[:, :, 0].astype(np.float64)
        slots = [(self._slot + 1 + later) % _MEMORY for later in range(_MEMORY)]
        amounts, backs = np.zeros((2, len(along), _MEMORY))
        for slot in reversed(slots):
            product = along[:, slot] - (of_moves[:, slot, _MEMORY:] * amounts).sum(axis=1)
            amounts[:, slot] = self._curvatures[:, slot] * product
        amounts *= self._gain[:, None]
        for slot in slots:
            product = self._gain * along[:, _MEMORY + slot] - (of_changes[:, slot, _MEMORY:] * amounts).sum(axis=1)
            product += (of_changes[:, slot, :_MEMORY] * backs).sum(axis=1)
            backs[:, slot] = amounts[:, slot] / self._gain - self._curvatures[:, slot] * product
        shares = np.concatenate([backs, -amounts], axis=1).astype(self._memory.dtype)
        towards: NDArray[Any] = (shares[:, None] @ self._memory).reshape(self._gradient.shape)
        towards += _over(self._gain.astype(towards.dtype)) * self._gradient
        slope: NDArray[Any] = np.negative(_dot(self._gradient, towards))
        # What rounding has turned uphill goes down the gradient.
        is_uphill = ~(slope < 0)
        if is_uphill.any():
            towards = np.asarray(_where(is_uphill, self._gradient, towards))
            slope = np.asarray(np.where(is_uphill, -_dot(self._gradient, self._gradient), slope))
        self._direction = _where(self._accepted, -towards, self._direction)
        self._slope = np.asarray(np.where(self._accepted, slope, self._slope), dtype=np.float64)

    def _next_stage(self, arrived: NDArray[np.bool_]) -> None:
        weights, gradient = self._position * self._scale, self._gradient / self._scale
        gradient -= self._penalty * weights
        self._stage = self._stage + arrived
        self._enter_stage()
        gradient += self._penalty * weights
        self._position = np.where(_over(arrived), weights / self._scale, self._position)
        self._gradient = np.where(_over(arrived), gradient * self._scale, self._gradient)
        self._curvatures[arrived] = 0
        self._gain[arrived] = 1
        self.n_evaluations = np.where(arrived, 0, self.n_evaluations)

    def _enter_stage(self) -> None:
        dtype, n_classes = self._dtype, self._n_classes
        inverse = self._path[np.minimum(self._stage, len(self._path) - 1)]
        # See ``solve_together`` for two classes.
        penalty = (2 if n_classes == 2 else 1) / (inverse * self._counts)
        penalties = np.repeat(penalty[:, None], self._squares.shape[1], axis=1)
        penalties[:, -1] = 0
        # Of the Hessian at equal shares; the gain makes up for what the shares become.
        bound = self._squares / (n_classes * self._counts[:, None]) + penalties
        self._penalty: Array = penalties[:, None].astype(dtype)
        self._scale: Array = (1 / np.sqrt(bound))[:, None].astype(dtype)
        self._per_row: Array = (1 / self._counts)[:, None, None].astype(dtype)


_IN_FRONT = (
    "places", "n_evaluations", "_squares", "_counts", "_stage", "_position", "_gradient",
    "_direction", "_share", "_slope", "_tried", "_seen", "_is_new", "_gain", "_accepted", "_penalty", "_scale",
    "_per_row", "_memory", "_products", "_curvatures",
)  # fmt: skip


def _dot(first: Array, second: Array) -> NDArray[np.float64]:
    """Return the products (b,) of arrays (b, n_classes, dim + 1), each summed by itself."""
    b = len(first)
    products: NDArray[np.float64] = (first.reshape(b, 1, -1) @ second.reshape(b, -1, 1))[:, 0, 0].astype(np.float64)
    return products


def _where(is_first: NDArray[np.bool_], first: Array, second: Array) -> Array:
    """Return ``first`` of those problems, ``second`` of the others."""
    return first if is_first.all() else np.where(_over(is_first), first, second)


def _over(values: NDArray[Any]) -> NDArray[Any]:
    """Return (b,) as (b, 1, 1)."""
    return values[:, None, None]
