"""The linear probe ``linear``, of all splits and budgets that share an embedding at once.

Source: as ``linear``; the solver is ``_logistic_together``.
Differs: from ``linear`` in the solver alone, which takes a fraction of the time and stops elsewhere (``TOLERANCE``):
a few labels differ, so it is a protocol of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from benchmark.protocols._logistic_together import LogisticModel, LogisticProblem, solve_together
from benchmark.protocols.base import (
    Chosen,
    Floats,
    Labels,
    Problem,
    Protocol,
    Standardized,
    best_on_validation,
    largest,
)
from hsicl_core.checks import check_number
from hsicl_core.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class LinearProbeTogether(Protocol):
    """Multinomial logistic regression, L2-penalised; its confidence is the largest class probability.

    Attributes:
        inverse_penalties: values of scikit-learn's C, > 0, to choose from, in order of preference on a tie.
    """

    solves_together: ClassVar[bool] = True
    inverse_penalties: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0)

    def __post_init__(self) -> None:
        if not self.inverse_penalties:
            raise InvalidValueError("inverse_penalties must hold one number > 0 at least, got ()")
        for value in self.inverse_penalties:
            check_number("inverse_penalties", value, above=0)

    def prepare(self, read: Floats, pixels: Labels) -> Standardized:
        """Return the standardised embedding."""
        return Standardized(read, pixels)

    def choose(self, train_x: Floats, train_y: Labels, val_x: Floats, val_y: Labels) -> Chosen:
        """Return the best of the fits. See the base class."""
        (found,) = self.choose_together([Problem(train_x=train_x, train_y=train_y, val_x=val_x, val_y=val_y)])
        if isinstance(found, Exception):
            raise found
        return found

    def choose_together(self, problems: Sequence[Problem]) -> list[Chosen | Exception]:
        """Return the best fit of each. See the base class."""
        rows = [LogisticProblem(x=problem.train_x, y=problem.train_y) for problem in problems]
        solved = solve_together(rows, self.inverse_penalties)
        return [
            models if isinstance(models, Exception) else self._best(models, problem)
            for models, problem in zip(solved, problems, strict=True)
        ]

    def _best(self, models: Sequence[LogisticModel], problem: Problem) -> Chosen:
        def candidates() -> Iterator[Chosen]:
            for value, model in zip(self.inverse_penalties, models, strict=True):
                yield Chosen(model.predict, {"C": value}, largest(model.shares))

        return best_on_validation(candidates(), problem.val_x, problem.val_y)
