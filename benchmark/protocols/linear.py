"""Linear probe: multinomial logistic regression on frozen, standardised embeddings.

Source: the usual evaluation of representations (e.g. Chen et al. 2020, arXiv 2002.05709, sec. 2.3).
Differs: fitted to convergence by scikit-learn's L-BFGS, its L2 penalty chosen on validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sklearn.linear_model import LogisticRegression

from benchmark.protocols.base import Chosen, Floats, Labels, Protocol, Standardized, best_on_validation, largest


@dataclass(frozen=True, kw_only=True)
class LinearProbe(Protocol):
    """Logistic regression; its confidence is the largest class probability.

    Attributes:
        inverse_penalties: values of scikit-learn's C to choose from, in order of preference on a tie.
    """

    inverse_penalties: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0)

    def prepare(self, read: Floats, pixels: Labels) -> Standardized:
        """Return the standardised embedding."""
        return Standardized(read, pixels)

    def choose(self, train_x: Floats, train_y: Labels, val_x: Floats, val_y: Labels) -> Chosen:
        """Return the best of the fits. See the base class."""

        def candidates() -> Iterator[Chosen]:
            for value in self.inverse_penalties:
                model = LogisticRegression(C=value, max_iter=2000)
                model.fit(train_x, train_y)
                yield Chosen(model.predict, {"C": value}, largest(model.predict_proba))

        return best_on_validation(candidates(), val_x, val_y)
