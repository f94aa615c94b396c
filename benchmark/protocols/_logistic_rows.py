"""The rows of a logistic regression as the solver takes them, and the model that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsicl_core.errors import InvalidValueError

Array = NDArray[np.floating[Any]]

# Rows are padded to a multiple of this, so that splits of one budget have one size.
_GRAIN = 16


@dataclass(frozen=True, kw_only=True)
class LogisticProblem:
    """The training rows of one fit.

    Attributes:
        x: (n, dim) float32, n >= 2, finite.
        y: (n,) class indices, of two classes at least.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LogisticModel:
    """A solution.

    Attributes:
        classes: (n_classes,) class indices, rising.
        weights: (n_classes, dim) float32.
        intercepts: (n_classes,) float32, of sum 0.
    """

    classes: NDArray[np.int64]
    weights: NDArray[np.float32]
    intercepts: NDArray[np.float32]

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the likeliest class (n,) of rows (n, dim)."""
        likeliest: NDArray[np.int64] = self.classes[self._logits(x).argmax(axis=1)]
        return likeliest

    def shares(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the classes' probabilities (n, n_classes) of rows (n, dim)."""
        logits = self._logits(x)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return shares

    def _logits(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = x @ self.weights.T + self.intercepts
        return logits


@dataclass(frozen=True, kw_only=True)
class Reduced:
    """A problem in the principal axes of its rows.

    Attributes:
        rows: (n_padded, dim + 1) float64: the centred rows along their axes, and a column of ones for the intercept.
            Rows that fill up are 0 and add nothing to a gradient.
        squares: (dim + 1,) the sum of squares of each column.
        truth: (n_classes, n_padded) 1 where a row is of a class.
        axes: (dim, dim), orthonormal; columns of 0 where the rows span fewer dimensions.
        centre: (dim,) mean of the rows.
        classes: (n_classes,).
        n: rows before padding.
    """

    rows: NDArray[np.float64]
    squares: NDArray[np.float64]
    truth: NDArray[np.float64]
    axes: NDArray[np.float64]
    centre: NDArray[np.float64]
    classes: NDArray[np.int64]
    n: int

    @classmethod
    def of(cls, problem: LogisticProblem) -> Reduced:
        classes, y = np.unique(problem.y, return_inverse=True)
        if len(classes) < 2:
            raise InvalidValueError(
                f"a linear probe needs training labels of two classes at least, got {len(classes)}: use another budget"
            )
        if not np.isfinite(problem.x).all():
            raise InvalidValueError("the embedding of the training pixels holds NaN or infinity")
        n, dim = problem.x.shape
        padded = -(-n // _GRAIN) * _GRAIN
        x = np.zeros((padded, dim))
        x[:n] = problem.x
        centre = x[:n].mean(axis=0)
        x[:n] -= centre
        # Fewer rows than dimensions span fewer of them. Solutions lie within the span.
        span = np.linalg.qr(x.T)[0] if padded < dim else np.eye(dim)
        within = x @ span
        squares, turn = np.linalg.eigh(within.T @ within)
        # All problems of an embedding have as many columns, the rest of them 0.
        rows = np.zeros((padded, dim + 1))
        rows[:, : len(squares)] = within @ turn
        rows[:n, -1] = 1
        sums = np.zeros(dim + 1)
        sums[: len(squares)], sums[-1] = squares.clip(min=0), n
        axes = np.zeros((dim, dim))
        axes[:, : len(squares)] = span @ turn
        truth = np.zeros((len(classes), padded))
        truth[y, np.arange(n)] = 1
        return cls(
            rows=rows, squares=sums, truth=truth, axes=axes, centre=centre, classes=classes, n=n
        )  # fmt: skip

    def model(self, solution: Array) -> LogisticModel:
        """Return the model of a solution (n_classes, dim + 1) in the axes of the rows that were given."""
        weights = solution[:, :-1].astype(np.float64) @ self.axes.T
        intercepts = solution[:, -1] - weights @ self.centre
        return LogisticModel(
            classes=self.classes, weights=weights.astype(np.float32),
            intercepts=(intercepts - intercepts.mean()).astype(np.float32),
        )  # fmt: skip
