"""Many multinomial logistic regressions on some labelled rows each, solved together along their penalties.

**Source:** L-BFGS: Nocedal 1980, doi 10.1090/S0025-5718-1980-0572855-7, started from the fixed bound of the Hessian of
Boehning 1992, doi 10.1007/BF00048682, which is diagonal in the principal axes of the rows.
**Differs:** a step is judged by the slope along it alone, because in float32 the objective is flat long before its
gradient is zero; every problem walks its own path of penalties, the next from the solution of the last.
**Cost:** per problem and evaluation two products (n_classes x dim x n); 20 to 150 evaluations per penalty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from benchmark.protocols._logistic_rows import LogisticModel, LogisticProblem, Reduced
from benchmark.protocols._logistic_walk import walked

# A problem is solved where no class's gradient of the mean loss, penalty included, is longer than this. Probabilities
# of Indian Pines are then about as near to the exact ones as where scikit-learn stops, or nearer.
TOLERANCE = 2e-4
# Evaluations per penalty before a problem counts as not solved.
_MOST = 2000
# Problems that are walked at once: so many share the cost of a call and still fit into the caches.
_AT_ONCE = 20


class NotSolvedError(ArithmeticError):
    """A regression whose gradient stays above the tolerance, in float64 too."""


def solve_together(
    problems: Sequence[LogisticProblem], inverse_penalties: Sequence[float], *, tolerance: float = TOLERANCE
) -> list[list[LogisticModel] | Exception]:
    """Return the models of every problem, one per penalty, or what it failed with.

    A model minimises the mean cross-entropy plus ||weights||^2 / (2 C n): scikit-learn's objective, with free
    intercepts. Of two classes scikit-learn fits one vector, the difference of ours, and so penalises half as much at
    the same C; here that is made up for, so that both are the same model.

    What a problem gives does not depend on the others: they share operations, never sums. What does not converge in
    float32 is solved again in float64.

    Args:
        problems: fits, any number, of any sizes.
        inverse_penalties: values of C, > 0, in any order.
        tolerance: largest length of a class's gradient that counts as zero, > 0.
    """
    # The products are small: threads would wait for each other longer than they compute.
    with threadpool_limits(1, user_api="blas"):
        return _solve_together(problems, inverse_penalties, tolerance)


def _solve_together(
    problems: Sequence[LogisticProblem], inverse_penalties: Sequence[float], tolerance: float
) -> list[list[LogisticModel] | Exception]:
    found: list[list[LogisticModel] | Exception] = [NotSolvedError("not solved")] * len(problems)
    alike: dict[tuple[int, ...], list[tuple[int, Reduced]]] = {}
    for place, problem in enumerate(problems):
        try:
            reduced = Reduced.of(problem)
        except Exception as error:
            found[place] = error
            continue
        alike.setdefault((len(reduced.squares), len(reduced.classes)), []).append((place, reduced))
    for members in alike.values():
        members.sort(key=lambda member: len(member[1].rows))
        for start in range(0, len(members), _AT_ONCE):
            chunk = members[start : start + _AT_ONCE]
            solved = _solved([reduced for _, reduced in chunk], inverse_penalties, tolerance)
            for (place, _), models in zip(chunk, solved, strict=True):
                found[place] = models
    return found


def _solved(
    members: Sequence[Reduced], inverse_penalties: Sequence[float], tolerance: float
) -> Iterator[list[LogisticModel] | Exception]:
    in_float32 = walked(members, inverse_penalties, tolerance, np.float32, _MOST)
    for reduced, solutions in zip(members, in_float32, strict=True):
        if solutions is None:
            (solutions,) = walked([reduced], inverse_penalties, tolerance, np.float64, _MOST)
        if solutions is None:
            yield NotSolvedError(
                f"a logistic regression of {reduced.n} pixels did not converge to a gradient of {tolerance:g} in "
                f"float64 within {_MOST} evaluations: leave out the largest of the inverse penalties"
            )
        else:
            yield [reduced.model(solution) for solution in solutions]
